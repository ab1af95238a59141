package main

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/sluice-ftp/sluice/yamlfile"
)

func userCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "user",
		Short: "Look after the users file",
		Long: "User adds users, changes them and lists them. What else stands in the users file stays as it\n" +
			"is, comments included. A gateway that runs takes a change up by itself.\n\n" +
			"Passwords are asked for on a terminal, or read from standard input. No flag takes one: every\n" +
			"user of the machine can see the arguments of a command, and shells keep them.",
		Example: "  sluice user add acme --config sluice.yaml\n" +
			"  sluice user disable acme --users users.yaml\n" +
			"  sluice user list --config sluice.yaml",
		Args: unknownCommand,
		RunE: needsCommand,
	}
	c.AddCommand(userAddCommand(), userPasswdCommand(), userHashCommand(), userTOTPCommand(),
		userEnableCommand(), userDisableCommand(), userListCommand(), userVerifyCommand())
	return c
}

// oneName takes the name of one user.
func oneName(c *cobra.Command, args []string) error {
	switch {
	case len(args) == 0 || args[0] == "":
		return usage(c, "name the user")
	case len(args) > 1:
		return usage(c, "takes one name, but got %q as well", args[1])
	case !utf8.ValidString(args[0]):
		return usage(c, "%q is not UTF-8; no client can send it", args[0])
	}
	return nil
}

// failed says which command err is of. Problems of a file need no more than their places.
func failed(c *cobra.Command, err error) error {
	if err == nil || errors.As(err, new(yamlfile.Problems)) {
		return err
	}
	return fmt.Errorf("user %s: %w", c.Name(), err)
}
