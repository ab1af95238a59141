package gateway_test

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/local"
	"github.com/sluice-ftp/sluice/gateway"
)

// startKeeping serves a folder in which uploads of ten bytes and more are kept. ann may do everything,
// ben may not overwrite, and cid may only append.
func startKeeping(t *testing.T, wrap func(backends.CloudStorageAdapter) backends.CloudStorageAdapter) *fixture {
	t.Helper()
	root := t.TempDir()
	store, err := local.Open(local.Config{Root: root, Fsync: local.FsyncNever, KeepAtLeast: 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	f := start(t, func(o *gateway.Options) {
		o.Backends["disk"] = wrap(store)
		o.Auth = people{"ann": auth.All, "ben": auth.All &^ auth.Overwrite, "cid": auth.List | auth.Read | auth.Append}
	})
	f.root = root
	return f
}

func plainly(a backends.CloudStorageAdapter) backends.CloudStorageAdapter { return a }

// people are users by their permissions; everybody's password is secret.
type people map[string]auth.Permissions

// Refresh finds everybody as they were.
func (people) Refresh(u *auth.User, _ netip.Addr) (*auth.User, error) { return u, nil }

func (p people) Authenticate(_ context.Context, l auth.Login) (*auth.User, error) {
	return &auth.User{Name: l.Name, Mounts: []auth.Mount{{Path: "/", Backend: "disk", Permissions: p[l.Name]}}}, nil
}

func (f *fixture) loginAs(name string) *client {
	f.t.Helper()
	c := f.dial()
	c.startTLS()
	c.cmd(331, "USER "+name)
	c.cmd(230, "PASS secret")
	c.cmd(200, "PBSZ 0")
	c.cmd(200, "PROT P")
	c.tls = c.config()
	return c
}

// breakOff sends content with a STOR or the like and cuts the line; it returns the reply.
func (c *client) breakOff(line, content string) (int, string) {
	c.t.Helper()
	raw := c.data()
	c.cmd(150, line)
	if _, err := io.WriteString(c.protect(raw), content); err != nil {
		c.t.Fatal(err)
	}
	if err := raw.Close(); err != nil {
		c.t.Fatal(err)
	}
	return c.reply()
}

const kept16 = "16 bytes are kept: go on with REST 16 and STOR, or with APPE"

func TestKeptUpload(t *testing.T) {
	t.Parallel()
	f := startKeeping(t, plainly)
	ann, ben := f.loginAs("ann"), f.loginAs("ben")
	again := func() {
		t.Helper()
		if code, text := ann.breakOff("STOR file", "0123456789abcdef"); code != 426 || !strings.Contains(text, kept16) {
			t.Fatalf("%d %s", code, text)
		}
	}
	if features := ann.cmd(211, "FEAT"); !strings.Contains(features, "\n X-RESUME STOR;APPE\n") {
		t.Errorf("FEAT: %s", features)
	}
	again()
	equal(t, "SIZE", ann.cmd(213, "SIZE file"), "16")
	if text := ann.cmd(250, "MLST file"); !strings.Contains(text, "size=16;") {
		t.Errorf("MLST: %s", text)
	}
	// Nobody else sees it, and nothing but uploads does.
	ben.cmd(550, "SIZE file")
	ben.cmd(550, "MLST file")
	ben.cmd(550, "DELE file")
	ann.cmd(550, "RNFR file")
	ann.cmd(550, "MDTM file")
	ann.passive()
	ann.cmd(550, "RETR file")
	for _, line := range []string{"NLST", "LIST", "MLSD"} {
		if text := ann.download(line); strings.Contains(text, "file") {
			t.Errorf("%s shows it: %s", line, text)
		}
	}

	ann.cmd(350, "REST 17")
	ann.passive()
	ann.cmd(554, "STOR file")
	ann.cmd(350, "REST 16")
	if code, text := ann.upload("STOR file", "ghij"); code != 226 {
		t.Errorf("%d %s", code, text)
	}
	equal(t, "file", f.read("file"), "0123456789abcdefghij")
	f.remove("file")

	again()
	if code, text := ann.upload("APPE file", "GHIJ"); code != 226 {
		t.Errorf("%d %s", code, text)
	}
	equal(t, "file", f.read("file"), "0123456789abcdefGHIJ")
	f.remove("file")

	again()
	ann.cmd(350, "REST 10")
	if code, text := ann.upload("STOR file", "something else"); code != 551 {
		t.Errorf("%d %s", code, text)
	}
	equal(t, "SIZE", ann.cmd(213, "SIZE file"), "16")
	ann.cmd(250, "DELE file")
	ann.cmd(550, "DELE file")
	ann.cmd(550, "SIZE file")

	again()
	if code, text := ann.upload("STOR file", "afresh"); code != 226 {
		t.Errorf("%d %s", code, text)
	}
	equal(t, "file", f.read("file"), "afresh")
	equal(t, "SIZE", ann.cmd(213, "SIZE file"), "6")
}

// What has no name of its own or another length there is not kept, nor what is too short.
func TestNotKept(t *testing.T) {
	t.Parallel()
	f := startKeeping(t, plainly)
	ann, cid := f.loginAs("ann"), f.loginAs("cid")
	notKept := func(c *client, line, content string) {
		t.Helper()
		if code, text := c.breakOff(line, content); code != 426 || !strings.HasSuffix(text, "nothing was published") {
			t.Errorf("%s: %d %s", line, code, text)
		}
	}
	const content = "0123456789abcdef"
	notKept(ann, "STOR short", content[:9])
	notKept(ann, "STOU", content)
	ann.cmd(200, "TYPE A")
	notKept(ann, "STOR lines", content)
	ann.cmd(200, "TYPE I")
	ann.cmd(550, "SIZE short")
	ann.cmd(550, "SIZE lines")
	f.put("there", "there")
	notKept(cid, "APPE there", content)
	equal(t, "there", f.read("there"), "there")
	cid.passive()
	cid.cmd(553, "APPE new")
}

// Who may not overwrite goes on with what is kept, and replaces nothing.
func TestKeptWithoutOverwrite(t *testing.T) {
	t.Parallel()
	f := startKeeping(t, plainly)
	ben := f.loginAs("ben")
	for _, there := range []bool{false, true} {
		if code, text := ben.breakOff("STOR file", "0123456789abcdef"); code != 426 || !strings.Contains(text, kept16) {
			t.Fatalf("%d %s", code, text)
		}
		data := ben.open("APPE file")
		if there { // it comes into being meanwhile
			f.put("file", "there")
		}
		if _, err := io.WriteString(data, "ghij"); err == nil {
			finish(t, data)
		} else if !there {
			t.Fatal(err)
		}
		code, text := ben.reply()
		if want := map[bool]int{false: 226, true: 553}[there]; code != want {
			t.Errorf("there %t: %d %s", there, code, text)
		}
		equal(t, "file", f.read("file"), map[bool]string{false: "0123456789abcdefghij", true: "there"}[there])
		f.remove("file")
	}
}

// Two sessions of one user: while one writes, the other is told to come later, but a file that it may
// remove is removed.
func TestKeptWhileAnotherWrites(t *testing.T) {
	t.Parallel()
	f := startKeeping(t, plainly)
	one, two := f.loginAs("ann"), f.loginAs("ann")
	if code, _ := one.breakOff("STOR file", "0123456789abcdef"); code != 426 {
		t.Fatal(code)
	}
	data := one.open("APPE file")
	if _, err := io.WriteString(data, "gh"); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(one.cmd(211, "STAT"), "APPE: 2 bytes") { // it has taken the upload over
		<-time.After(time.Millisecond)
	}
	two.passive()
	two.cmd(450, "APPE file")
	two.cmd(350, "REST 16")
	two.passive()
	two.cmd(450, "STOR file")
	two.cmd(450, "DELE file")
	two.cmd(550, "SIZE file")
	f.put("file", "there")
	two.cmd(250, "DELE file")
	equal(t, "file", f.read("file"), "<none>")
	if _, err := io.WriteString(data, "ij"); err != nil {
		t.Fatal(err)
	}
	finish(t, data)
	one.want(226)
	equal(t, "file", f.read("file"), "0123456789abcdefghij")
}

// forgetful is a store that cannot drop what it keeps, nor say what.
type forgetful struct{ backends.CloudStorageAdapter }

func (forgetful) Pending(context.Context, string, string) (backends.Pending, error) {
	return backends.Pending{}, &backends.Error{Kind: backends.Unavailable}
}

func (forgetful) Discard(context.Context, string, string) error {
	return &backends.Error{Kind: backends.Unavailable, Err: errors.New("the store is on fire")}
}

// A file that has been removed is reported as removed, whatever becomes of what was kept.
func TestRemovedAllTheSame(t *testing.T) {
	t.Parallel()
	f := startKeeping(t, func(a backends.CloudStorageAdapter) backends.CloudStorageAdapter { return forgetful{a} })
	ann := f.loginAs("ann")
	f.put("file", "there")
	ann.cmd(250, "DELE file")
	equal(t, "file", f.read("file"), "<none>")
	if !strings.Contains(f.log.String(), "the store is on fire") {
		t.Error("the operator is not told")
	}
	ann.cmd(450, "DELE file")
	ann.cmd(450, "SIZE file")
}

// forgetting is a store that keeps nothing.
type forgetting struct {
	backends.CloudStorageAdapter
	backends.NotResumable
}

func (f forgetting) Capabilities() backends.Capabilities {
	c := f.CloudStorageAdapter.Capabilities()
	c.Resume = false
	return c
}

func (f forgetting) Pending(ctx context.Context, key, owner string) (backends.Pending, error) {
	return f.NotResumable.Pending(ctx, key, owner)
}

func (f forgetting) Discard(ctx context.Context, key, owner string) error {
	return f.NotResumable.Discard(ctx, key, owner)
}

func TestStoreThatKeepsNothing(t *testing.T) {
	t.Parallel()
	f := startKeeping(t, func(a backends.CloudStorageAdapter) backends.CloudStorageAdapter {
		return forgetting{CloudStorageAdapter: a}
	})
	ann := f.loginAs("ann")
	features := strings.Split(ann.cmd(211, "FEAT"), "\n")
	if slices.ContainsFunc(features, func(l string) bool { return strings.Contains(l, "RESUME") }) {
		t.Errorf("FEAT: %q", features)
	}
	if code, text := ann.breakOff("STOR file", "0123456789abcdef"); code != 426 || !strings.HasSuffix(text, "nothing was published") {
		t.Errorf("%d %s", code, text)
	}
	ann.cmd(550, "SIZE file")
	ann.cmd(550, "DELE file")
	f.put("file", "there")
	ann.cmd(250, "DELE file")
	if strings.Contains(f.log.String(), "was not dropped") {
		t.Error("the operator is warned of what is no fault")
	}
}

// At half of the grace uploads end that lose nothing by it; one that is too small to be kept goes on to the end.
func TestShutdownCutsOnlyWhatIsKept(t *testing.T) {
	t.Parallel()
	f := startKeeping(t, plainly)
	small, large := f.loginAs("ann"), f.loginAs("ann")
	toSmall, toLarge := small.open("STOR small"), large.open("STOR large")
	for conn, content := range map[io.Writer]string{toSmall: "small", toLarge: "large enough to be kept"} {
		if _, err := io.WriteString(conn, content); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
		defer cancel()
		done <- f.server.Shutdown(ctx)
	}()
	large.want(426) // it is half time
	finish(t, toSmall)
	small.want(226)
	if err := <-done; err != nil {
		t.Error(err)
	}
	equal(t, "small", f.read("small"), "small")
}
