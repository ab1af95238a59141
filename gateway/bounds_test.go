package gateway_test

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/gateway"
	"github.com/sluice-ftp/sluice/limits"
)

const anyMount = "mounts: [{path: /, backend: disk, permissions: [list, read, write, overwrite, append, delete, rename, mkdir]}]"

// greeting is what a new connection is told.
func (f *fixture) greeting() (int, string) {
	f.t.Helper()
	return f.connect(f.explicit).reply()
}

func TestConnectionCaps(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		limits gateway.Limits
		text   string
	}{
		"total":   {gateway.Limits{Connections: 2}, "Too many connections;"},
		"address": {gateway.Limits{ConnectionsPerAddress: 2}, "from your address"},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, func(o *gateway.Options) { o.Limits = test.limits })
			one, two := f.dial(), f.dial()
			if code, text := f.greeting(); code != 421 || !strings.Contains(text, test.text) {
				t.Errorf("a third: %d %s", code, text)
			}
			one.cmd(221, "QUIT")
			two.cmd(331, "USER ann")
			f.waitForSessions(1)
			if code, text := f.greeting(); code != 220 {
				t.Errorf("in the place of one that left: %d %s", code, text)
			}
		})
	}
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	here, there := netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/24")
	for _, test := range []struct {
		allow, deny []netip.Prefix
		want        int
	}{
		{nil, nil, 220},
		{[]netip.Prefix{here}, nil, 220},
		{[]netip.Prefix{there}, nil, 421},
		{nil, []netip.Prefix{there}, 220},
		{[]netip.Prefix{here}, []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, 421},
	} {
		f := start(t, func(o *gateway.Options) { o.AllowFrom, o.DenyFrom = test.allow, test.deny })
		if code, text := f.greeting(); code != test.want {
			t.Errorf("%v, %v: %d %s", test.allow, test.deny, code, text)
		}
	}
}

func TestUserSessions(t *testing.T) {
	t.Parallel()
	f, _ := startFile(t, "users:\n  - {name: ann, HASH, max_sessions: 2, "+anyMount+"}\n  - {name: ben, HASH, "+anyMount+"}\n")
	one, _ := f.loginAs("ann"), f.loginAs("ann")
	c := f.dial()
	c.cmd(331, "USER ann")
	if text := c.cmd(421, "PASS secret"); !strings.Contains(text, "Too many sessions") {
		t.Error(text)
	}
	f.loginAs("ben")
	one.cmd(331, "USER ben") // ann has logged out
	f.loginAs("ann")
}

// Guesses lead to a ban: of the address, for all users, and told before the password is looked at.
func TestBans(t *testing.T) {
	t.Parallel()
	policy := limits.BanPolicy{Failures: 2, Window: time.Hour, Ban: time.Hour}
	f := start(t, func(o *gateway.Options) { o.Limits.Bans = policy })
	inside := f.login()
	c := f.dial()
	for range 2 {
		c.cmd(331, "USER bob")
		c.cmd(530, "PASS guess")
	}
	c.cmd(331, "USER ann")
	c.cmd(421, "PASS secret")
	if code, text := f.greeting(); code != 421 || !strings.Contains(text, "wrong logins") {
		t.Errorf("%d %s", code, text)
	}
	inside.cmd(257, "PWD") // who is in stays
	// A name is banned for those who have never logged in with it from there.
	policy.Never = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	g := start(t, func(o *gateway.Options) { o.Limits.Bans = policy })
	c = g.dial()
	for range 2 {
		c.cmd(331, "USER bob")
		c.cmd(530, "PASS guess")
	}
	c.cmd(331, "USER bob")
	c.cmd(421, "PASS secret")
	g.login()
}

// One who is right and only not allowed now is no guesser.
func TestNotNowIsNoGuess(t *testing.T) {
	t.Parallel()
	f, _ := startFile(t, "users:\n  - {name: ann, HASH, enabled: false, "+anyMount+"}\n", func(o *gateway.Options) {
		o.Limits.Bans = limits.BanPolicy{Failures: 1, Window: time.Hour, Ban: time.Hour}
	})
	c := f.dial()
	c.cmd(331, "USER ann")
	c.cmd(530, "PASS secret")
	if code, text := f.greeting(); code != 220 {
		t.Errorf("%d %s", code, text)
	}
}

func TestUploadSize(t *testing.T) {
	t.Parallel()
	f, _ := startFile(t, "users:\n  - {name: ann, HASH, max_upload_size: 10, "+anyMount+"}\n")
	c := f.login()
	if code, text := c.upload("STOR fits", "0123456789"); code != 226 {
		t.Errorf("%d %s", code, text)
	}
	c.cmd(200, "ALLO 11")
	c.passive()
	c.cmd(552, "STOR announced")
	if code, text := c.upload("STOR larger", "0123456789a"); code != 552 {
		t.Errorf("%d %s", code, text)
	}
	if code, text := c.upload("APPE fits", "a"); code != 552 {
		t.Errorf("%d %s", code, text)
	}
	equal(t, "fits", f.read("fits"), "0123456789")
	equal(t, "larger", f.read("larger"), "<none>")
}

