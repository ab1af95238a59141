package local_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/local"
)

// childEnv makes the test binary run one function of children in place of the tests.
const childEnv = "SLUICE_LOCAL_TEST_CHILD"

var children = map[string]func() int{
	"efbig":      efbigChild,
	"check":      checkChild,
	"open":       openChild,
	"unwritable": unwritableChild,
	"umask":      umaskChild,
	"upload":     uploadChild,
}

// What a process without root's rights is told: which folder is wrong, and what would mend it. Check
// says the same as Open.
func TestRefusedFolders(t *testing.T) {
	asRoot(t)
	const nobody = 65534
	for _, test := range []struct {
		name string
		make func(root *os.Root) error
		want []string
	}{
		{"unreadable", func(root *os.Root) error {
			return root.Mkdir("store", 0o700)
		}, []string{`folder "store" belongs to user 0`, "user 65534", "chown", "chmod"}},
		{"readonly", func(root *os.Root) error {
			return root.Mkdir("store", 0o755)
		}, []string{`folder "store" belongs to user 0`, "chown"}},
		{"not searchable", func(root *os.Root) error {
			return root.Mkdir("store", 0o744)
		}, []string{`folder "store" belongs to user 0`}},
		{"mode", func(root *os.Root) error {
			return errors.Join(root.Mkdir("store", 0o500), root.Chown("store", nobody, nobody))
		}, []string{`folder "store": user 65534`, "chmod u+rwx"}},
		{"behind a locked one", func(root *os.Root) error {
			return errors.Join(root.Mkdir("locked", 0o700), root.Mkdir("locked/store", 0o777))
		}, []string{`folder "locked" belongs to user 0`}},
		{"private of another", func(root *os.Root) error {
			return errors.Join(root.Mkdir("store", 0o755), root.Chown("store", nobody, nobody), root.MkdirAll("store/.sluice/tmp", 0o700))
		}, []string{`folder "store/.sluice" belongs to user 0, this process is user 65534`, "chown -R 65534"}},
		{"private open to all", func(root *os.Root) error {
			return errors.Join(root.Mkdir("store", 0o755), root.Chown("store", nobody, nobody),
				root.Mkdir("store/.sluice", 0o755), root.Chmod("store/.sluice", 0o777))
		}, []string{`folder "store/.sluice" belongs to user 0`}},
		{"tmp of another", func(root *os.Root) error {
			return errors.Join(root.Mkdir("store", 0o755), root.Chown("store", nobody, nobody),
				root.Mkdir("store/.sluice", 0o700), root.Chown("store/.sluice", nobody, nobody), root.Mkdir("store/.sluice/tmp", 0o700))
		}, []string{`folder "store/.sluice/tmp" belongs to user 0`}},
		{"ours with a wrong mode", func(root *os.Root) error {
			return errors.Join(root.Mkdir("store", 0o755), root.Chown("store", nobody, nobody),
				root.Mkdir("store/.sluice", 0o500), root.Chown("store/.sluice", nobody, nobody))
		}, []string{"ok"}}, // which Open mends
		{"only the private is ours", func(root *os.Root) error {
			return errors.Join(root.Mkdir("store", 0o755),
				root.Mkdir("store/.sluice", 0o700), root.Chown("store/.sluice", nobody, nobody),
				root.Mkdir("store/.sluice/tmp", 0o700), root.Chown("store/.sluice/tmp", nobody, nobody))
		}, []string{"ok"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			root, err := os.OpenRoot(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			if err := test.make(root); err != nil {
				t.Fatal(err)
			}
			for _, how := range []string{"check", "open"} {
				name := "store"
				if test.name == "behind a locked one" {
					name = "locked/store"
				}
				out := child(t, how, dir, name)
				for _, want := range test.want {
					if !strings.Contains(out, want) {
						t.Errorf("%s says %q, and not %q", how, out, want)
					}
				}
			}
		})
	}
}

func checkChild() int { return asNobody(local.Check) }

func openChild() int {
	return asNobody(func(cfg local.Config) error {
		a, err := local.Open(cfg)
		if err == nil {
			err = a.Close()
		}
		return err
	})
}

// asNobody gives up root's rights and opens a folder relative to the working one, which a user
// without rights could not have reached by its path.
func asNobody(open func(local.Config) error) int {
	if err := syscall.Setuid(65534); err != nil {
		return fail(err)
	}
	if err := open(local.Config{Root: os.Args[1]}); err != nil {
		return say(err)
	}
	return say(errors.New("ok"))
}

// An upload into a folder that may not be written to is refused before it is read.
func TestUnwritableFolder(t *testing.T) {
	asRoot(t)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "readonly"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "readonly/there"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if out := child(t, "unwritable", dir); out != strings.Repeat("permission denied\n", 3) {
		t.Errorf("the child said %q", out)
	}
}

func unwritableChild() int {
	if err := syscall.Setuid(65534); err != nil {
		return fail(err)
	}
	a, err := local.Open(local.Config{Root: "."})
	if err != nil {
		return fail(err)
	}
	defer a.Close()
	for _, key := range []string{"readonly/o", "readonly/there", "readonly/new/folder/o"} {
		_, err := a.Put(context.Background(), key, callback(func() { fmt.Println("the content was read") }), putOptions{})
		fmt.Println(backends.KindOf(err))
	}
	return 0
}

// The operator's umask holds for objects and folders.
func TestUmask(t *testing.T) {
	for mask, want := range map[string]string{
		"002": "-rw-rw-r-- drwxrwxr-x\n", "022": "-rw-r--r-- drwxr-xr-x\n", "077": "-rw------- drwx------\n",
	} {
		if out := child(t, "umask", t.TempDir(), mask); out != want {
			t.Errorf("umask %s: %q, want %q", mask, out, want)
		}
	}
}

func umaskChild() int {
	mask, err := strconv.ParseUint(os.Args[1], 8, 32)
	if err != nil {
		return fail(err)
	}
	syscall.Umask(int(mask))
	a, err := local.Open(local.Config{Root: "."})
	if err != nil {
		return fail(err)
	}
	defer a.Close()
	if _, err := a.Put(context.Background(), "new/o", strings.NewReader("x"), putOptions{}); err != nil {
		return fail(err)
	}
	file, err1 := os.Stat("new/o")
	dir, err2 := os.Stat("new")
	if err := errors.Join(err1, err2); err != nil {
		return fail(err)
	}
	fmt.Println(file.Mode(), dir.Mode())
	return 0
}

// A limit of the process (ulimit -f) sends a signal, which must not end the gateway.
func TestFileSizeLimit(t *testing.T) {
	if out := child(t, "efbig", t.TempDir()); out != "too large\n" {
		t.Errorf("the child said %q", out)
	}
}

func efbigChild() int {
	limit := syscall.Rlimit{Cur: 64 << 10, Max: 64 << 10}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return fail(err)
	}
	a, err := local.Open(local.Config{Root: "."})
	if err != nil {
		return fail(err)
	}
	defer a.Close()
	_, err = a.Put(context.Background(), "o", bytes.NewReader(make([]byte, 1<<20)), putOptions{})
	if _, err := a.Stat(context.Background(), "o"); err == nil {
		return fail(errors.New("it was published"))
	}
	return say(errors.New(backends.KindOf(err).String()))
}

// child runs one of children in a process of its own, in dir, and returns what it said.
func child(t *testing.T, name, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), childEnv+"="+name)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("child: %v: %s", err, out)
	}
	return string(out)
}

func say(err error) int {
	fmt.Println(err)
	return 0
}

func fail(err error) int {
	fmt.Println(err)
	return 1
}
