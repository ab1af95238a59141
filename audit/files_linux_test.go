package audit_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/sys/unix"

	"github.com/sluice-ftp/sluice/audit"
)

// openFiles returns the descriptors of records that the process has open.
func openFiles(t testing.TB) (fds []int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		fd, _ := strconv.Atoi(e.Name())
		if err == nil && strings.HasPrefix(filepath.Base(to), "audit.log") {
			fds = append(fds, fd)
		}
	}
	return fds
}

func wantOpen(t testing.TB, want int) {
	t.Helper()
	if fds := openFiles(t); len(fds) != want {
		t.Errorf("%d files are open, want %d", len(fds), want)
	}
}

func TestCloseOnExec(t *testing.T) {
	open(t, audit.Options{})
	wantOpen(t, 1)
	for _, fd := range openFiles(t) {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("flags %x, %v", flags, err)
		}
	}
}

// Without a rotation, and more than once before the writer comes to it.
func TestReopenSameFile(t *testing.T) {
	path := logPath(t)
	synctest.Test(t, func(t *testing.T) {
		d, release := &disk{}, make(chan struct{})
		d.waits(release)
		l := openOn(t, d, audit.Options{Path: path})
		writeNumbers(l, 0, 10)
		synctest.Wait()
		for range 5 {
			reopen(t, l)
			writeNumbers(l, 10, 10)
		}
		writeNumbers(l, 10, 20)
		close(release)
		synctest.Wait()
		wantOpen(t, 1)
		closeLog(t, l)
		wantOpen(t, 0)
	})
	wantNumbers(t, read(t, path), 0, 20)
}

// A file that was never used is closed too.
func TestReopenThenClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, dead := range []bool{false, true} {
			d, release := &disk{}, make(chan struct{})
			d.waits(release)
			l := openOn(t, d, audit.Options{})
			writeNumbers(l, 0, 1)
			synctest.Wait()
			reopen(t, l)
			ctx, cancel := context.WithCancel(t.Context())
			if dead {
				cancel()
			}
			closed := make(chan error)
			go func() { closed <- l.Close(ctx) }()
			synctest.Wait()
			close(release)
			if err := <-closed; (err != nil) != dead {
				t.Errorf("dead: %v; %v", dead, err)
			}
			cancel()
			synctest.Wait()
			wantOpen(t, 0)
		}
	})
}
