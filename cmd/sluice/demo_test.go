package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-ftp/sluice/auth"
)

var anyPort = demoOptions{FTP: "127.0.0.1:0", FTPS: "127.0.0.1:0"}

func TestDemoFirstStart(t *testing.T) {
	o := anyPort
	o.Folder = filepath.Join(t.TempDir(), "sluice-data")
	first, err := prepareDemo(o)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^[a-z2-7]{20}$`).MatchString(first.password) {
		t.Errorf("password %q", first.password)
	}
	for _, name := range []string{"cert.pem", "key.pem", "users.yaml"} {
		info, err := os.Stat(filepath.Join(o.Folder, ".sluice", name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Error(name, info, err)
		}
	}
	users, err := auth.OpenFile(first.config.UsersFile, rules(first.config))
	if err != nil {
		t.Fatal(err)
	}
	u, err := users.Authenticate(t.Context(), auth.Login{Name: "demo", Password: first.password})
	if err != nil || u.Mounts[0].Permissions != auth.All || u.Mounts[0].Path != "/" {
		t.Error(u, err)
	}
	text, _ := os.ReadFile(first.config.UsersFile)
	if strings.Contains(string(text), first.password) {
		t.Error("the password is in the file")
	}

	cert, _ := os.ReadFile(first.config.TLS.CertFile)
	second, err := prepareDemo(o)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := os.ReadFile(first.config.TLS.CertFile)
	if second.password != "" || !bytes.Equal(cert, again) {
		t.Error("the second start made things anew")
	}
}

// The certificate is its own authority, for the names that the demo listens on.
func TestMakeCertificate(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "c"), filepath.Join(dir, "k")
	if err := makeCertificate(certFile, keyFile, time.Now()); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(pair.Leaf)
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		o := x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: time.Now().AddDate(9, 11, 0)}
		if _, err := pair.Leaf.Verify(o); err != nil {
			t.Error(name, err)
		}
	}
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: "example.com", Roots: roots}); err == nil {
		t.Error("it is for any name")
	}
}

func TestDemoCertificateProblems(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, cert, key string){
		"no key":      func(t *testing.T, _, key string) { remove(t, key) },
		"no cert":     func(t *testing.T, cert, _ string) { remove(t, cert) },
		"another key": func(t *testing.T, _, key string) { check0(t, makeCertificate(os.DevNull, key, time.Now())) },
		"rubbish":     func(t *testing.T, cert, _ string) { write(t, cert, "x") },
	} {
		t.Run(name, func(t *testing.T) {
			o := anyPort
			o.Folder = t.TempDir()
			d, err := prepareDemo(o)
			if err != nil {
				t.Fatal(err)
			}
			spoil(t, d.config.TLS.CertFile, d.config.TLS.KeyFile)
			_, err = prepareDemo(o)
			var text strings.Builder
			report(&text, err)
			for _, want := range []string{d.config.TLS.CertFile, d.config.TLS.KeyFile, "remove both files"} {
				if !strings.Contains(text.String(), want) {
					t.Errorf("%q does not have %q", text.String(), want)
				}
			}
		})
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	check0(t, os.Remove(path))
}

func check0(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The whole command: the banner, a greeting on both listeners, and the end.
func TestServeDemo(t *testing.T) {
	defer goleak.VerifyNone(t)
	t.Chdir(t.TempDir())
	first := serveUntilGreeting(t)
	password := regexp.MustCompile(`password      ([a-z2-7]{20})\n`).FindStringSubmatch(first)
	if password == nil {
		t.Fatal(first)
	}
	if !regexp.MustCompile(`curl --ssl-reqd --cacert sluice-data/.sluice/cert.pem -u demo:` + password[1] +
		` -T hello.txt ftp://127.0.0.1:\d+/\n`).MatchString(first) {
		t.Error(first)
	}
	second := serveUntilGreeting(t)
	if strings.Contains(second, password[1]) || !strings.Contains(second, "remove\n                sluice-data/.sluice/users.yaml and start again") ||
		!strings.Contains(second, "-u demo -T hello.txt") {
		t.Error(second)
	}
}

// serveUntilGreeting runs serve on free ports, asks both for their greeting, and ends it.
func serveUntilGreeting(t *testing.T) (banner string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	var log lockedBuffer
	done := make(chan int)
	go func() {
		code := run(ctx, []string{"serve", "--ftp", "127.0.0.1:0", "--ftps", "127.0.0.1:0"}, nil, in, &log)
		_ = in.Close()
		done <- code
	}()
	buf := make([]byte, 4096)
	n, err := out.Read(buf) // the banner is one write
	if err != nil {
		t.Error(err, log.String())
	}
	banner = string(buf[:n])
	for _, m := range regexp.MustCompile(`(ftps?)://([^/]+)/\n`).FindAllStringSubmatch(banner, 2) {
		if err := probe(t.Context(), target{addr: m[2], implicit: m[1] == "ftps"}); err != nil {
			t.Error(m[0], err)
		}
	}
	cancel()
	if code := <-done; code != exitOK {
		t.Error(code, log.String())
	}
	return banner
}

// When the first start fails, its password was never shown: the next one makes another.
func TestServeDemoPortTaken(t *testing.T) {
	t.Chdir(t.TempDir())
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	check0(t, err)
	defer taken.Close()
	var out, log bytes.Buffer
	code := run(t.Context(), []string{"serve", "--ftp", "127.0.0.1:0", "--ftps", taken.Addr().String()}, nil, &out, &log)
	want := "sluice: serve: listen tcp " + taken.Addr().String() + ": bind: address already in use\n" +
		"sluice: choose other ports: sluice serve --ftp 127.0.0.1:2222 --ftps 127.0.0.1:2223\n"
	if code != exitFailure || out.Len() > 0 || log.String() != want {
		t.Errorf("%d %q %q", code, out.String(), log.String())
	}
	if _, err := os.Stat("sluice-data/.sluice/users.yaml"); !os.IsNotExist(err) {
		t.Error("the password that nobody saw was kept:", err)
	}
}

// A file is whole or not there: a full disk leaves no stub that the next start takes for a user.
func TestWriteWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "users.yaml")
	full := errors.New("disk full")
	err := writeWhole(path, func(w io.Writer) error {
		_, err := io.WriteString(w, "users:")
		return errors.Join(err, full)
	})
	left, readErr := os.ReadDir(dir)
	if !errors.Is(err, full) || readErr != nil || len(left) != 0 {
		t.Error(err, left, readErr)
	}
	check0(t, writeWhole(path, func(w io.Writer) error { _, err := io.WriteString(w, "users:"); return err }))
	info, err := os.Stat(path)
	if err != nil || info.Size() != 6 || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
}

// What an older version left of a users file on a full disk is made anew.
func TestDemoEmptyUsersFile(t *testing.T) {
	o := anyPort
	o.Folder = t.TempDir()
	d, err := prepareDemo(o)
	check0(t, err)
	write(t, d.config.UsersFile, "")
	if d, err = prepareDemo(o); err != nil || d.password == "" {
		t.Error("an empty file passes for a user:", err)
	}
}
