package local_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/backendtest"
	"github.com/sluice-ftp/sluice/backends/local"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(childEnv); name != "" {
		os.Exit(children[name]())
	}
	goleak.VerifyTestMain(m)
}

// open opens a folder and closes it with the test.
func open(t testing.TB, cfg local.Config) *local.Adapter {
	t.Helper()
	a, err := local.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// leftovers lists what is in the private folder apart from the lock.
func leftovers(t testing.TB, root string) []string {
	var left []string
	err := filepath.WalkDir(filepath.Join(root, ".sluice"), func(path string, d os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err == nil && !d.IsDir() && d.Name() != "lock" {
			left = append(left, path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return left
}

func TestContract(t *testing.T) {
	for _, fsync := range []local.Fsync{local.FsyncAlways, local.FsyncNever} {
		t.Run(string(fsync), func(t *testing.T) {
			backendtest.Run(t, func(t *testing.T) backendtest.Store {
				root := t.TempDir()
				return backendtest.Store{
					Adapter:   open(t, local.Config{Root: root, Fsync: fsync, BufferSize: 8 << 10, KeepAtLeast: 8 << 10}),
					PartSize:  8 << 10,
					Leftovers: func(t testing.TB) []string { return leftovers(t, root) },
				}
			})
		})
	}
}

func TestModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range 20 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			ops := make([]byte, 4*300)
			for i := range ops {
				ops[i] = byte(random.Uint32())
			}
			root := t.TempDir()
			a := open(t, local.Config{Root: root, Fsync: local.FsyncNever})
			backendtest.Compare(t, ops, a, backendtest.Memory())
			if left := leftovers(t, root); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func FuzzModel(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x05\x02\x00\x00\x0a\x07\x00\x01\x00\x0a\x01\x00\x00"))
	f.Add([]byte("\x0c\x02\x00\x00\x00\x04\x00\x05\x07\x00\x01\x00\x0d\x01\x00\x00\x11\x08\x00\x00"))
	f.Fuzz(func(t *testing.T, ops []byte) {
		a := open(t, local.Config{Root: t.TempDir(), Fsync: local.FsyncNever})
		backendtest.Compare(t, ops[:min(len(ops), 4*200)], a, backendtest.Memory())
	})
}

func TestModes(t *testing.T) {
	root := t.TempDir()
	a := open(t, local.Config{Root: root})
	put(t, a, "dir/o", "data")
	for name, want := range map[string]os.FileMode{
		"dir/o": 0o644, "dir": os.ModeDir | 0o755,
		".sluice": os.ModeDir | 0o700, ".sluice/tmp": os.ModeDir | 0o700, ".sluice/kept": os.ModeDir | 0o700,
	} {
		fi, err := os.Stat(filepath.Join(root, name))
		if err != nil {
			t.Error(err)
		} else if fi.Mode() != want {
			t.Errorf("%s has mode %v, want %v", name, fi.Mode(), want)
		}
	}
	// Until it is published nobody else may read it: a private folder that others can enter is shut.
	for _, name := range []string{".sluice", ".sluice/tmp", ".sluice/kept"} {
		if err := os.Chmod(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	open(t, local.Config{Root: root})
	for _, name := range []string{".sluice", ".sluice/tmp", ".sluice/kept"} {
		if fi, err := os.Stat(filepath.Join(root, name)); err != nil || fi.Mode().Perm() != 0o700 {
			t.Errorf("%s is open to others: %v", name, err)
		}
	}
}

// A time that the file system does not hold is refused; one that does not fit in 64 bits of
// nanoseconds is a time like any other.
func TestFarTimes(t *testing.T) {
	a := open(t, local.Config{Root: t.TempDir()})
	ctx := t.Context()
	old := put(t, a, "o", "x")
	for _, far := range []time.Time{
		time.Date(2300, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(1601, 1, 2, 3, 4, 5, 0, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC),
	} {
		_, err := a.Put(ctx, "p", strings.NewReader("x"), putOptions{ModTime: far})
		set := a.SetModTime(ctx, "o", far)
		for key, err := range map[string]error{"o": set, "p": err} {
			obj, statErr := a.Stat(ctx, key)
			if err == nil && !obj.ModTime.Equal(far) {
				t.Errorf("%v became %v, %v", far, obj.ModTime, statErr)
			}
			if err != nil {
				wantKind(t, far.String(), err, backends.InvalidName)
			}
		}
		if obj, err := a.Stat(ctx, "o"); set != nil && (err != nil || !obj.ModTime.Equal(old.ModTime)) {
			t.Errorf("the refusal of %v left %v, %v", far, obj.ModTime, err)
		}
		if set == nil {
			old.ModTime = far
		}
		_ = a.Remove(ctx, "p")
	}
}
