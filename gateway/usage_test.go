package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/backendtest"
	"github.com/sluice-ftp/sluice/gateway"
)

func (f *fixture) wantUsage(u *usersFile, want ...gateway.Usage) {
	f.t.Helper()
	got := f.server.Usage(u.Users())
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(gateway.Usage{}, "Counted")); diff != "" {
		f.t.Errorf("usage (-want +got):\n%s", diff)
	}
}

// What others put into the store, or take out of it, is found by the next count.
func TestCountQuotas(t *testing.T) {
	t.Parallel()
	f, u := startFile(t, "users:\n  - {name: ann, HASH, quota: {bytes: 100}, "+anyMount+"}\n"+
		"  - {name: ben, HASH, "+anyMount+"}\n")
	f.put("deep/below/file", strings.Repeat("x", 30))
	if err := f.server.CountQuotas(t.Context(), u.Users()); err != nil {
		t.Fatal(err)
	}
	f.wantUsage(u, gateway.Usage{User: "ann", Bytes: 30, Files: 1, MaxBytes: 100})
	if f.server.Usage(u.Users())[0].Counted.IsZero() {
		t.Error("it is not said when that was counted")
	}
	f.put("other", strings.Repeat("x", 60))
	c := f.login()
	if code, text := c.upload("STOR a", strings.Repeat("x", 20)); code != 226 {
		t.Errorf("before the next count: %d %s", code, text)
	}
	if err := f.server.CountQuotas(t.Context(), u.Users()); err != nil {
		t.Fatal(err)
	}
	f.wantUsage(u, gateway.Usage{User: "ann", Bytes: 110, Files: 3, MaxBytes: 100})
	c.passive()
	c.cmd(552, "STOR b")
	f.remove("other")
	if err := f.server.CountQuotas(t.Context(), u.Users()); err != nil {
		t.Fatal(err)
	}
	if code, text := c.upload("STOR b", "x"); code != 226 {
		t.Errorf("with room again: %d %s", code, text)
	}
}

// A store that does not answer about one user keeps nothing from the others, nor what was known from him.
func TestCountQuotasFails(t *testing.T) {
	t.Parallel()
	var store *backendtest.FaultyAdapter
	f, u := startFile(t, "users:\n  - {name: ann, HASH, quota: {bytes: 100}, "+anyMount+"}\n"+
		"  - {name: ben, HASH, quota: {files: 7}, mounts: [{path: /, backend: other, permissions: [list]}]}\n",
		func(o *gateway.Options) {
			o.Backends["other"] = o.Backends["disk"]
			store = backendtest.Faulty(o.Backends["disk"])
			o.Backends["disk"] = store
		})
	f.put("file", "four")
	if err := f.server.CountQuotas(t.Context(), u.Users()); err != nil {
		t.Fatal(err)
	}
	f.put("more", "four")
	store.FailNext("list", &backends.Error{Op: "list", Err: errors.New("down")})
	if err := f.server.CountQuotas(t.Context(), u.Users()); err == nil || !strings.Contains(err.Error(), `"ann"`) {
		t.Errorf("the error is %v", err)
	}
	f.wantUsage(u, gateway.Usage{User: "ann", Bytes: 4, Files: 1, MaxBytes: 100}, gateway.Usage{User: "ben", Bytes: 8, Files: 2, MaxFiles: 7})
}

// Who is given other mounts, or a quota again, is counted anew.
func TestQuotaOfOtherMounts(t *testing.T) {
	t.Parallel()
	user := func(prefix, quota string) string {
		return "users:\n  - {name: ann, HASH, " + quota + "mounts: [{path: /, backend: disk, prefix: " + prefix +
			", permissions: [list, read, write, overwrite, delete]}]}\n"
	}
	f, u := startFile(t, user("one", "quota: {bytes: 10}, "))
	f.put("two/full", "0123456789")
	c := f.login()
	reload := func(text string) {
		t.Helper()
		u.replace(text)
		f.server.Refresh()
	}
	upload := func(name string) {
		t.Helper()
		if code, text := c.upload("STOR "+name, "12345678"); code != 226 {
			t.Errorf("%s: %d %s", name, code, text)
		}
	}
	upload("a")
	reload(user("one", ""))
	upload("b") // which nobody counts
	reload(user("one", "quota: {bytes: 16}, "))
	c.passive()
	c.cmd(552, "STOR c")
	c.cmd(250, "DELE b")
	upload("c")
	reload(user("two", "quota: {bytes: 10}, "))
	c.passive()
	c.cmd(552, "STOR d")
}

// onDisk is what there is of all files, those that are kept included.
func (f *fixture) onDisk() (size int64) {
	f.t.Helper()
	err := filepath.WalkDir(f.root, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasSuffix(d.Name(), ".json") {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				size += info.Size()
			}
		}
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return size
}

const keptQuota = 20 << 20

