package local_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
	"unreadable": unreadableChild,
	"readonly":   readonlyChild,
}

func TestUnreadableRoot(t *testing.T) {
	asRoot(t)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "locked"), 0o700); err != nil {
		t.Fatal(err)
	}
	if out := child(t, "unreadable", dir); !strings.Contains(out, `folder "locked"`) || !strings.Contains(out, "chmod") {
		t.Errorf("the error is %q", out)
	}
}

func unreadableChild() int { return asNobody("locked") }

func TestReadOnlyRoot(t *testing.T) {
	asRoot(t)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "readonly"), 0o755); err != nil {
		t.Fatal(err)
	}
	if out := child(t, "readonly", dir); !strings.Contains(out, `folder "readonly"`) || !strings.Contains(out, "chown") {
		t.Errorf("the error is %q", out)
	}
}

func readonlyChild() int { return asNobody("readonly") }

// asNobody gives up root's rights and opens a folder relative to the working one, which a user
// without rights could not have reached by its path.
func asNobody(root string) int {
	if err := syscall.Setuid(65534); err != nil {
		return fail(err)
	}
	a, err := local.Open(local.Config{Root: root})
	if err == nil {
		_ = a.Close()
		return 0
	}
	return say(err)
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
func child(t *testing.T, name, dir string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
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
