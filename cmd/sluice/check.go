package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
)

func checkCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "check --config FILE",
		Short: "Report everything that is wrong with a configuration",
		Long: "Check reads the configuration, the users file and the certificates and opens the backends,\n" +
			"as serve does, but listens nowhere. It reports all problems at once, each with its line, and\n" +
			"exits with 1 if there are any.",
		Example: "  sluice check --config sluice.yaml",
		Args:    unknownCommand,
		RunE: func(c *cobra.Command, _ []string) error {
			if file == "" {
				return usage(c, "--config is missing")
			}
			summary, err := check(file)
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

// check opens what can be opened even when something else is wrong, so that one run tells it all.
func check(file string) (string, error) {
	c, err := loadConfig(file, os.LookupEnv)
	if c == nil {
		return "", err
	}
	r, openErr := open(c, slog.New(slog.DiscardHandler))
	if err := errors.Join(err, openErr); err != nil {
		return "", err
	}
	summary := fmt.Sprintf("%s: ok (backends: %d, users: %d)", file, len(r.backends), len(r.users.Users()))
	return summary, r.Close()
}
