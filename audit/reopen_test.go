package audit_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/sluice-ftp/sluice/audit"
)

func rename(t testing.TB, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func reopen(t testing.TB, l *audit.Log) {
	t.Helper()
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
}

func TestReopenUnderLoad(t *testing.T) {
	path := logPath(t)
	l := open(t, audit.Options{Path: path, Queue: 1 << 20})
	const rotations, writers = 30, 4
	var wg sync.WaitGroup
	var mu sync.Mutex
	next := 0
	stop := make(chan struct{})
	for range writers {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				mu.Lock()
				l.Write(number("s", next))
				next++
				mu.Unlock()
			}
		})
	}
	reached := func(n int) bool {
		mu.Lock()
		defer mu.Unlock()
		return next >= n
	}
	var files []string
	for i := range rotations {
		for !reached((i + 1) * 500) {
			runtime.Gosched()
		}
		old := fmt.Sprintf("%s.%d", path, i)
		rename(t, path, old)
		reopen(t, l)
		files = append(files, old)
	}
	close(stop)
	wg.Wait()
	closeLog(t, l)
	var all []audit.Event
	for _, f := range append(files, path) {
		all = append(all, read(t, f)...)
	}
	wantNumbers(t, all, 0, next)
}

func TestReopenMovesOn(t *testing.T) {
	path := logPath(t)
	l := open(t, audit.Options{Path: path})
	writeNumbers(l, 0, 10)
	rename(t, path, path+".1")
	reopen(t, l)
	writeNumbers(l, 10, 20)
	closeLog(t, l)
	before, after := read(t, path+".1"), read(t, path)
	wantNumbers(t, append(before, after...), 0, 20)
	if len(after) < 10 {
		t.Errorf("%d of the 10 events after the rotation are in the new file", len(after))
	}
}

func TestReopenFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l := open(t, audit.Options{Path: filepath.Join(dir, "audit.log")})
	writeNumbers(l, 0, 10)
	rename(t, dir, dir+".1")
	if err := l.Reopen(); err == nil {
		t.Error("reopened in a folder that is not there")
	}
	writeNumbers(l, 10, 20)
	closeLog(t, l)
	wantNumbers(t, read(t, filepath.Join(dir+".1", "audit.log")), 0, 20)
}

// A disk that is full is left at once for another, and nothing is lost or there twice.
func TestReopenOnAnotherDisk(t *testing.T) {
	path := logPath(t)
	synctest.Test(t, func(t *testing.T) {
		d, release := &disk{}, make(chan struct{})
		l := openOn(t, d, audit.Options{Path: path})
		d.waits(release)
		writeNumbers(l, 0, 1)
		synctest.Wait()
		writeNumbers(l, 1, 2000) // more than is written at once
		line := len(audit.Line(number("s", 0)))
		d.breaks(line+line/2, func() {}, nil)
		close(release)
		synctest.Wait()
		rename(t, path, path+".1")
		d.set(nil)
		reopen(t, l)
		synctest.Wait() // and no second passes
		wantHealth(t, l, "")
		before, after := read(t, path+".1"), read(t, path)
		if len(before) != 2 {
			t.Errorf("%d events are in the first file, want 2", len(before))
		}
		wantNumbers(t, append(before, after...), 0, 2000)
		closeLog(t, l)
	})
}

// Files are flushed when they are left and not before. What failed then is said.
func TestFlush(t *testing.T) {
	path := logPath(t)
	synctest.Test(t, func(t *testing.T) {
		d, logged := &disk{}, &alarms{}
		l := openOn(t, d, audit.Options{Path: path, Log: logged.log()})
		line := int64(len(audit.Line(number("s", 0))))
		writeNumbers(l, 0, 3)
		synctest.Wait()
		if len(d.synced) > 0 {
			t.Error("flushed after a write")
		}
		rename(t, path, path+".1")
		reopen(t, l)
		writeNumbers(l, 3, 4)
		synctest.Wait()
		wantAlarms(t, logged)
		d.unsynced = syscall.EIO
		reopen(t, l)
		synctest.Wait()
		wantAlarms(t, logged, "ERROR")
		writeNumbers(l, 4, 5)
		if err := l.Close(t.Context()); !errors.Is(err, syscall.EIO) {
			t.Errorf("Close: %v", err)
		}
		if want := []int64{3 * line, line, 2 * line}; !slices.Equal(d.synced, want) {
			t.Errorf("flushed at %v bytes, want %v", d.synced, want)
		}
	})
}
