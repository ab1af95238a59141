package local_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/local"
)

// prison is a root with a secret beside it and links to it from within.
type prison struct {
	*local.Adapter
	root, outside string
}

func newPrison(t *testing.T) prison {
	t.Helper()
	base := t.TempDir()
	p := prison{root: filepath.Join(base, "root"), outside: filepath.Join(base, "outside")}
	for _, dir := range []string{p.root, p.outside, filepath.Join(p.root, "in"), filepath.Join(p.outside, "sub")} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, data := range map[string]string{
		filepath.Join(p.outside, "secret"): "secret", filepath.Join(p.root, "in/o"): "inside",
	} {
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"abs": p.outside, "up": "../outside", "in/up": "../../outside", "absfile": p.outside + "/secret",
		"upfile": "../outside/secret", "self": "self", "dangling": "nowhere", "chain": "up",
		"proc": "/proc/self/root" + p.outside, "good": "in", "goodfile": "in/o", "dot": ".",
		"private": ".sluice", "tmp": ".sluice/tmp",
	} {
		if err := os.Symlink(target, filepath.Join(p.root, name)); err != nil {
			t.Fatal(err)
		}
	}
	p.Adapter = open(t, local.Config{Root: p.root})
	return p
}

// untouched fails the test if anything outside has changed.
func (p prison) untouched(t *testing.T) {
	t.Helper()
	var all []string
	err := filepath.WalkDir(p.outside, func(name string, _ os.DirEntry, err error) error {
		all = append(all, strings.TrimPrefix(name, p.outside))
		return err
	})
	if err != nil || strings.Join(all, ",") != ",/secret,/sub" {
		t.Errorf("outside there is %q, %v", all, err)
	}
	if b, err := os.ReadFile(filepath.Join(p.outside, "secret")); err != nil || string(b) != "secret" {
		t.Errorf("the secret is %q, %v", b, err)
	}
}

func TestLinksDoNotLeadOut(t *testing.T) {
	p := newPrison(t)
	ctx := t.Context()
	for _, key := range []string{
		"abs/secret", "up/secret", "in/up/secret", "absfile", "upfile", "chain/secret",
		"proc/secret", "self", "good/up/secret", "private", "tmp", "private/tmp", "tmp/x", "dot/.sluice", "dot/.sluice/tmp/x",
		"dot/dot/.sluice",
	} {
		_, statErr := p.Stat(ctx, key)
		_, openErr := p.Open(ctx, key, backends.OpenOptions{})
		_, putErr := p.Put(ctx, key, strings.NewReader("x"), putOptions{})
		_, copyErr := p.Copy(ctx, key, "copy", backends.CopyOptions{})
		for op, err := range map[string]error{
			"stat": statErr, "open": openErr, "put": putErr, "copy": copyErr,
			"rename":    p.Rename(ctx, key, "moved", backends.RenameOptions{}),
			"rename to": p.Rename(ctx, "in/o", key, backends.RenameOptions{}),
			"mod time":  p.SetModTime(ctx, key, time.Unix(0, 0)),
			"mkdir in":  p.Mkdir(ctx, key+"/new"),
			"put in":    func() error { _, err := p.Put(ctx, key+"/n/o", strings.NewReader("x"), putOptions{}); return err }(),
		} {
			wantKind(t, op+" "+key, err, backends.Permission)
		}
	}
	for _, dir := range []string{"abs", "up", "in/up", "chain", "proc", "private", "tmp"} {
		wantKind(t, "list "+dir, listError(p, dir), backends.Permission)
		_, err := p.Available(ctx, dir)
		wantKind(t, "available "+dir, err, backends.Permission)
		wantKind(t, "mkdir "+dir, p.Mkdir(ctx, dir+"/new"), backends.Permission)
		wantKind(t, "rmdir "+dir, p.Rmdir(ctx, dir+"/sub"), backends.Permission)
		wantKind(t, "remove in "+dir, p.Remove(ctx, dir+"/secret"), backends.Permission)
	}
	p.untouched(t)
	if got, err := get(p, "in/o"); err != nil || got != "inside" {
		t.Errorf("in/o is %q, %v", got, err)
	}
}

func listError(a backends.CloudStorageAdapter, dir string) error {
	for _, err := range a.List(context.Background(), dir, backends.ListOptions{}) {
		if err != nil {
			return err
		}
	}
	return nil
}

// A link that stays inside is what it points to.
func TestLinksInside(t *testing.T) {
	p := newPrison(t)
	ctx := t.Context()
	wantContent(t, p, "goodfile", "inside")
	wantContent(t, p, "good/o", "inside")
	obj, err := p.Stat(ctx, "goodfile")
	if err != nil || obj.Dir || obj.Size != 6 {
		t.Errorf("goodfile is %+v, %v", obj, err)
	}
	got := names(t, p, "")
	for name, dir := range map[string]bool{"in": true, "good": true, "goodfile": false, "dot": true} {
		if isDir, listed := got[name]; !listed || isDir != dir {
			t.Errorf("%s: listed %t, as a folder %t", name, listed, isDir)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("also listed: %v", got)
	}
	wantKind(t, "put on a folder", second(p.Put(ctx, "good", strings.NewReader("x"), putOptions{})), backends.IsDir)

	if all := names(t, p, "dot"); len(all) == 0 {
		t.Error("the link to the root itself lists nothing")
	} else if _, listed := all["dot/.sluice"]; listed {
		t.Error("the private folder is listed by way of a link to the root")
	}

	// An append reads through the link; what is published takes its place.
	if _, err := p.Put(ctx, "goodfile", strings.NewReader("!"), putOptions{Offset: 6}); err != nil {
		t.Fatal(err)
	}
	wantContent(t, p, "goodfile", "inside!")
	wantContent(t, p, "in/o", "inside")

	for _, key := range []string{"good", "upfile", "dangling"} {
		if err := p.Remove(ctx, key); err != nil {
			t.Errorf("remove the link %q: %v", key, err)
		}
	}
	wantContent(t, p, "in/o", "inside")
	p.untouched(t)
}

func second[T any](_ T, err error) error { return err }
