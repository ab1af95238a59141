package local_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/sluice-ftp/sluice/backends/local"
)

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	inTheWay := t.TempDir()
	if err := os.WriteFile(filepath.Join(inTheWay, ".sluice"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	redirected := t.TempDir()
	if err := os.Symlink(".", filepath.Join(redirected, ".sluice")); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing")
	for _, test := range []struct {
		name string
		cfg  local.Config
		want []string
	}{
		{"no root", local.Config{}, []string{"no root"}},
		{"missing", local.Config{Root: missing}, []string{missing, "create it"}},
		{"a file", local.Config{Root: file}, []string{file, "not a folder"}},
		{"a file in the way", local.Config{Root: inTheWay}, []string{inTheWay, ".sluice", "remove it"}},
		{"a link in the way", local.Config{Root: redirected}, []string{redirected, ".sluice", "remove it"}},
		{"fsync", local.Config{Root: dir, Fsync: "sometimes"}, []string{"sometimes", "always", "never"}},
		{"buffer", local.Config{Root: dir, BufferSize: -1}, []string{"-1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, err := local.Open(test.cfg)
			if err == nil {
				_ = a.Close()
				t.Fatal("no error")
			}
			for _, want := range append(test.want, "local: ") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if checked := local.Check(test.cfg); checked == nil || !strings.Contains(checked.Error(), test.want[len(test.want)-1]) {
				t.Errorf("open says %v, check %v", err, checked)
			}
		})
	}
}

// Leftovers that nobody holds are removed; one that another process is writing is not.
func TestClean(t *testing.T) {
	root := t.TempDir()
	first := open(t, local.Config{Root: root})
	if n := first.Cleaned(); n != 0 {
		t.Errorf("a new folder had %d leftovers", n)
	}
	tmp := filepath.Join(root, ".sluice", "tmp")
	for _, name := range []string{"dead1", "dead2", "dead3", "held"} {
		if err := os.WriteFile(filepath.Join(tmp, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	held, err := os.Open(filepath.Join(tmp, "held"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := unix.Flock(int(held.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	second := open(t, local.Config{Root: root})
	if n := second.Cleaned(); n != 3 {
		t.Errorf("%d leftovers were removed, want 3", n)
	}
	if left := leftovers(t, root); len(left) != 1 || filepath.Base(left[0]) != "held" {
		t.Errorf("what remains is %q, want the held one", left)
	}
}

// A gateway that starts while another one writes to the same folder leaves its file alone.
func TestCleanDuringPut(t *testing.T) {
	root := t.TempDir()
	first := open(t, local.Config{Root: root})
	_, err := first.Put(t.Context(), "o", during(func() {
		if n := open(t, local.Config{Root: root}).Cleaned(); n != 0 {
			t.Errorf("%d files that were being written were removed", n)
		}
	}), putOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wantContent(t, first, "o", "during")
}

// Opening at the same time as writing is the race that the check after the lock is for.
func TestCleanRace(t *testing.T) {
	root := t.TempDir()
	a := open(t, local.Config{Root: root, Fsync: local.FsyncNever})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 300 {
			put(t, a, "o", "data")
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
			b, err := local.Open(local.Config{Root: root, Fsync: local.FsyncNever})
			if err != nil {
				t.Error(err)
				continue
			}
			_ = b.Close()
		}
	}
}

// Check changes nothing, whatever it finds.
func TestCheckChangesNothing(t *testing.T) {
	fresh, used, half := t.TempDir(), t.TempDir(), t.TempDir()
	_ = open(t, local.Config{Root: used})
	if err := os.WriteFile(filepath.Join(used, ".sluice/tmp/leftover"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(half, ".sluice"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{fresh, used, half} {
		before := snapshot(t, root)
		if err := local.Check(local.Config{Root: root}); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(before, snapshot(t, root)); diff != "" {
			t.Errorf("check has changed (-before +after):\n%s", diff)
		}
	}
}

// snapshot describes all that is below dir, with the times at which it was changed.
func snapshot(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(name string, _ os.DirEntry, err error) error {
		var st unix.Stat_t
		if err == nil {
			err = unix.Lstat(name, &st)
		}
		all = append(all, fmt.Sprint(name, st.Ino, st.Mode, st.Mtim, st.Ctim))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
