package gateway_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sluice-ftp/sluice/gateway"
)

// FuzzSession sends what it likes to a session that has logged in. Whatever that is, every line that
// comes back is a reply, the server lives on, and nothing outside of the served folder is touched.
func FuzzSession(f *testing.F) {
	for _, seed := range []string{
		"PWD\r\nCWD ..\r\nSTAT /\r\n", "MKD a\r\nRNFR a\r\nRNTO ../../b\r\n", "EPSV\r\nSTOR x\r\nABOR\r\n",
		"XCRC \"a b\" 1 2\r\nHASH file\r\nRANG 1 2\r\n", "PORT 127,0,0,1,1,1\r\nEPRT |1|::1|1|\r\n", "\xff\xf4\xff\xf2ABOR\r\n",
		"SITE CHMOD\r\nOPTS MLST a;b\r\nOPTS\r\n", "MDTM 20200101000000 file\r\nMFMT 1 2\r\n", "USER x\r\nPWD\r\n", "ALLO 1 R\r\nREST -1\r\nTYPE\r\n",
		"STAT -la ../\r\nMLST \\..\\\r\n", "DELE file", "\r\n\r\n\n", "AVBL ../../..\r\nSIZE \x00\r\n", "NLST\r\nQUIT\r\nQUIT\r\n", "REIN\r\nPWD\r\n",
	} {
		f.Add([]byte(seed))
	}
	outside := f.TempDir()
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		f.Fatal(err)
	}
	s := start(f, func(o *gateway.Options) { o.ActiveMode = true })
	if err := os.Symlink(outside, filepath.Join(s.root, "out")); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.Contains(bytes.ToUpper(data), []byte("PASS")) {
			t.Skip("wrong logins are answered slowly")
		}
		s := s.in(t)
		s.put("file", "content")
		c := s.login()
		go func() {
			_, _ = c.conn.Write(data) // it may hang up at any byte
			_, _ = io.WriteString(c.conn, "\r\nABOR\r\nQUIT\r\n")
		}()
		for {
			line, err := c.r.ReadString('\n')
			if os.IsTimeout(err) {
				t.Fatal("the session hangs")
			}
			if err != nil {
				break
			}
			if len(line) > 4 && line[0] != ' ' {
				if code, err := strconv.Atoi(line[:3]); err != nil || code < 100 || code > 599 || !strings.HasSuffix(line, "\r\n") {
					t.Fatalf("%q is no reply", line)
				}
			}
			if strings.Contains(line, "secret") && !bytes.Contains(data, []byte("secret")) {
				t.Fatalf("%q tells what is outside", line)
			}
		}
		if strings.Contains(s.log.String(), "msg=panic") {
			t.Fatal("a command panicked")
		}
		if b, err := os.ReadFile(secret); err != nil || string(b) != "secret" {
			t.Fatalf("outside: %q %v", b, err)
		}
		c.close()
	})
}
