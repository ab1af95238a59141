package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-ftp/sluice/auth"
)

func userVerifyCommand() *cobra.Command {
	var file userFlags
	c := &cobra.Command{
		Use:   "verify NAME --config FILE",
		Short: "Say whether a password is right",
		Long: "Verify asks for the password of a user on a terminal, or reads one line, and says whether it is\n" +
			"right; if not, it exits with 1. When a gateway would not let the user in all the same, it says\n" +
			"why. A second factor is not asked for.",
		Example: "  sluice user verify acme --config sluice.yaml\n" +
			"  sluice user verify acme --users users.yaml < password.txt",
		Args: oneName,
		RunE: func(c *cobra.Command, args []string) error {
			f, err := file.open(c)
			if err != nil {
				return err
			}
			said, err := f.verifyPassword(c, args[0])
			if err != nil {
				return failed(c, err)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %s: %s\n", f.path, args[0], said)
			return err
		},
	}
	file.add(c)
	return c
}

func (f *userFile) verifyPassword(c *cobra.Command, name string) (string, error) {
	users, err := f.find(name)
	if err != nil {
		return "", err
	}
	entries, err := f.entries()
	if err != nil {
		return "", err
	}
	if entries[name].login == "certificate" {
		return "", errors.New("not with a password: " + name + " logs in with a certificate alone")
	}
	password, err := readPassword(c, "Password: ")
	if err != nil {
		return "", err
	}
	_, err = users.Authenticate(c.Context(), auth.Login{Name: name, Password: password, Remote: netip.IPv6Loopback()})
	switch {
	case err == nil:
		return "the password is right", nil
	case errors.Is(err, auth.ErrCodeNeeded):
		return "the password is right; the one-time code that a login needs as well is not asked for here", nil
	case err.Error() == auth.ErrDenied.Error(): // others that match it have a reason, and come after the password
		return "", fmt.Errorf("%s: %s: the password is wrong", f.path, name)
	case errors.Is(err, auth.ErrDenied):
		return fmt.Sprintf("the password is right, but a login from this machine would be refused now: %s",
			strings.TrimPrefix(err.Error(), "auth: ")), nil
	}
	return "", err
}
