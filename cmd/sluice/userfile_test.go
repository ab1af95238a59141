//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// aHash is the bcrypt hash of "secret" at the lowest cost.
const aHash = "$2y$04$IHhIu9LP0ijYNfDnOCVdt.mMLxTfUowDvROH7IXIW5gZRlfJ8swfG"

// userLines are users of those names, with their comments.
func userLines(names ...string) string {
	var b strings.Builder
	b.WriteString("users:\n")
	for _, name := range names {
		fmt.Fprintf(&b, "  - name: %s # this is %s\n    password_hash: %s\n    mounts: [{path: /, backend: disk, permissions: [list]}]\n", name, name, aHash)
	}
	return b.String()
}

// usersAt writes a users file into a new folder.
func usersAt(t *testing.T, names ...string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "users.yaml")
	write(t, path, userLines(names...))
	return path
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// command runs one with nothing to read, and returns what it says.
func command(ctx context.Context, stdin string, args ...string) (code int, said string) {
	var out bytes.Buffer
	code = run(ctx, args, strings.NewReader(stdin), &out, &out)
	return code, out.String()
}

// No edit is lost when many come at once.
func TestUserEditsAtOnce(t *testing.T) {
	var names []string
	for i := range 12 {
		names = append(names, fmt.Sprintf("u%d", i))
	}
	path := usersAt(t, names...)
	want := strings.ReplaceAll(readFile(t, path), "\n    password", "\n    enabled: false\n    password")
	var g sync.WaitGroup
	for _, name := range names {
		g.Go(func() {
			if code, said := command(t.Context(), "", "user", "disable", name, "--users", path); code != exitOK {
				t.Error(said)
			}
		})
	}
	g.Wait()
	if diff := cmp.Diff(want, readFile(t, path)); diff != "" {
		t.Error(diff)
	}
	onlyFile(t, path)
}

// Users that are added at once to a file that is not there yet are all in it.
func TestUserAddAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.yaml")
	var g sync.WaitGroup
	for i := range 6 {
		g.Go(func() {
			if code, said := command(t.Context(), "secret\n", "user", "add", fmt.Sprintf("u%d", i), "--users", path, "--backend", "disk"); code != exitOK {
				t.Error(said)
			}
		})
	}
	g.Wait()
	text := readFile(t, path)
	if !strings.HasPrefix(text, "# Who may log in.") || strings.Count(text, "- name: u") != 6 || strings.Count(text, "#") != 1 {
		t.Error(text)
	}
	onlyFile(t, path)
}

// Of those who add the same user at once, one does, and the others are told.
func TestUserAddSame(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.yaml")
	var g sync.WaitGroup
	var added, refused atomic.Int32
	for range 4 {
		g.Go(func() {
			code, said := command(t.Context(), "secret\n", "user", "add", "a", "--users", path, "--backend", "disk")
			switch {
			case code == exitOK:
				added.Add(1)
			case code == exitFailure && strings.Contains(said, "users.yaml has a user \"a\" already\nsluice: choose another name"):
				refused.Add(1)
			default:
				t.Errorf("%d %s", code, said)
			}
		})
	}
	g.Wait()
	if added.Load() != 1 || refused.Load() != 3 {
		t.Error(added.Load(), refused.Load())
	}
}

// onlyFile: nothing but the file is in its folder.
func onlyFile(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Error(entries, err)
	}
}

