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
			password, err := readPassword(c.InOrStdin(), c.ErrOrStderr())
			if err != nil {
				return fmt.Errorf("user hash: %w", err)
			}
			hash, err := auth.Hash(password)
			if err != nil {
				return fmt.Errorf("user hash: %w", err)
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), hash)
			return err
		},
	}
}

func readPassword(in io.Reader, prompts io.Writer) (string, error) {
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return askPassword(int(f.Fd()), prompts)
	}
	line, err := bufio.NewReader(io.LimitReader(in, maxPassword+2)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return checkPassword(strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"))
}

func askPassword(fd int, prompts io.Writer) (string, error) {
	var typed [2]string
	for i, prompt := range []string{"Password: ", "Once more: "} {
		fmt.Fprint(prompts, prompt)
		p, err := term.ReadPassword(fd)
		fmt.Fprintln(prompts)
		if err != nil {
			return "", err
		}
		typed[i] = string(p)
		if _, err := checkPassword(typed[i]); err != nil {
			return "", err
		}
	}
	if typed[0] != typed[1] {
		return "", errors.New("the two passwords differ; try again")
	}
	return typed[0], nil
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
