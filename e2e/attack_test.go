package e2e

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-ftp/sluice/e2e/ftp"
)

// startForAttack starts a gateway for these users, each of whom has $HASH for the password. more are
// further lines of its configuration.
func startForAttack(t *testing.T, dir, users string, more ...string) cutServer {
	t.Helper()
	p := ports(t)
	config := fmt.Sprintf(`listen:  {ftp: "127.0.0.1:%d", ftps: ""}
passive: {ports: "%s"}
tls:     {mode: required, cert_file: server.pem, key_file: server.key}
backends:
  disk: {type: local, root: ./data, fsync: never}
users_file: users.yaml
`, p.FTP, p.Passive()) + strings.Join(more, "\n")
	for name, text := range map[string]string{"sluice.yaml": config, "users.yaml": "users:\n" + users} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return startForCuts(t, dir, "", p)
}

// transfer runs a command that needs a data connection, sends content or, if that is nil, takes what
// comes, and returns the last reply. Only what keeps the session from going on is an error.
func transfer(c *ftp.Client, command string, content []byte) (ftp.Reply, []byte, error) {
	return transferAfter(c, command, content, func() {})
}

// transferAfter calls meet before the first byte.
func transferAfter(c *ftp.Client, command string, content []byte, meet func()) (ftp.Reply, []byte, error) {
	d, err := c.Open(command)
	var refused *ftp.ReplyError
	switch {
	case errors.As(err, &refused) && refused.Verb != "EPSV":
		return refused.Reply, nil, nil
	case d == nil:
		return ftp.Reply{}, nil, err
	}
	meet()
	var got []byte
	switch {
	case err != nil: // the handshake failed, and the reply tells why
	case content != nil:
		// The server may end it at any time.
		if _, err := d.Write(content); err == nil {
			_ = d.Finish()
		}
	default:
		got, _ = io.ReadAll(d)
		_ = d.Close()
	}
	_ = d.FIN() // it may be closed already
	reply, err := c.Reply()
	return reply, got, err
}