// Whoever waits for a lock gets the file that took the place of the one that was locked.
func TestUserLock(t *testing.T) {
	path := usersAt(t, "a")
	first, err := lockFile(t.Context(), path, false)
	if err != nil {
		t.Fatal(err)
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	code, said := command(impatient, "", "user", "disable", "a", "--users", path)
	if code != exitFailure || !strings.Contains(said, "another command holds it\nsluice: wait until it has ended") {
		t.Errorf("%d %s", code, said)
	}
	old, err := openToEdit(path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if !old.current(path) {
		t.Error("not current")
	}
	if err := first.replace([]byte(userLines("b")), func(string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	first.release()
	if old.current(path) {
		t.Error("current")
	}
	second, err := lockFile(t.Context(), path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer second.release()
	if data, _ := io.ReadAll(second); string(data) != userLines("b") {
		t.Errorf("%s", data)
	}
}

// A link stays a link, and what it leads to keeps its mode and owner.
func TestUserLink(t *testing.T) {
	path := usersAt(t, "a")
	link := filepath.Join(t.TempDir(), "users.yaml")
	check0(t, os.Symlink(path, link))
	check0(t, os.Chmod(path, 0o640))
	if os.Getuid() == 0 {
		check0(t, os.Chown(path, 1234, 2345))
	}
	before, err := os.Stat(path)
	check0(t, err)
	if code, said := command(t.Context(), "", "user", "disable", "a", "--users", link); code != exitOK || !strings.Contains(said, link+": a disabled") {
		t.Fatal(said)
	}
	if to, err := os.Readlink(link); err != nil || to != path {
		t.Error(to, err)
	}
	after, err := os.Stat(path)
	check0(t, err)
	if diff := cmp.Diff(owner(before), owner(after)); diff != "" || os.SameFile(before, after) || !strings.Contains(readFile(t, path), "enabled: false") {
		t.Error(diff, readFile(t, path))
	}
	onlyFile(t, path)
}

// owner is what a file has to keep.
func owner(info os.FileInfo) string {
	st, _ := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%v %d %d", info.Mode(), st.Uid, st.Gid)
}

// asNobody calls do as a user who may do little.
func asNobody(t *testing.T, do func()) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	var g sync.WaitGroup
	g.Go(func() {
		runtime.LockOSThread() // and never unlock it: the thread is not used again
		if err := unix.Setfsgid(65534); err != nil {
			t.Error(err)
		}
		if err := unix.Setfsuid(65534); err != nil {
			t.Error(err)
		}
		do()
	})
	g.Wait()
}

// openTo lets everyone into the folders of a test.
func openTo(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		check0(t, os.Chmod(dir, 0o755))
	}
}

// What cannot be replaced stays as it is, and what is left of the attempt is removed.
func TestUserFolder(t *testing.T) {
	path := usersAt(t, "a")
	dir := filepath.Dir(path)
	openTo(t, dir, filepath.Dir(dir))
	check0(t, os.Chmod(path, 0o644))
	before := readFile(t, path)
	for name, c := range map[string]struct {
		mode os.FileMode
		want string
	}{
		"folder":      {0o755, "permission denied\nsluice: user 0, who runs this, cannot write to " + dir + ": run it as a user who can; a file from a Kubernetes Secret or ConfigMap is changed there\n$"},
		"other owner": {0o777, "users.yaml belongs to user 0 and group 0, and so it has to stay: .*\nsluice: run this as user 0 or as root\n$"},
	} {
		t.Run(name, func(t *testing.T) {
			check0(t, os.Chmod(dir, c.mode))
			asNobody(t, func() {
				code, said := command(t.Context(), "", "user", "disable", "a", "--users", path)
				if code != exitFailure || !regexp.MustCompile(c.want).MatchString(said) {
					t.Errorf("%d %s", code, said)
				}
			})
			if readFile(t, path) != before {
				t.Error(readFile(t, path))
			}
			onlyFile(t, path)
		})
	}
	check0(t, os.Chmod(dir, 0o755))
	asNobody(t, func() {
		code, said := command(t.Context(), "x\n", "user", "add", "a", "--users", filepath.Join(dir, "new.yaml"), "--backend", "disk")
		if code != exitFailure || !strings.Contains(said, "cannot write to "+dir) {
			t.Errorf("%d %s", code, said)
		}
	})
}

// A file that its owner may only read is replaced as well: that is a matter of the folder.
func TestUserReadOnlyFile(t *testing.T) {
	path := usersAt(t, "a")
	dir := filepath.Dir(path)
	openTo(t, dir, filepath.Dir(dir))
	check0(t, os.Chmod(path, 0o400))
	check0(t, os.Chown(path, 65534, 65534))
	check0(t, os.Chmod(dir, 0o777))
	asNobody(t, func() {
		if code, said := command(t.Context(), "", "user", "disable", "a", "--users", path); code != exitOK {
			t.Error(said)
		}
	})
	info, err := os.Stat(path)
	check0(t, err)
	if got := owner(info); got != "-r-------- 65534 65534" {
		t.Error(got)
	}
}

func TestUserOddFiles(t *testing.T) {
	dir := t.TempDir()
	check0(t, unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	check0(t, os.Symlink("nowhere", filepath.Join(dir, "link")))
	for name, want := range map[string]string{
		".":           "is not a file\nsluice: correct the path\n",
		"link":        "no such file or directory\nsluice: it does not exist: correct the path\n",
		"none/x.yaml": "no such file or directory\nsluice: the folder does not exist: make it, or correct the path\n",
	} {
		l, err := lockFile(t.Context(), filepath.Join(dir, name), true)
		if err == nil {
			l.release()
			t.Errorf("%s was opened", name)
			continue
		}
		var b bytes.Buffer
		if report(&b, err); !strings.HasSuffix(b.String(), want) {
			t.Errorf("%s: %s", name, &b)
		}
	}
	if _, err := openToEdit(filepath.Join(dir, "pipe"), false); err == nil || !strings.HasSuffix(err.Error(), "pipe is not a file") {
		t.Error(err)
	}
}

func TestMendFolder(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		unix.EROFS:  "a file from a Kubernetes Secret or ConfigMap is changed there",
		unix.EBUSY:  "it is mounted by itself and cannot be replaced here: mount its folder, or change it where it comes from",
		unix.ENOSPC: "",
	} {
		if got := mendFolder("d", &os.PathError{Op: "open", Path: "d", Err: errno}); !strings.HasSuffix(got, want) || (got == "") != (want == "") {
			t.Errorf("%v: %q", errno, got)
		}
	}
}

// A name that is not UTF-8 is none that a client could send.
func TestUserNames(t *testing.T) {
	path := usersAt(t, "a")
	before := readFile(t, path)
	for name, want := range map[string]string{
		"b\xff": `sluice: user add: "b\xff" is not UTF-8`,
		"b\n":   path + ":5:11: users[1].name: has control characters",
		" b":    path + ":5:11: users[1].name: begins or ends with a space",
		"":      "sluice: user add: name the user",
	} {
		code, said := command(t.Context(), "x\n", "user", "add", name, "--users", path, "--backend", "disk", "--prefix", "b")
		if code == exitOK || !strings.Contains(said, want) {
			t.Errorf("%q: %d %s", name, code, said)
		}
	}
	if readFile(t, path) != before {
		t.Error(readFile(t, path))
	}
	// Others are written so that they are read again.
	for _, name := range []string{"no", "0640", "ä ö", `"x" #`, "日本"} {
		if code, said := command(t.Context(), "x\n", "user", "add", name, "--users", path, "--backend", "disk"); code != exitOK {
			t.Errorf("%q: %s", name, said)
		}
		if code, said := command(t.Context(), "x\n", "user", "verify", name, "--users", path); code != exitOK {
			t.Errorf("%q: %s", name, said)
		}
	}
}
