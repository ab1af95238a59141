package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-ftp/sluice/limits"
)

func bansCommand() *cobra.Command {
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
	dial := adminFlags(c)
	c.AddCommand(&cobra.Command{
		Use: "list", Short: "List bans", Example: "  sluice bans list --config sluice.yaml", Args: unknownCommand,
		RunE: func(c *cobra.Command, _ []string) error {
			a, err := dial(c)
			if err != nil {
				return err
			}
			return a.listBans(c.Context(), c.OutOrStdout())
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
			return a.removeBan(c.Context(), args[0], c.OutOrStdout())
		},
	})
	return c
}

func (a *adminClient) listBans(ctx context.Context, out io.Writer) error {
	resp, err := a.do(ctx, http.MethodGet, bansPath, adminTimeout)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var bans []limits.Ban
	if err := decode(resp, &bans); err != nil {
		return err
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

func (a *adminClient) removeBan(ctx context.Context, subject string, out io.Writer) error {
	resp, err := a.do(ctx, http.MethodDelete, bansPath+"?"+url.Values{"subject": {subject}}.Encode(), adminTimeout)
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
	return refused(resp)
}
