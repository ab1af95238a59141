package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sluice-ftp/sluice/yamlfile"
)

const passwordKey = "password_hash"

func userPasswdCommand() *cobra.Command {
	var file userFlags
	c := &cobra.Command{
		Use:   "passwd NAME --config FILE",
		Short: "Give a user another password",
		Long: "Passwd replaces the password of a user. On a terminal it asks for the new one twice; otherwise\n" +
			"it reads one line. The user file has it from then on, also if a password_file had it before.",
		Example: "  sluice user passwd acme --config sluice.yaml\n" +
			"  sluice user passwd acme --users users.yaml < password.txt",
		Args: oneName,
		RunE: func(c *cobra.Command, args []string) error {
			f, err := file.open(c)
			if err != nil {
				return err
			}
			if _, err := f.find(args[0]); err != nil {
				return failed(c, err)
			}
			hash, err := readHash(c)
			if err != nil {
				return failed(c, err)
			}
			return f.set(c, args[0], passwordKey, hash, "has a new password")
		},
	}
	file.add(c)
	return c
}

func userEnableCommand() *cobra.Command {
	return userSwitchCommand("enable", true, "Let a user in again",
		"Enable lets a user in again who was disabled.")
}

func userDisableCommand() *cobra.Command {
	return userSwitchCommand("disable", false, "Keep a user out",
		"Disable keeps a user out who stays in the users file.")
}

func userSwitchCommand(name string, enabled bool, short, long string) *cobra.Command {
	var file userFlags
	c := &cobra.Command{
		Use:     name + " NAME --config FILE",
		Short:   short,
		Long:    long,
		Example: "  sluice user " + name + " acme --config sluice.yaml",
		Args:    oneName,
		RunE: func(c *cobra.Command, args []string) error {
			f, err := file.open(c)
			if err != nil {
				return err
			}
			return f.set(c, args[0], "enabled", enabled, name+"d")
		},
	}
	file.add(c)
	return c
}

// set gives a key of a user a value, and says so.
func (f *userFile) set(c *cobra.Command, name, key string, value any, done string) error {
	err := f.edit(c.Context(), name, func(l yamlfile.List, data []byte) ([]byte, error) {
		if entries, err := parseEntries(f.path, data); err == nil && value == true && entries[name].enabled == "" {
			return data, nil // who has no switch is enabled
		}
		return l.Set(data, name, key, value)
	})
	if err != nil {
		return failed(c, err)
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %s %s\n", f.path, name, done)
	return err
}
