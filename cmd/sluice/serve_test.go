package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Whoever collects the log may die: that loses lines, and neither sessions nor the gateway.
func TestServeDeadLogReader(t *testing.T) {
	reader, writer, err := os.Pipe()
	check0(t, err)
	banner, out, err := os.Pipe()
	check0(t, err)
	defer banner.Close()
	self, err := os.Executable()
	check0(t, err)
	cmd := exec.Command(self, "serve", "--ftp", "127.0.0.1:0", "--ftps", "")
	cmd.Args[0], cmd.Dir = "sluice", t.TempDir() // see TestMain
	cmd.Stdout, cmd.Stderr = out, writer
	check0(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill() }()
	check0(t, errors.Join(out.Close(), writer.Close()))
	buf := make([]byte, 4096)
	n, err := banner.Read(buf)
	check0(t, err)
	check0(t, reader.Close())
	addr := regexp.MustCompile(`ftp://([^/]+)/`).FindSubmatch(buf[:n])
	for range 3 {
		if err := probe(t.Context(), target{addr: string(addr[1])}); err != nil {
			t.Fatal(err)
		}
	}
	check0(t, cmd.Process.Signal(syscall.SIGTERM))
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// The first lines of a log say what runs, and what about its files should not stay.
func TestAnnounce(t *testing.T) {
	p := madeAt(t, time.Now())
	dir := t.TempDir()
	conf := filepath.Join(dir, "sluice.yaml")
	write(t, conf, "listen: {ftp: '127.0.0.1:0', ftps: ''}\ntls: {cert_file: '"+p.CertFile+"', key_file: '"+p.KeyFile+"'}\n"+
		"backends: {disk: {type: local, root: .}}\nusers_file: users.yaml\n")
	write(t, filepath.Join(dir, "users.yaml"), "users:\n"+bcryptUser("acme")+bcryptUser("bolt"))
	check0(t, os.Chmod(p.KeyFile, 0o644))
	c, err := loadConfig(conf, environ(nil))
	check0(t, err)
	var log lockedBuffer
	c.Log.Format = "text"
	logger, level := newLogger(&log, c.Log)
	a, err := newApp(t.Context(), c, logger, level)
	check0(t, err)
	check0(t, a.Close())
	for _, want := range []string{
		`level=INFO msg=starting version=\S+ config=` + conf + ` backends=1 users=2`,
		`level=INFO msg=certificate names=localhost,127\.0\.0\.1,::1 not_after=\S+Z state=valid`,
		`level=WARN msg="configuration warning" file=` + p.KeyFile + ` warning="every user of this machine may read it \(mode 0644\)`,
	} {
		if !regexp.MustCompile(want).MatchString(log.String()) {
			t.Errorf("no %s in\n%s", want, log.String())
		}
	}
}

func bcryptUser(name string) string {
	return "  - name: " + name + "\n    password_hash: $2y$04$IHhIu9LP0ijYNfDnOCVdt.mMLxTfUowDvROH7IXIW5gZRlfJ8swfG\n" +
		"    mounts: [{path: /, backend: disk, permissions: [read]}]\n"
}

// Who may not read a file is told who they are, and what to do.
func TestMendFile(t *testing.T) {
	c, err := parseConfig("F", []byte("tls: {"+certs+", certificates: [{cert_file: a, key_file: b}]}"+rest), nil)
	check0(t, err)
	refused := &fs.PathError{Op: "open", Path: "b", Err: syscall.EACCES}
	var text strings.Builder
	report(&text, c.keyPairs()[1].fault(c, refused))
	want := regexp.MustCompile(`^F:1:82: tls\.certificates\[0\]\.key_file: open b: permission denied; user \d+, who runs this, may not read it: .*chown.*chmod u\+r`)
	if !want.MatchString(text.String()) {
		t.Error(text.String())
	}
}

// An implicit listener says nothing until TLS begins: the one who forgot is told.
func TestProbeImplicitHint(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // the system accepts, and nobody speaks
	check0(t, err)
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	var text bytes.Buffer
	report(&text, probe(ctx, target{addr: l.Addr().String()}))
	if !strings.Contains(text.String(), "i/o timeout\nsluice: where TLS begins at once (listen.ftps), ask with --implicit\n") {
		t.Error(text.String())
	}
}
