package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-ftp/sluice/limits"
)

func bansCommand() *cobra.Command {
	var socket, file string
	c := &cobra.Command{
		Use:   "bans",
		Short: "List and lift bans of a running gateway",
		Long: "Bans asks the gateway that runs on this machine, by its admin_socket, whom it has banned after\n" +
			"wrong logins. Bans are in its memory: each replica has its own, and a restart lifts them.",
		Example: "  sluice bans list --config sluice.yaml\n" +
			"  sluice bans remove 192.0.2.7 --socket /run/sluice/admin.sock",
		Args: unknownCommand,
		RunE: needsCommand,
	}
	c.PersistentFlags().StringVar(&socket, "socket", "", "the gateway's admin_socket, a `path`")
	c.PersistentFlags().StringVar(&file, "config", "", "configuration `file` that names the socket")
	dial := func(c *cobra.Command) (*adminClient, error) {
		path, err := adminSocket(c, socket, file)
		return &adminClient{path}, err
	}
	c.AddCommand(&cobra.Command{
		Use: "list", Short: "List bans", Example: "  sluice bans list --config sluice.yaml", Args: unknownCommand,
		RunE: func(c *cobra.Command, _ []string) error {
			a, err := dial(c)
			if err != nil {
				return err
			}
			return a.list(c.Context(), c.OutOrStdout())
		},
	}, &cobra.Command{
		Use: "remove SUBJECT", Short: "Lift the ban of an address or a user", Example: "  sluice bans remove 192.0.2.7 --config sluice.yaml",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(c, "name one address or user, as sluice bans list does")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			a, err := dial(c)
			if err != nil {
				return err
			}
			return a.remove(c.Context(), args[0], c.OutOrStdout())
		},
	})
	return c
}

// adminSocket finds the socket: the flag's, or that of the configuration.
func adminSocket(c *cobra.Command, socket, file string) (string, error) {
	if socket != "" {
		return socket, nil
	}
	if err := refuseEmptyConfig(c); err != nil {
		return "", err
	}
	if file == "" {
		return "", usage(c, "--socket or --config is missing")
	}
	conf, err := loadConfig(file, os.LookupEnv)
	if err != nil {
		return "", err
	}
	if conf.AdminSocket == "" {
		return "", conf.fault("admin_socket", errors.New("missing, so there is nobody to ask"), "name a path for the socket and restart the gateway")
	}
	return conf.AdminSocket, nil
}

// adminClient asks a gateway by its socket.
type adminClient struct{ path string }

func (a *adminClient) do(ctx context.Context, method, path string) (*http.Response, error) {
	client := http.Client{Timeout: adminTimeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", a.path)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, method, "http://sluice"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	var op *net.OpError
	if errors.As(err, &op) {
		return nil, hint{error: fmt.Errorf("the gateway at %s does not answer: %w", a.path, op.Err), todo: "is it running, and as you?"}
	}
	return resp, err
}

func (a *adminClient) list(ctx context.Context, out io.Writer) error {
	resp, err := a.do(ctx, http.MethodGet, bansPath)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var bans []limits.Ban
	if err := json.NewDecoder(resp.Body).Decode(&bans); err != nil {
		return fmt.Errorf("bans: what the gateway says: %w", err)
	}
	if len(bans) == 0 {
		_, err := fmt.Fprintln(out, "Nobody is banned.")
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SUBJECT\tKIND\tUNTIL\tFAILURES\tBANS")
	for _, b := range bans {
		// Anyone may have written anything into the name of a user.
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\n", quoted(b.Subject), b.Kind, b.Until.UTC().Format(time.RFC3339), b.Failures, b.Count)
	}
	return table.Flush()
}

// quoted is a text that does nothing to a terminal.
func quoted(s string) string {
	if q := fmt.Sprintf("%q", s); q != `"`+s+`"` || strings.Contains(s, " ") {
		return q
	}
	return cmp.Or(s, `""`)
}

func (a *adminClient) remove(ctx context.Context, subject string, out io.Writer) error {
	resp, err := a.do(ctx, http.MethodDelete, bansPath+"?"+url.Values{"subject": {subject}}.Encode())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusNoContent:
		_, err := fmt.Fprintf(out, "The ban of %s is lifted.\n", quoted(subject))
		return err
	case http.StatusNotFound:
		return hint{error: fmt.Errorf("%s is not banned", quoted(subject)), todo: "see: sluice bans list"}
	}
	return fmt.Errorf("bans: the gateway says %s", resp.Status)
}
