package main

import (
	"bufio"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/pquerna/otp/totp"
	"github.com/spf13/cobra"

	"github.com/sluice-ftp/sluice/yamlfile"
)

const (
	totpKey = "totp_secret"
	// totpBytes is the length of the hash, as RFC 4226 section 4 recommends.
	totpBytes = 20
	// totpTries is how often a code may be mistyped.
	totpTries = 3
)

func userTOTPCommand() *cobra.Command {
	var file userFlags
	var t totpFlags
	c := &cobra.Command{
		Use:   "totp NAME --config FILE",
		Short: "Give a user a second factor: codes from an app",
		Long: "Totp makes a secret for one-time codes (RFC 6238), prints it as a URI for an authenticator app\n" +
			"and writes it to the users file. On a terminal it draws the URI as a QR code as well, and asks\n" +
			"for a code before it changes anything, to be sure that the app has it. A secret that the user\n" +
			"had before is replaced.\n\n" +
			"From then on a login needs the code: in answer to ACCT, or behind the password. Who has the URI\n" +
			"can make the codes: do not keep it.",
		Example: "  sluice user totp acme --config sluice.yaml\n" +
			"  sluice user totp acme --config sluice.yaml --remove",
		Args: oneName,
		RunE: func(c *cobra.Command, args []string) error {
			if t.remove && (t.noQR || c.Flags().Changed("issuer")) {
				return usage(c, "--remove makes no secret; leave --issuer and --no-qr out")
			}
			if t.issuer == "" || strings.Contains(t.issuer, ":") {
				return usage(c, "--issuer is empty or has a colon; name who the codes are for")
			}
			f, err := file.open(c)
			if err != nil {
				return err
			}
			if t.remove {
				return t.unset(c, f, args[0])
			}
			return t.set(c, f, args[0])
		},
	}
	file.add(c)
	c.Flags().StringVar(&t.issuer, "issuer", "Sluice", "`name` that the app shows beside that of the user")
	c.Flags().BoolVar(&t.noQR, "no-qr", false, "draw no QR code")
	c.Flags().BoolVar(&t.remove, "remove", false, "take the second factor away")
	return c
}

type totpFlags struct {
	issuer       string
	noQR, remove bool
}

func (t *totpFlags) set(c *cobra.Command, f *userFile, name string) error {
	if _, err := f.find(name); err != nil {
		return failed(c, err)
	}
	random := make([]byte, totpBytes)
	_, _ = rand.Read(random) // it never fails
	secret := base32.StdEncoding.EncodeToString(random)
	if err := t.show(c.OutOrStdout(), totpURI(t.issuer, name, secret)); err != nil {
		return failed(c, err)
	}
	if err := confirm(c, secret); err != nil {
		return failed(c, err)
	}
	err := f.edit(c.Context(), name, func(l yamlfile.List, data []byte) ([]byte, error) {
		return l.Set(data, name, totpKey, secret)
	})
	if err != nil {
		return failed(c, err)
	}
	// Standard output has the URI alone, for who reads it.
	fmt.Fprintf(c.ErrOrStderr(), "%s: %s needs a one-time code now\n", f.path, name)
	return nil
}

// totpURI is what apps read, as the Key Uri Format of Google Authenticator has it. Not all of them take
// a plus for a space.
func totpURI(issuer, name, secret string) string {
	return "otpauth://totp/" + url.PathEscape(issuer) + ":" + url.PathEscape(name) + "?secret=" + secret +
		"&issuer=" + strings.ReplaceAll(url.QueryEscape(issuer), "+", "%20") + "&algorithm=SHA1&digits=6&period=30"
}

func (t *totpFlags) unset(c *cobra.Command, f *userFile, name string) error {
	err := f.edit(c.Context(), name, func(l yamlfile.List, data []byte) ([]byte, error) {
		return l.Unset(data, name, totpKey)
	})
	if err != nil {
		return failed(c, err)
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %s needs no one-time code\n", f.path, name)
	return err
}

// show prints the URI, and draws it on a terminal.
func (t *totpFlags) show(w io.Writer, uri string) error {
	drawn := ""
	if _, ok := onTerminal(w); ok && !t.noQR {
		var err error
		if drawn, err = qrText(uri); err != nil {
			return fmt.Errorf("draw the QR code: %w", err)
		}
	}
	_, err := fmt.Fprintf(w, "%s%s\n", drawn, uri)
	return err
}

// confirm asks for a code of the secret, on a terminal.
func confirm(c *cobra.Command, secret string) error {
	f, ok := onTerminal(c.InOrStdin())
	if !ok {
		return nil
	}
	lines := bufio.NewReader(f)
	for range totpTries {
		fmt.Fprint(c.ErrOrStderr(), "Code from the app: ")
		line, err := lines.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if totp.Validate(strings.ReplaceAll(strings.TrimSpace(line), " ", ""), secret) {
			return nil
		}
		if err != nil {
			break
		}
		fmt.Fprintln(c.ErrOrStderr(), "that is not the code of now")
	}
	return hint{
		error: errors.New("no right code, so nothing was changed"),
		todo:  "scan the new code and try again; the clocks of this machine and of the phone have to agree",
	}
}
