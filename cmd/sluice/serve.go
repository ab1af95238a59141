package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func serveCommand() *cobra.Command {
	var file string
	demo := demoOptions{Folder: "sluice-data"}
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the gateway",
		Long: "Serve runs the gateway until SIGTERM or Ctrl-C. It then accepts no more sessions and lets\n" +
			"running transfers finish for shutdown_grace; a second signal ends them at once. SIGHUP reads\n" +
			"the users file and the certificates again, which also happens when they change.\n\n" +
			"Without a configuration it serves ./sluice-data on this machine only, to the user demo,\n" +
			"whose password it prints at the first start.",
		Example: "  sluice serve\n" +
			"  sluice serve --ftp 127.0.0.1:2222 --ftps 127.0.0.1:2223\n" +
			"  sluice serve --config sluice.yaml",
		Args: unknownCommand,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := refuseEmptyConfig(c); err != nil {
				return err
			}
			// Whoever reads standard error may end before the gateway: that loses lines, no sessions.
			signal.Ignore(syscall.SIGPIPE)
			if file == "" {
				return serveDemo(c, demo)
			}
			if c.Flags().Changed("ftp") || c.Flags().Changed("ftps") {
				return usage(c, "--ftp and --ftps are for running without --config; set listen.ftp and listen.ftps there")
			}
			return serveFile(c, file)
		},
	}
	c.Flags().StringVar(&file, "config", "", "configuration `file`")
	c.Flags().StringVar(&demo.FTP, "ftp", "127.0.0.1:2121", "`address` for explicit TLS, without --config")
	c.Flags().StringVar(&demo.FTPS, "ftps", "127.0.0.1:2990", "`address` for implicit TLS, without --config")
	return c
}

func serveFile(cmd *cobra.Command, file string) error {
	c, err := loadConfig(file, os.LookupEnv)
	if err != nil {
		return err
	}
	log, level := newLogger(cmd.ErrOrStderr(), c.Log)
	a, err := newApp(cmd.Context(), c, log, level)
	if err != nil {
		return err
	}
	return serve(cmd.Context(), a)
}

func serveDemo(cmd *cobra.Command, o demoOptions) error {
	d, err := prepareDemo(o)
	if err != nil {
		return err
	}
	log, level := newLogger(cmd.ErrOrStderr(), d.config.Log)
	a, err := newApp(cmd.Context(), d.config, log, level)
	if err != nil {
		return errors.Join(d.withHint(err), d.forget())
	}
	if err := d.banner(cmd.OutOrStdout(), a.listeners); err != nil {
		return errors.Join(err, d.forget(), a.Close())
	}
	return serve(cmd.Context(), a)
}

// serve runs a until it is told to end.
func serve(ctx context.Context, a *app) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	return errors.Join(a.run(ctx, signals), a.Close())
}
