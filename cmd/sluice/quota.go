package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-ftp/sluice/gateway"
)

func quotaCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "quota",
		Short: "Show and count what users of a running gateway have stored",
		Long: "Quota asks the gateway that runs on this machine, by its admin_socket, what the users that have\n" +
			"a quota have stored. It counts at its start and now and then by listing their mounts, and\n" +
			"between that what goes through it; count has it list them now.",
		Example: "  sluice quota list --config sluice.yaml\n" +
			"  sluice quota count acme --socket /run/sluice/admin.sock",
		Args: unknownCommand,
		RunE: needsCommand,
	}
	dial := adminFlags(c)
	c.AddCommand(&cobra.Command{
		Use: "list", Short: "List what is stored", Example: "  sluice quota list --config sluice.yaml", Args: unknownCommand,
		RunE: func(c *cobra.Command, _ []string) error {
			a, err := dial(c)
			if err != nil {
				return err
			}
			return a.usage(c.Context(), c.OutOrStdout(), http.MethodGet, nil, adminTimeout)
		},
	}, &cobra.Command{
		Use: "count [USER...]", Short: "Count what users have stored, or all that have a quota",
		Example: "  sluice quota count acme --config sluice.yaml",
		RunE: func(c *cobra.Command, users []string) error {
			a, err := dial(c)
			if err != nil {
				return err
			}
			fmt.Fprintln(c.ErrOrStderr(), "Counting; a million files take a minute or more.")
			return a.usage(c.Context(), c.OutOrStdout(), http.MethodPost, users, 0)
		},
	})
	return c
}

// usage shows what the gateway answers about the users, or about all.
func (a *adminClient) usage(ctx context.Context, out io.Writer, method string, users []string, timeout time.Duration) error {
	resp, err := a.do(ctx, method, quotasPath+"?"+url.Values{"user": users}.Encode(), timeout)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var all []gateway.Usage
	if err := decode(resp, &all); err != nil {
		return err
	}
	if len(users) > 0 {
		all = slices.DeleteFunc(all, func(u gateway.Usage) bool { return !slices.Contains(users, u.User) })
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(out, "No user in the users file has a quota.")
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "USER\tBYTES\tOF\tFILES\tOF\tCOUNTED")
	for _, u := range all {
		counted, bytes, files := "not yet", "?", "?"
		if !u.Counted.IsZero() {
			counted = u.Counted.UTC().Format(time.RFC3339)
			bytes, files = strconv.FormatInt(u.Bytes, 10), strconv.FormatInt(u.Files, 10)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", quoted(u.User), bytes, bound(u.MaxBytes), files, bound(u.MaxFiles), counted)
	}
	return table.Flush()
}

// bound is a limit that may not be there.
func bound(n int64) string {
	if n == 0 {
		return "-"
	}
	return strconv.FormatInt(n, 10)
}
