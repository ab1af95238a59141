package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sluice-ftp/sluice/auth"
)

// maxPassword is what one command line of FTP has room for.
const maxPassword = 4000

func userHashCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "hash",
		Short: "Turn a password into a password_hash",
		Long: "Hash reads a password and prints its argon2id hash for password_hash in the users file.\n" +
			"On a terminal it asks twice and shows nothing; otherwise it reads one line.",
		Example: "  sluice user hash\n" +
			"  sluice user hash < password.txt",
		Args: unknownCommand,
		RunE: func(c *cobra.Command, _ []string) error {
			hash, err := readHash(c)
			if err != nil {
				return failed(c, err)
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), hash)
			return err
		},
	}
}

// readHash reads a new password and returns its hash.
func readHash(c *cobra.Command) (string, error) {
	password, err := readPassword(c, "Password: ", "Once more: ")
	if err != nil {
		return "", err
	}
	return auth.Hash(password)
}

// readPassword reads a password with each of the prompts on a terminal, and else one line.
func readPassword(c *cobra.Command, prompts ...string) (string, error) {
	in := c.InOrStdin()
	if f, ok := onTerminal(in); ok {
		return askPassword(int(f.Fd()), c.ErrOrStderr(), prompts)
	}
	line, err := bufio.NewReader(io.LimitReader(in, maxPassword+2)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return checkPassword(strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"))
}

func askPassword(fd int, w io.Writer, prompts []string) (string, error) {
	var first string
	for i, prompt := range prompts {
		fmt.Fprint(w, prompt)
		typed, err := term.ReadPassword(fd)
		fmt.Fprintln(w)
		if err != nil {
			return "", err
		}
		if i > 0 && string(typed) != first {
			return "", errors.New("the two passwords differ; try again")
		}
		if first, err = checkPassword(string(typed)); err != nil {
			return "", err
		}
	}
	return first, nil
}

// onTerminal returns the terminal that a stream is.
func onTerminal(stream any) (*os.File, bool) {
	f, ok := stream.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

func checkPassword(p string) (string, error) {
	switch {
	case p == "":
		return "", errors.New("the password is empty; choose another one")
	case len(p) > maxPassword:
		return "", fmt.Errorf("the password is longer than %d bytes; choose another one", maxPassword)
	}
	return p, nil
}
