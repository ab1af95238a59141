package main

import "github.com/spf13/cobra"

func userCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "user",
		Short:   "Help with the users file",
		Example: "  sluice user hash",
		Args:    unknownCommand,
		RunE:    needsCommand,
	}
	c.AddCommand(userHashCommand())
	return c
}
