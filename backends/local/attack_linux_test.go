package local_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluice-ftp/sluice/backends"
)

// An attacker with a shell swaps a folder for a link to the outside, for ever, while the gateway
// reads and writes through it.
func TestLinkSwap(t *testing.T) {
	p := newPrison(t)
	ctx := t.Context()
	if err := os.Mkdir(filepath.Join(p.root, "swap"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(p.outside, filepath.Join(p.root, "link")); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		// A folder and a link, and two links to files.
		pairs := [][2]string{{"swap", "link"}, {"goodfile", "upfile"}}
		for {
			select {
			case <-stop:
				return
			default:
			}
			for _, pair := range pairs {
				a, b := filepath.Join(p.root, pair[0]), filepath.Join(p.root, pair[1])
				if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	permitted := func(err error) {
		t.Helper()
		var e *backends.Error
		if err != nil && (!errors.As(err, &e) || e.Kind == backends.Internal) {
			t.Errorf("%v", err)
		}
	}
	for range 2000 {
		for _, key := range []string{"swap/secret", "goodfile"} {
			if b, err := get(p, key); err == nil && b == "secret" {
				t.Fatalf("the secret was read from %q", key)
			}
		}
		permitted(second(p.Put(ctx, "swap/planted", strings.NewReader("x"), putOptions{})))
		permitted(p.Mkdir(ctx, "swap/made"))
		permitted(p.Remove(ctx, "swap/secret"))
		permitted(p.Rmdir(ctx, "swap/sub"))
		permitted(p.Rename(ctx, "swap/secret", "stolen", backends.RenameOptions{}))
		permitted(second(p.Copy(ctx, "swap/secret", "stolen", backends.CopyOptions{})))
		permitted(p.SetModTime(ctx, "swap/secret", time.Unix(0, 0)))
		for obj, err := range p.List(ctx, "swap", backends.ListOptions{}) {
			permitted(err)
			if obj.Key == "swap/secret" {
				t.Fatal("the secret was listed")
			}
		}
	}
	close(stop)
	wg.Wait()
	p.untouched(t)
	if _, err := p.Stat(ctx, "stolen"); err == nil {
		t.Error("the secret was taken")
	}
}