// keep sends so many bytes of a file and breaks off, and reports whether they are kept.
func (c *client) keep(command string, size int) bool {
	c.t.Helper()
	addr := c.passive()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	c.send(command)
	if code, _ := c.reply(); code != 150 {
		return false
	}
	tc := c.protect(conn)
	_, _ = io.WriteString(tc, strings.Repeat("x", size)) // the server may not take all of it
	_ = conn.Close()
	_, text := c.reply()
	return strings.Contains(text, "are kept")
}

// However kept uploads are gone on with, begun anew, given up or hidden: they take room as long as they are
// there.
func TestQuotaOfKept(t *testing.T) {
	t.Parallel()
	for name, attack := range map[string]func(t *testing.T, f *fixture, c *client, i int){
		"restarted and held": func(t *testing.T, f *fixture, c *client, i int) {
			file := fmt.Sprint("file", i)
			if !c.keep("STOR "+file, 15<<20) {
				return
			}
			held := f.loginTLS()
			held.cmd(350, "REST 1")
			held.passive()
			held.send("STOR " + file) // whose data connection never comes
		},
		"hidden by another": func(t *testing.T, f *fixture, c *client, i int) {
			file := fmt.Sprint("file", i)
			if !c.keep("STOR "+file, 15<<20) {
				return
			}
			if code, _ := c.upload("STOR tiny", "x"); code == 226 {
				c.cmd(350, "RNFR tiny")
				c.cmd(250, "RNTO "+file)
			}
		},
		"begun anew": func(t *testing.T, f *fixture, c *client, i int) {
			file := fmt.Sprint("file", i)
			if c.keep("STOR "+file, 15<<20) {
				c.upload("STOR "+file, "x")
			}
		},
		"aborted": func(t *testing.T, f *fixture, c *client, i int) {
			file := fmt.Sprint("file", i)
			if c.keep("STOR "+file, 15<<20) {
				c.passive()
				c.send("STOR " + file)
				for range 20 { // so that it has begun
					c.cmd(200, "NOOP")
				}
				c.send("ABOR")
				for code := 0; code != 226; code, _ = c.reply() {
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, u := startFile(t, fmt.Sprintf("users:\n  - {name: ann, HASH, quota: {bytes: %d}, %s}\n", keptQuota, anyMount))
			for i := range 4 {
				attack(t, f, f.loginTLS(), i)
				if size := f.onDisk(); size > keptQuota+1<<20 {
					t.Fatalf("%d: %d bytes are on disk, usage %+v", i, size, f.server.Usage(u.Users()))
				}
			}
		})
	}
}

// What is kept no longer takes no room, also of an upload that has begun.
func TestQuotaOfWhatIsGone(t *testing.T) {
	t.Parallel()
	f, u := startFile(t, fmt.Sprintf("users:\n  - {name: ann, HASH, quota: {bytes: %d}, %s}\n", keptQuota, anyMount))
	c := f.loginTLS()
	if !c.keep("STOR file", 15<<20) {
		t.Fatal("it is not kept")
	}
	kept, err := filepath.Glob(filepath.Join(f.root, backends.Private, "kept", "*"))
	if err != nil || len(kept) < 2 {
		t.Fatalf("%q, %v", kept, err)
	}
	for _, name := range kept { // as the sweep does
		if filepath.Base(name) != "lock" {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if code, text := c.upload("STOR other", strings.Repeat("x", 7<<20)); code != 226 {
		t.Errorf("%d %s, usage %+v", code, text, f.server.Usage(u.Users()))
	}
}

// A file that moves out of a count's way is counted all the same.
func TestCountMeetsRename(t *testing.T) {
	t.Parallel()
	var store *backendtest.FaultyAdapter
	f, u := startFile(t, "users:\n  - {name: ann, HASH, quota: {bytes: 100}, "+anyMount+"}\n", func(o *gateway.Options) {
		store = backendtest.Faulty(o.Backends["disk"])
		o.Backends["disk"] = store
	})
	f.put("a/file", strings.Repeat("x", 49))
	f.put("b/file", strings.Repeat("x", 49))
	c := f.login()
	armed, last := true, ""
	store.SetHook(func(_ context.Context, op, key string) error {
		if op != "list" {
			return nil
		}
		if armed && (key == "a" || key == "b") && (last == "a" || last == "b") && last != key {
			armed = false // out of the folder that is listed next, into the one that has been
			c.cmd(350, "RNFR "+key+"/file")
			c.cmd(250, "RNTO "+last+"/moved")
		}
		last = key
		return nil
	})
	for _, when := range []string{"nothing is known", "it was counted before"} {
		if err := f.server.CountQuotas(t.Context(), u.Users()); err != nil {
			t.Fatal(err)
		}
		if got := f.server.Usage(u.Users())[0].Bytes; got < 98 {
			t.Errorf("%s: %d bytes are counted of 98", when, got)
		}
		if armed {
			t.Fatal("nothing was renamed")
		}
		// Everything where it was, for the next.
		for _, dir := range []string{"a", "b"} {
			if f.read(dir+"/file") == "<none>" {
				other := map[string]string{"a": "b", "b": "a"}[dir]
				c.cmd(350, "RNFR "+other+"/moved")
				c.cmd(250, "RNTO "+dir+"/file")
			}
		}
		armed = true
	}
}
