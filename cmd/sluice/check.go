package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
)

func checkCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "check --config FILE",
		Short: "Report everything that is wrong with a configuration",
		Long: "Check reads the configuration, the users file and the certificates and looks at the backends,\n" +
			"but listens nowhere and changes nothing. It reports all problems at once, each with its place,\n" +
			"and exits with 1 if there are any. Warnings are of what works and should not stay.",
		Example: "  sluice check --config sluice.yaml",
		Args:    unknownCommand,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := refuseEmptyConfig(c); err != nil {
				return err
			}
			if file == "" {
				return usage(c, "--config is missing")
			}
			summary, warnings, err := check(c.Context(), file, time.Now())
			for _, w := range warnings {
				fmt.Fprintln(c.ErrOrStderr(), w)
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), summary)
			return err
		},
	}
	c.Flags().StringVar(&file, "config", "", "configuration `file`")
	return c
}

// check looks at what can be looked at even when something else is wrong, so that one run tells it
// all.
func check(ctx context.Context, file string, now time.Time) (summary string, warnings []warning, err error) {
	c, err := loadConfig(file, os.LookupEnv)
	if c == nil {
		return "", nil, err
	}
	r := &resources{}
	err = errors.Join(err, examineBackends(ctx, c), r.openUsers(c), r.openCertificates(c))
	ending, expired := checkValidity(c, now)
	warnings = append(r.warnings(c), ending...)
	if err := errors.Join(err, expired); err != nil {
		return "", warnings, err
	}
	return fmt.Sprintf("%s: ok (backends: %d, users: %d)", file, len(c.stores), len(r.users.Users())), warnings, nil
}

func examineBackends(ctx context.Context, c *config) error {
	memory, err := c.budget()
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.stores)) {
		s := c.stores[name]
		if err := s.examine(ctx, settings{bufferSize: int(c.Tuning.BufferSize), memory: memory}); err != nil {
			errs = append(errs, c.fault("backends."+name+"."+s.where(err), err, ""))
		}
	}
	return errors.Join(errs...)
}
