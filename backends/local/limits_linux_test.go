package local_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/local"
)

func drain(r backends.Reader, how string) (int, error) {
	if how == "Read" {
		b, err := io.ReadAll(r)
		return len(b), err
	}
	n, err := r.WriteTo(io.Discard)
	return int(n), err
}

func wantUnexpectedEOF(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v does not match io.ErrUnexpectedEOF", err)
	}
	wantKind(t, "truncated", err, backends.Conflict)
}

// mount mounts a small file system, on a folder that exists.
func mount(t *testing.T, dir string) {
	t.Helper()
	asRoot(t)
	if err := unix.Mount("sluice", dir, "tmpfs", 0, "size=1m"); err != nil {
		cannot(t, "mount: "+err.Error())
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
}

func TestFullDisk(t *testing.T) {
	root := t.TempDir()
	mount(t, root)
	a := open(t, local.Config{Root: root})
	put(t, a, "o", "old")
	big := bytes.Repeat([]byte("x"), 2<<20)
	for _, r := range []io.Reader{bytes.NewReader(big), struct{ io.Reader }{bytes.NewReader(big)}} {
		_, err := a.Put(t.Context(), "o", r, putOptions{})
		wantKind(t, "put", err, backends.NoSpace)
		var e *backends.Error
		if !errors.As(err, &e) || !e.Temporary {
			t.Errorf("%v is not temporary", err)
		}
		if left := leftovers(t, root); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	}
	wantContent(t, a, "o", "old")
	if n, err := a.Available(t.Context(), ""); err != nil || n <= 0 || n > 1<<20 {
		t.Errorf("available: %d, %v", n, err)
	}
	put(t, a, "p", strings.Repeat("x", 512<<10)) // there is room again
}

func TestOtherFileSystemBelow(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "other"), 0o755); err != nil {
		t.Fatal(err)
	}
	mount(t, filepath.Join(root, "other"))
	if err := os.WriteFile(filepath.Join(root, "other/there"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	a := open(t, local.Config{Root: root})
	put(t, a, "o", "x")
	for _, key := range []string{"other/o", "other/there", "other/new/folder/o"} {
		_, err := a.Put(t.Context(), key, refused(t, key), putOptions{})
		_, copyErr := a.Copy(t.Context(), "o", key, backends.CopyOptions{})
		for _, err := range []error{err, copyErr} {
			wantKind(t, "to "+key, err, backends.Misconfigured)
			if err == nil || !strings.Contains(err.Error(), "one file system") {
				t.Errorf("%v does not say what is wrong", err)
			}
		}
	}
	wantKind(t, "rename", a.Rename(t.Context(), "other/there", "new/o", backends.RenameOptions{}), backends.Misconfigured)
	if got := names(t, a, ""); len(got) != 2 {
		t.Errorf("a folder was left behind: %v", got)
	}
	if left := leftovers(t, root); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// refused is the content of an upload that is to be refused before it is read.
func refused(t testing.TB, key string) io.Reader {
	return callback(func() { t.Errorf("put %q: the content was read", key) })
}

// A file system that folds case reaches .sluice by names that CheckKey lets pass. A second place for
// the same folder does so on any.
func TestPrivateByAnotherName(t *testing.T) {
	asRoot(t)
	root := t.TempDir()
	a := open(t, local.Config{Root: root})
	ctx := t.Context()
	put(t, a, "o", "x")
	if err := os.Mkdir(filepath.Join(root, ".SLUICE"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(filepath.Join(root, ".sluice"), filepath.Join(root, ".SLUICE"), "", unix.MS_BIND, ""); err != nil {
		cannot(t, "mount: "+err.Error())
	}
	defer func() {
		if err := unix.Unmount(filepath.Join(root, ".SLUICE"), 0); err != nil {
			t.Error(err)
		}
	}()
	const key = ".SLUICE"
	for what, err := range map[string]error{
		"stat":      second(a.Stat(ctx, key)),
		"open":      second(a.Open(ctx, key, backends.OpenOptions{})),
		"put":       second(a.Put(ctx, key, refused(t, key), putOptions{})),
		"copy to":   second(a.Copy(ctx, "o", key, backends.CopyOptions{})),
		"rename":    a.Rename(ctx, key, "x", backends.RenameOptions{}),
		"rename to": a.Rename(ctx, "o", key, backends.RenameOptions{}),
		"remove":    a.Remove(ctx, key),
		"rmdir":     a.Rmdir(ctx, key),
		"mod time":  a.SetModTime(ctx, key, time.Unix(0, 0)),
	} {
		wantKind(t, what, err, backends.InvalidName)
	}
	wantKind(t, "list", listError(a, key), backends.Permission)
	wantKind(t, "put in it", second(a.Put(ctx, key+"/o", refused(t, key), putOptions{})), backends.Permission)
	for _, namesOnly := range []bool{false, true} {
		for obj, err := range a.List(ctx, "", backends.ListOptions{NamesOnly: namesOnly}) {
			if err != nil || obj.Key != "o" {
				t.Errorf("listed: %q, %v", obj.Key, err)
			}
		}
	}
}

// One entry that cannot be described does not end the listing of the others.
func TestListPassesOverDeadMount(t *testing.T) {
	asRoot(t)
	root := t.TempDir()
	dead := filepath.Join(root, "dead")
	if err := os.Mkdir(dead, 0o755); err != nil {
		t.Fatal(err)
	}
	fuse, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		cannot(t, err.Error())
	}
	o := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fuse.Fd())
	if err := unix.Mount("sluice", dead, "fuse", 0, o); err != nil {
		_ = fuse.Close()
		cannot(t, "mount: "+err.Error())
	}
	defer func() {
		if err := unix.Unmount(dead, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	_ = fuse.Close() // the server dies
	a := open(t, local.Config{Root: root})
	for _, key := range []string{"a", "z", "folder/o"} {
		put(t, a, key, "")
	}
	if got := names(t, a, ""); len(got) != 3 {
		t.Errorf("the listing is %v", got)
	}
}

// A listing holds one batch, however long the folder is.
func TestListMemory(t *testing.T) {
	root := t.TempDir()
	const n = 100_000
	for i := range n {
		name := func(i int) string {
			return filepath.Join(root, fmt.Sprintf("entry-with-a-name-of-ordinary-length-%06d", i))
		}
		err := error(nil)
		if first := i - i%30_000; i == first { // a link costs less than a file, but ext4 bounds their number
			err = os.WriteFile(name(i), nil, 0o600)
		} else {
			err = os.Link(name(first), name(i))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	a := open(t, local.Config{Root: root})
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, seen, most := heap(), 0, uint64(0)
	for _, err := range a.List(t.Context(), "", backends.ListOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; seen%10_000 == 1 {
			most = max(most, heap())
		}
	}
	if seen != n {
		t.Errorf("%d entries, want %d", seen, n)
	}
	// A slice of that many objects would be 20 MiB.
	if most > before+2<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, most)
	}
}

// A reader that is not read from, as of a client that stopped, holds no buffer.
func TestIdleReadersHoldNoBuffer(t *testing.T) {
	a := open(t, local.Config{Root: t.TempDir(), BufferSize: 1 << 20})
	put(t, a, "o", "data")
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 100 {
		r, err := a.Open(t.Context(), "o", backends.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 10<<20 {
		t.Errorf("100 idle readers hold %d bytes", grown)
	}
}
