package local_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/local"
)

// What each method makes durable before it returns, in this order: a content before it gets its
// name, then the folder that got or lost the name, and new folders from the top down.
func TestDurable(t *testing.T) {
	root := t.TempDir()
	a := open(t, local.Config{Root: root})
	var synced []string
	a.OnSync(func(f *os.File) error {
		synced = append(synced, syncName(root, f))
		return nil
	})
	ctx := context.Background()
	store := func(key string, o putOptions) func() error {
		return func() error { return second(a.Put(ctx, key, strings.NewReader("x"), o)) }
	}
	for _, test := range []struct {
		name string
		call func() error
		want []string
	}{
		{"put in new folders", store("a/b/o", putOptions{}), []string{"(content)", ".", "a", "a/b"}},
		{"overwrite", store("a/b/o", putOptions{}), []string{"(content)", "a/b"}},
		{"put if absent", store("p", putOptions{IfAbsent: true}), []string{"(content)", "."}},
		{"append", store("p", putOptions{Offset: 1}), []string{"(content)", "."}},
		{"copy", func() error { return second(a.Copy(ctx, "p", "c/p", backends.CopyOptions{})) }, []string{"(content)", ".", "c"}},
		{"rename", func() error { return a.Rename(ctx, "p", "c/q", backends.RenameOptions{}) }, []string{"c", "."}},
		{"rename in place", func() error { return a.Rename(ctx, "c/q", "c/r", backends.RenameOptions{}) }, []string{"c"}},
		{"rename folder", func() error { return a.Rename(ctx, "c", "d", backends.RenameOptions{}) }, []string{"."}},
		{"remove", func() error { return a.Remove(ctx, "d/r") }, []string{"d"}},
		{"mkdir", func() error { return a.Mkdir(ctx, "e/f") }, []string{".", "e"}},
		{"rmdir", func() error { return a.Rmdir(ctx, "e/f") }, []string{"e"}},
		{"mod time", func() error { return a.SetModTime(ctx, "a/b/o", time.Unix(1, 0)) }, []string{"a/b/o"}},
	} {
		synced = nil
		if err := test.call(); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if diff := cmp.Diff(test.want, synced); diff != "" {
			t.Errorf("%s: fsync of (-want +got):\n%s", test.name, diff)
		}
	}
}

// syncName tells the temporary file from what has its name already.
func syncName(root string, f *os.File) string {
	link, err := os.Readlink(filepath.Join("/proc/self/fd", strconv.Itoa(int(f.Fd()))))
	if err != nil {
		return err.Error()
	}
	if strings.Contains(link, "/.sluice/tmp/") {
		return "(content)"
	}
	rel, err := filepath.Rel(root, link)
	if err != nil {
		return err.Error()
	}
	return rel
}

// A content that cannot be made durable is not published.
func TestFailingFsync(t *testing.T) {
	root := t.TempDir()
	a := open(t, local.Config{Root: root})
	put(t, a, "o", "old")
	a.OnSync(func(*os.File) error { return syscall.EIO })
	for _, key := range []string{"o", "new"} {
		_, err := a.Put(t.Context(), key, strings.NewReader("x"), putOptions{})
		wantKind(t, "put "+key, err, backends.Unavailable)
	}
	wantContent(t, a, "o", "old")
	if _, err := a.Stat(t.Context(), "new"); backends.KindOf(err) != backends.NotExist {
		t.Errorf("it was published: %v", err)
	}
	if left := leftovers(t, root); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// Without fsync, too, an error that the system keeps for the close is found out before publication.
func TestFailingClose(t *testing.T) {
	root := t.TempDir()
	a := open(t, local.Config{Root: root, Fsync: local.FsyncNever})
	put(t, a, "o", "old")
	a.OnSettle(func(f *os.File) error {
		if err := local.Flush(f); err != nil {
			t.Error(err)
		}
		return syscall.ENOSPC
	})
	for _, key := range []string{"o", "new"} {
		_, err := a.Put(t.Context(), key, strings.NewReader("x"), putOptions{})
		wantKind(t, "put "+key, err, backends.NoSpace)
	}
	wantContent(t, a, "o", "old")
	if _, err := a.Stat(t.Context(), "new"); backends.KindOf(err) != backends.NotExist {
		t.Errorf("it was published: %v", err)
	}
	if left := leftovers(t, root); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// What is published is no error, also if it cannot be described any more.
func TestFailingStatAfterPublication(t *testing.T) {
	a := open(t, local.Config{Root: t.TempDir()})
	var content *os.File
	a.OnSync(func(f *os.File) error {
		if content == nil {
			content = f
			return nil
		}
		return content.Close()
	})
	obj, err := a.Put(t.Context(), "o", strings.NewReader("data"), putOptions{})
	if err != nil || obj.Key != "o" || obj.Size != 4 || obj.ModTime.IsZero() || obj.Version != "" {
		t.Errorf("put: %+v, %v", obj, err)
	}
	wantContent(t, a, "o", "data")
}

// What fails takes the folders with it that it had made, but not one that is in use.
func TestFailureLeavesNoFolders(t *testing.T) {
	root := t.TempDir()
	a := open(t, local.Config{Root: root})
	ctx := t.Context()
	for _, test := range []struct {
		name string
		call func(prepared func()) error
		want backends.Kind
	}{
		{"put", func(prepared func()) error {
			old := put(t, a, "x/y/o", "old")
			r := during(func() {
				if err := os.RemoveAll(filepath.Join(root, "x")); err != nil {
					t.Error(err)
				}
				prepared()
			})
			return second(a.Put(ctx, "x/y/o", r, putOptions{IfVersion: old.Version}))
		}, backends.Conflict},
		{"rename", func(prepared func()) error {
			put(t, a, "o", "data")
			prepared()
			return a.Rename(ctx, "o", "x/y/o", backends.RenameOptions{})
		}, backends.NotExist},
	} {
		for _, used := range []bool{false, true} {
			a.OnSync(func(*os.File) error { return nil })
			err := test.call(func() {
				a.OnSync(func(f *os.File) error {
					if syncName(root, f) == "x" {
						_ = os.Remove(filepath.Join(root, "o"))
						if used {
							return os.WriteFile(filepath.Join(root, "x/other"), nil, 0o600)
						}
					}
					return nil
				})
			})
			wantKind(t, test.name, err, test.want)
			got := names(t, a, "")
			if got["x"] != used {
				t.Errorf("%s: in use %t, left behind: %v", test.name, used, got)
			}
			if _, err := os.Stat(filepath.Join(root, "x/y")); err == nil {
				t.Errorf("%s: x/y is left behind", test.name)
			}
			if err := os.RemoveAll(filepath.Join(root, "x")); err != nil {
				t.Fatal(err)
			}
		}
	}
}
