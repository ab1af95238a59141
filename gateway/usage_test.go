package gateway_test

import (
	"errors"
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
