package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sluice-ftp/sluice/backends/bucket"
)

func doctorCommand() *cobra.Command {
	var file, backend string
	c := &cobra.Command{
		Use:   "doctor --config FILE",
		Short: "Try out what a bucket and its credentials can do",
		Long: "Doctor tries out every backend with a bucket (type s3 or gcs): whether the store answers, what the\n" +
			"credentials may do, and what the store can do; of s3 also which profile tells the truth about the\n" +
			"server. It writes below .sluice/doctor/ in the bucket, about 16 MiB, and removes it again, also after\n" +
			"Ctrl-C. Nothing else is touched, and a gateway may run meanwhile.\n\n" +
			"It exits with 0 when nothing failed, and with 1 if something did. Warnings are of what the\n" +
			"gateway does without; each says what that means. The rights that credentials need are in\n" +
			"docs/backends.md.",
		Example: "  sluice doctor --config sluice.yaml\n" +
			"  sluice doctor --config sluice.yaml --backend lake",
		Args: unknownCommand,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := refuseEmptyConfig(c); err != nil {
				return err
			}
			if file == "" {
				return usage(c, "--config is missing")
			}
			conf, err := loadConfig(file, os.LookupEnv)
			if err != nil {
				return err
			}
			names, err := patients(conf, backend)
			if err != nil {
				return fmt.Errorf("doctor: %w", err)
			}
			ctx, stop := untilInterrupted(c.Context(), c.ErrOrStderr())
			defer stop()
			return examineAll(ctx, c.OutOrStdout(), conf, names)
		},
	}
	c.Flags().StringVar(&file, "config", "", "configuration `file`")
	c.Flags().StringVar(&backend, "backend", "", "`name` of the one backend to try out")
	return c
}

// patient is a store that can be tried out.
type patient interface {
	store
	// place is what is tried out, as people write it.
	place() string
	// diagnose tries it out, tells seen each result and then w what else there is to say.
	diagnose(ctx context.Context, w io.Writer, seen func(bucket.Result)) (bucket.Examination, error)
}

// patients returns the names of the backends that can be tried out, or the one that is asked for.
func patients(c *config, name string) ([]string, error) {
	var names []string
	for _, n := range slices.Sorted(maps.Keys(c.stores)) {
		if _, ok := c.stores[n].(patient); ok {
			names = append(names, n)
		}
	}
	switch _, known := c.stores[name]; {
	case name == "" && len(names) == 0:
		return nil, hint{
			error: fmt.Errorf("%s has no backend of type s3 or gcs", c.path),
			todo:  "there is nothing to try out; see the others with: sluice check --config " + c.path,
		}
	case name == "":
		return names, nil
	case !known:
		return nil, hint{
			error: fmt.Errorf("%q is not a backend of the configuration", name),
			todo:  "there are " + strings.Join(c.backendNames(), ", "),
		}
	case !slices.Contains(names, name):
		return nil, hint{
			error: fmt.Errorf("backend %q has no bucket", name),
			todo:  "those that can be tried out: " + cmp.Or(strings.Join(names, ", "), "none"),
		}
	}
	return []string{name}, nil
}

// untilInterrupted returns a context that ends with Ctrl-C, or when nobody reads the output any more,
// so that there is time to clean up. A second Ctrl-C ends the process; a second line that nobody reads
// does not.
func untilInterrupted(ctx context.Context, w io.Writer) (context.Context, func()) {
	ctx, stopPipe := signal.NotifyContext(ctx, syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	forget := context.AfterFunc(ctx, func() {
		fmt.Fprintln(w, "sluice: doctor: interrupted; cleaning up")
		stop()
	})
	return ctx, func() {
		forget()
		stop()
		stopPipe()
	}
}

// examineAll tries out one after the other, and prints what it finds.
func examineAll(ctx context.Context, w io.Writer, c *config, names []string) error {
	var errs []error
	for i, name := range names {
		p, _ := c.stores[name].(patient) // patients chose no other
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s: %s\n\n", name, p.place())
		d, err := p.diagnose(ctx, w, func(r bucket.Result) { printRow(w, r) })
		if err != nil {
			errs = append(errs, c.fault("backends."+name+"."+p.where(err), err, ""))
			continue
		}
		printFindings(w, &d)
		if n := d.Failed(); n > 0 {
			errs = append(errs, fmt.Errorf("doctor: backend %q: %d of %d probes failed", name, n, len(d.Results)))
		}
		if ctx.Err() != nil {
			errs = append(errs, fmt.Errorf("doctor: backend %q: interrupted", name))
			break
		}
	}
	return errors.Join(errs...)
}

// printRow prints a line of the table. The columns are wider than what is in them.
func printRow(w io.Writer, r bucket.Result) {
	fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%-7s  %-21s  %s", r.Outcome, r.Probe, r.Found), " "))
}

// printFindings prints what to do: first about what failed.
func printFindings(w io.Writer, d *bucket.Examination) {
	for _, outcome := range []bucket.Outcome{bucket.OutcomeFailed, bucket.OutcomeWarning} {
		for _, r := range d.Results {
			if r.Outcome == outcome {
				fmt.Fprintf(w, "\n%s: %s: %s\n  %s\n", r.Outcome, r.Probe, r.Found, r.Todo)
			}
		}
	}
}
