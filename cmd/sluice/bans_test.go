package main

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/limits"
)

// realBans are those of a gateway without one.
type realBans struct {
	operated
	all *limits.Bans
}

func (b realBans) Bans() []limits.Ban        { return b.all.List() }
func (b realBans) Unban(subject string) bool { return b.all.Remove(subject) }

func TestBansCommands(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "admin.sock")
	bans := limits.NewBans(limits.BanPolicy{Failures: 1, Window: time.Hour, Ban: time.Hour})
	a, err := listenAdmin(t.Context(), socket, realBans{all: bans}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sluice := func(args ...string) (int, string) {
		var out bytes.Buffer
		code := run(t.Context(), append(append([]string{"bans"}, args...), "--socket", socket), nil, &out, &out)
		return code, out.String()
	}
	want := func(code int, text string, args ...string) {
		t.Helper()
		if got, out := sluice(args...); got != code || !strings.Contains(out, text) {
			t.Errorf("bans %q: %d %q, want %d %q", args, got, out, code, text)
		}
	}
	want(0, "Nobody is banned.", "list")
	bans.Fail(netip.MustParseAddr("192.0.2.7"), "evil \x1b[2J")
	want(0, "192.0.2.7", "list")
	want(0, `"evil \x1b[2J"`, "list")
	want(0, "The ban of 192.0.2.7 is lifted.", "remove", "192.0.2.7")
	if _, banned := bans.Banned(netip.MustParseAddr("192.0.2.7"), ""); banned {
		t.Error("it is still banned")
	}
	want(1, "is not banned", "remove", "192.0.2.7")
	want(0, "is lifted", "remove", "evil \x1b[2J")
	want(2, "name one address", "remove")
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket has mode %v, %v", info.Mode(), err)
	}
	if _, err := listenAdmin(t.Context(), socket, realBans{all: bans}, nil); err == nil || !strings.Contains(err.Error(), "another gateway") {
		t.Errorf("a second gateway: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	want(1, "does not answer", "list")

	// What a killed process left is no obstacle; what is no socket is not touched.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	b, err := listenAdmin(t.Context(), socket, realBans{all: bans}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenAdmin(t.Context(), file, realBans{all: bans}, nil); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("a file: %v", err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}