func TestQuota(t *testing.T) {
	t.Parallel()
	f, _ := startFile(t, "users:\n  - {name: ann, HASH, quota: {bytes: 100, files: 4}, "+anyMount+"}\n")
	f.put("there/before", strings.Repeat("x", 60)) // counted before the first upload
	c := f.login()
	if code, text := c.upload("STOR a", strings.Repeat("x", 41)); code != 552 || !strings.Contains(text, "quota") {
		t.Errorf("over the quota: %d %s", code, text)
	}
	equal(t, "a", f.read("a"), "<none>")
	if code, text := c.upload("STOR a", strings.Repeat("x", 40)); code != 226 {
		t.Errorf("all of the quota: %d %s", code, text)
	}
	c.passive()
	c.cmd(552, "STOR b")
	c.cmd(250, "DELE a")
	for _, name := range []string{"a", "b", "c"} {
		if code, text := c.upload("STOR "+name, "x"); code != 226 {
			t.Errorf("%s: %d %s", name, code, text)
		}
	}
	c.passive()
	if text := c.cmd(552, "STOR d"); !strings.Contains(text, "files") {
		t.Error(text)
	}
	// A rename onto a file frees it, and replacing one needs no new file.
	if code, text := c.upload("STOR a", "xx"); code != 226 {
		t.Errorf("replaced: %d %s", code, text)
	}
	c.cmd(350, "RNFR b")
	c.cmd(250, "RNTO c")
	if code, text := c.upload("STOR d", "x"); code != 226 {
		t.Errorf("in the place of one: %d %s", code, text)
	}
}

// An upload whose data connection does not come about reserves nothing.
func TestQuotaOfNoUpload(t *testing.T) {
	t.Parallel()
	f, _ := startFile(t, "users:\n  - {name: ann, HASH, quota: {files: 1, bytes: 4}, "+anyMount+"}\n")
	c := f.loginAs("ann")
	for range 3 {
		conn := c.data()
		c.cmd(150, "STOR file")
		if _, err := io.WriteString(conn, "this is not TLS"); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		if code, text := c.reply(); code < 400 {
			t.Fatal(code, text)
		}
	}
	if code, text := c.upload("STOR file", "four"); code != 226 {
		t.Errorf("%d %s", code, text)
	}
}

// Twenty uploads at once never store more than the quota.
func TestQuotaRace(t *testing.T) {
	t.Parallel()
	const size, quota = 100_000, 1_000_000
	f, _ := startFile(t, fmt.Sprintf("users:\n  - {name: ann, HASH, quota: {bytes: %d}, %s}\n", quota, anyMount))
	var wg sync.WaitGroup
	codes := make([]int, 20)
	for i := range codes {
		c := f.login()
		wg.Go(func() {
			conn := c.data()
			c.send(fmt.Sprintf("STOR file%d", i))
			if codes[i], _ = c.reply(); codes[i] != 150 {
				return
			}
			_, _ = io.WriteString(conn, strings.Repeat("x", size)) // which the server may not take
			_ = conn.Close()
			codes[i], _ = c.reply()
		})
	}
	wg.Wait()
	var stored int64
	files, err := os.ReadDir(f.root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range files {
		if info, err := os.Stat(filepath.Join(f.root, e.Name())); err == nil && !info.IsDir() {
			stored += info.Size()
		}
	}
	for _, code := range codes {
		if code != 226 && code != 552 {
			t.Errorf("a reply is %d", code)
		}
	}
	if stored > quota || stored < quota/2 {
		t.Errorf("%d bytes are stored of %d, replies %v", stored, quota, codes)
	}
}

// A user's bandwidth is that of all transfers together.
func TestBandwidth(t *testing.T) {
	t.Parallel()
	f, _ := startFile(t, "users:\n  - {name: ann, HASH, bandwidth: {upload: 1MiB, download: 1MiB}, "+anyMount+"}\n")
	const size = 600 << 10
	content := strings.Repeat("x", size)
	begin := time.Now()
	c := f.login()
	if code, text := c.upload("STOR file", content); code != 226 {
		t.Fatal(code, text)
	}
	if got := c.download("RETR file"); got != content {
		t.Errorf("%d bytes", len(got))
	}
	// Each direction may send 100 ms worth at once, and then takes its time.
	if took := time.Since(begin); took < 800*time.Millisecond {
		t.Errorf("twice %d bytes at 1 MiB/s took %v", size, took)
	}
}
