package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
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
	var trip uploadFlags
	t := target{}
	c := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask a running gateway whether it answers",
		Long: "Healthcheck connects to a gateway, waits for its greeting and leaves. It exits with 0 if that\n" +
			"went well within five seconds, and with 1 and the reason if not. Without a flag it asks the\n" +
			"one that serve runs without a configuration.\n\n" +
			"With --upload it also logs in under TLS, puts a file of 1 MiB into a folder, takes it out again,\n" +
			"compares, and removes it, within a minute. The user needs to be allowed write, read and delete there.\n\n" +
			"For a liveness probe use --addr: with --config it fails as well when the file cannot be read\n" +
			"or a variable in it is not set for the probe.",
		Example: "  sluice healthcheck --config sluice.yaml\n" +
			"  sluice healthcheck --addr 127.0.0.1:2990 --implicit\n" +
			"  sluice healthcheck --addr ftp.example.com:21 --upload /in --user probe --password-file probe.txt",
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
			check, err := trip.check(c, t)
			if err != nil {
				return err
			}
			began := time.Now()
			if err := check(c.Context()); err != nil {
				err = fmt.Errorf("healthcheck: %s: %w", t.addr, err)
				if errors.As(err, new(*tls.CertificateVerificationError)) {
					return hint{error: err, todo: "name the authority with --ca-file and the name in the certificate with --server-name, or believe it with --insecure"}
				}
				return err
			}
			text := "ok"
			if trip.folder != "" {
				text = fmt.Sprintf("ok, 1 MiB came back from %s in %s", trip.folder, time.Since(began).Round(time.Millisecond))
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", t.addr, text)
			return err
		},
	}
	c.Flags().StringVar(&file, "config", "", "configuration `file` that names the address")
	c.Flags().StringVar(&t.addr, "addr", "", "`host:port` to ask")
	c.Flags().BoolVar(&t.implicit, "implicit", false, "TLS begins at once at --addr")
	trip.add(c)
	return c
}

// uploadFlags are those of the round trip of a file.
type uploadFlags struct {
	folder, user, passwordFile string
	caFile, serverName         string
	insecure                   bool
}

func (f *uploadFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.folder, "upload", "", "`folder` to put a file into, and to take it out of again")
	c.Flags().StringVar(&f.user, "user", "", "`name` to log in with, for --upload")
	c.Flags().StringVar(&f.passwordFile, "password-file", "", "`file` with the user's password")
	c.Flags().StringVar(&f.caFile, "ca-file", "", "PEM `file` of the authority of the gateway's certificate, else the system's")
	c.Flags().StringVar(&f.serverName, "server-name", "", "`name` in the certificate, else the host of --addr")
	c.Flags().BoolVar(&f.insecure, "insecure", false, "believe any certificate; the password can then be read by whoever answers")
}

// check returns what is to be done: the round trip if it was asked for, else the greeting.
func (f *uploadFlags) check(c *cobra.Command, t target) (func(context.Context) error, error) {
	if !c.Flags().Changed("upload") {
		for _, name := range []string{"user", "password-file", "ca-file", "server-name", "insecure"} {
			if c.Flags().Changed(name) {
				return nil, usage(c, "--%s needs --upload", name)
			}
		}
		return func(ctx context.Context) error { return probe(ctx, t) }, nil
	}
	switch {
	case f.folder == "":
		return nil, usage(c, "--upload is empty; name a folder, like /in")
	case f.user == "" || f.passwordFile == "":
		return nil, usage(c, "--upload needs --user and --password-file")
	case f.insecure && (f.caFile != "" || f.serverName != ""):
		return nil, usage(c, "--insecure checks nothing: leave out --ca-file and --server-name, or it")
	}
	password, err := readSecret(f.passwordFile)
	if err != nil {
		return nil, hint{error: fmt.Errorf("healthcheck: --password-file: %w", err), todo: mendFile(err)}
	}
	host, _, err := net.SplitHostPort(t.addr)
	if err != nil {
		return nil, usage(c, "%q is not an address; write it like ftp.example.com:21", t.addr)
	}
	conf := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: cmp.Or(f.serverName, host, "localhost"), InsecureSkipVerify: f.insecure,
		ClientSessionCache: tls.NewLRUClientSessionCache(0),
	}
	if f.caFile != "" {
		if conf.RootCAs, err = readPool(f.caFile); err != nil {
			return nil, fmt.Errorf("healthcheck: --ca-file: %w", err)
		}
	}
	return roundTrip{target: t, folder: f.folder, user: f.user, password: password, tls: conf}.run, nil
}

// readPool reads authorities from a PEM file.
func readPool(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, hint{error: err, todo: mendFile(err)}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate in PEM", file)
	}
	return pool, nil
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
