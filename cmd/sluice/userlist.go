package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sluice-ftp/sluice/auth"
)

func userListCommand() *cobra.Command {
	var file userFlags
	c := &cobra.Command{
		Use:   "list --config FILE",
		Short: "List the users",
		Long: "List prints a line for each user: whether it may log in, its group, what it needs beside the\n" +
			"password, and its mounts, each as its path, the backend with the prefix, and what the user may\n" +
			"do there. It prints no hash and no secret.",
		Example: "  sluice user list --config sluice.yaml",
		Args:    unknownCommand,
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := file.open(c)
			if err != nil {
				return err
			}
			users, err := f.read()
			if err != nil {
				return failed(c, err)
			}
			entries, err := f.entries()
			if err != nil {
				return failed(c, err)
			}
			return printUsers(c.OutOrStdout(), users.Users(), entries)
		},
	}
	file.add(c)
	return c
}

func printUsers(w io.Writer, users []*auth.User, entries map[string]userEntry) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tENABLED\tGROUP\tSECOND-FACTOR\tMOUNTS")
	for _, u := range users {
		e := entries[u.Name]
		var mounts []string
		for _, m := range u.Mounts {
			mounts = append(mounts, mountText(m))
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", u.Name, cmp.Or(e.enabled, "true"), cmp.Or(e.group, "-"),
			secondFactor(e), strings.Join(mounts, "; "))
	}
	return t.Flush()
}

// secondFactor is what a user needs beside a password.
func secondFactor(e userEntry) string {
	var needs []string
	if e.login == "both" || e.login == "certificate" {
		needs = append(needs, "certificate")
	}
	if e.totp {
		needs = append(needs, "totp")
	}
	return cmp.Or(strings.Join(needs, ","), "-")
}

func mountText(m auth.Mount) string {
	may := m.Permissions.String()
	if m.Permissions == auth.All {
		may = "all"
	}
	return fmt.Sprintf("%s=%s:%s %s", m.Path, m.Backend, m.Prefix, may)
}
