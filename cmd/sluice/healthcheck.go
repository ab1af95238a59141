package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"time"

	"github.com/spf13/cobra"
)

// healthTimeout is how long a gateway may take to greet and to say goodbye.
const healthTimeout = 5 * time.Second

func healthcheckCommand() *cobra.Command {
	var file string
	t := target{}
	c := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask a running gateway whether it answers",
		Long: "Healthcheck connects to a gateway, waits for its greeting and leaves. It exits with 0 if that\n" +
			"went well within five seconds, and with 1 and the reason if not. Without a flag it asks the\n" +
			"one that serve runs without a configuration.\n\n" +
			"For a liveness probe use --addr: with --config it fails as well when the file cannot be read\n" +
			"or a variable in it is not set for the probe.",
		Example: "  sluice healthcheck --config sluice.yaml\n" +
			"  sluice healthcheck --addr 127.0.0.1:2990 --implicit",
		Args: unknownCommand,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := refuseEmptyConfig(c); err != nil {
				return err
			}
			switch {
			case file != "" && t.addr != "":
				return usage(c, "--config and --addr exclude each other")
			case t.implicit && t.addr == "":
				return usage(c, "--implicit needs --addr")
			case file != "":
				var err error
				if t, err = configTarget(file); err != nil {
					return err
				}
			case t.addr == "":
				t.addr = "127.0.0.1:2121"
			}
			if err := probe(c.Context(), t); err != nil {
				return fmt.Errorf("healthcheck: %s: %w", t.addr, err)
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "%s: ok\n", t.addr)
			return err
		},
	}
	c.Flags().StringVar(&file, "config", "", "configuration `file` that names the address")
	c.Flags().StringVar(&t.addr, "addr", "", "`host:port` to ask")
	c.Flags().BoolVar(&t.implicit, "implicit", false, "TLS begins at once at --addr")
	return c
}

// target is what is asked.
type target struct {
	addr     string
	implicit bool
}

// configTarget returns the first listener of a configuration. Other problems with the file are none
// of a gateway that runs.
func configTarget(file string) (target, error) {
	c, err := loadConfig(file, os.LookupEnv)
	switch {
	case c == nil:
		return target{}, err
	case c.Listen.FTP != "":
		return target{addr: c.Listen.FTP}, nil
	case c.Listen.FTPS != "":
		return target{addr: c.Listen.FTPS, implicit: true}, nil
	}
	return target{}, err
}

// probe greets and leaves. An address without a host, or with one that means all, is dialled on
// this machine.
func probe(ctx context.Context, t target) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", t.addr)
	if err != nil {
		return err
	}
	if t.implicit {
		// The question is whether it answers, not who it is; its certificate is for other names.
		raw = tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
	}
	deadline, _ := ctx.Deadline()
	if err := raw.SetDeadline(deadline); err != nil {
		return errors.Join(err, raw.Close())
	}
	conn := textproto.NewConn(raw)
	defer func() { _ = conn.Close() }() // the goodbye has been said
	if _, _, err := conn.ReadResponse(220); err != nil {
		err = fmt.Errorf("greeting: %w", err)
		if !t.implicit && errors.Is(err, os.ErrDeadlineExceeded) {
			return hint{error: err, todo: "where TLS begins at once (listen.ftps), ask with --implicit"}
		}
		return err
	}
	if err := conn.PrintfLine("QUIT"); err != nil {
		return fmt.Errorf("QUIT: %w", err)
	}
	if _, _, err := conn.ReadResponse(221); err != nil {
		return fmt.Errorf("QUIT: %w", err)
	}
	return nil
}
