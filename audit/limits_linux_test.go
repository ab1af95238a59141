package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluice-ftp/sluice/audit"
)

// cannot skips a test, or fails it where everything has to run.
func cannot(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("E2E_REQUIRE") != "" {
		t.Fatalf("%s, and E2E_REQUIRE is set", why)
	}
	t.Skip(why)
}

// smallDisk mounts one of 64 KiB and returns its folder.
func smallDisk(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		cannot(t, "needs root")
	}
	dir := t.TempDir()
	if err := unix.Mount("sluice", dir, "tmpfs", 0, "size=64k"); err != nil {
		cannot(t, "mount: "+err.Error())
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill takes what room there is.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, 1<<20)); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
}

func TestFullDisk(t *testing.T) {
	dir := smallDisk(t)
	path, filler := filepath.Join(dir, "audit.log"), filepath.Join(dir, "filler")
	synctest.Test(t, func(t *testing.T) {
		logged := &alarms{}
		l := open(t, audit.Options{Path: path, Queue: 100, Log: logged.log()})
		writeNumbers(l, 0, 1)
		synctest.Wait()
		fill(t, filler)
		// The page that the file has takes some more lines, and then a part of one.
		writeNumbers(l, 1, 60)
		synctest.Wait()
		if err := l.Healthy(); !errors.Is(err, syscall.ENOSPC) && (err == nil || !strings.Contains(err.Error(), "disk full")) {
			t.Errorf("healthy: %v", err)
		}
		held := read(t, path)
		writeNumbers(l, 60, 200)
		pass(time.Minute)
		if st, err := os.Stat(path); err != nil || st.Size() > 4096 {
			t.Errorf("the file has %d bytes, %v", st.Size(), err)
		}
		room := 100 + len(held) // the queue's and the disk's
		if lost := l.Lost(); lost != uint64(200-room) {
			t.Errorf("%d lost, want %d", lost, 200-room)
		}
		wantAlarms(t, logged, "ERROR")
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		pass(3 * time.Second)
		wantHealth(t, l, "")
		wantNumbers(t, read(t, path), 0, room)
		if got := logged.all(); len(got) != 2 || !strings.HasPrefix(got[1], "INFO ") {
			t.Errorf("logged %q", got)
		}
		closeLog(t, l)
	})
}

// Two processes whose disk is full: what is torn is a line of its own at the most.
func TestFullDiskOfTwo(t *testing.T) {
	dir := smallDisk(t)
	path, filler := filepath.Join(dir, "audit.log"), filepath.Join(dir, "filler")
	synctest.Test(t, func(t *testing.T) {
		a, b := open(t, audit.Options{Path: path}), open(t, audit.Options{Path: path})
		writeNumbers(a, 0, 1)
		synctest.Wait()
		fill(t, filler)
		writeNumbers(a, 1, 60)
		synctest.Wait()
		for i := range 60 {
			b.Write(number("b", i))
		}
		pass(10 * time.Second)
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		closeLog(t, a)
		closeLog(t, b)
	})
	events, torn := readTorn(t, path)
	wantNumbers(t, events, 0, 60)
	if got := numbers(events)["b"]; len(got) != 60 {
		t.Errorf("%d events of the other, want 60", len(got))
	}
	if len(torn) > 1 {
		t.Errorf("%q are torn", torn)
	}
}

// A device that is full is no file that could be cut.
func TestFullDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, audit.Options{Path: "/dev/full"})
		writeNumbers(l, 0, 3)
		synctest.Wait()
		wantHealth(t, l, "write /dev/full: no space left on device")
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		if err := l.Close(ctx); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Close: %v", err)
		}
		if l.Lost() != 3 {
			t.Errorf("%d lost", l.Lost())
		}
	})
}

// pipe makes one with a name and opens its reading end.
func pipe(t *testing.T) (path string, r *os.File) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, reader(t, path)
}

func reader(t *testing.T, path string) *os.File {
	t.Helper()
	r, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// A pipe whose reader has stopped takes 64 KiB.
func TestReaderStops(t *testing.T) {
	path, r := pipe(t)
	l := open(t, audit.Options{Path: path, Queue: 1000})
	for l.Lost() < 10 || l.Healthy() == nil {
		writeNumbers(l, 0, 100)
	}
	done := make(chan []byte)
	go func() {
		text, err := io.ReadAll(r)
		if err != nil {
			t.Error(err)
		}
		done <- text
	}()
	closeLog(t, l)
	events, torn := parse(<-done)
	if len(events) < 1000 || len(torn) > 0 {
		t.Errorf("%d events were read, and %q", len(events), torn)
	}
}

// Close ends a write that waits for a reader.
func TestCloseWithoutAReader(t *testing.T) {
	path, r := pipe(t)
	logged := &alarms{}
	l := open(t, audit.Options{Path: path, Log: logged.log()})
	writeNumbers(l, 0, 2000)
	w, err := os.OpenFile(path, os.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	for room := 1; room != 0; runtime.Gosched() {
		if room, err = unix.Poll([]unix.PollFd{{Fd: int32(w.Fd()), Events: unix.POLLOUT}}, 0); err != nil && !errors.Is(err, unix.EINTR) {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = l.Close(ctx)
	lost := int(l.Lost())
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), fmt.Sprint(lost, " events were not written")) {
		t.Errorf("Close: %v, and %d are lost", err, lost)
	}
	text, err := io.ReadAll(r) // it ends: nobody has the pipe open any more
	if err != nil {
		t.Fatal(err)
	}
	events, torn := parse(text)
	wantNumbers(t, events, 0, 2000-lost)
	if lost == 0 || len(torn) > 0 {
		t.Errorf("%d are lost; torn: %q", lost, torn)
	}
	wantAlarms(t, logged)
}

// A pipe's next reader gets what the one before has not taken.
func TestReaderIsReplaced(t *testing.T) {
	path, r := pipe(t)
	synctest.Test(t, func(t *testing.T) {
		l := open(t, audit.Options{Path: path})
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		writeNumbers(l, 0, 2)
		synctest.Wait()
		wantHealth(t, l, "broken pipe")
		next := reader(t, path)
		pass(time.Second)
		wantHealth(t, l, "")
		closeLog(t, l)
		text, err := io.ReadAll(next)
		if err != nil {
			t.Fatal(err)
		}
		events, torn := parse(text)
		wantNumbers(t, events, 0, 2)
		if len(torn) > 0 {
			t.Errorf("torn: %q", torn)
		}
	})
}

// Others may write to the same pipe: only so much stays together.
func TestPiecesForAPipe(t *testing.T) {
	path, r := pipe(t)
	synctest.Test(t, func(t *testing.T) {
		d, release := &disk{}, make(chan struct{})
		d.set(func(f *os.File, b []byte) (int, error) {
			<-release
			whole := bytes.HasPrefix(b, []byte("{")) && bytes.HasSuffix(b, []byte("}\n"))
			if !whole || len(b) > 4095 && bytes.Count(b, []byte("\n")) > 1 {
				t.Errorf("a write of %d bytes, whole lines: %v", len(b), whole)
			}
			return f.Write(b)
		})
		l := openOn(t, d, audit.Options{Path: path})
		writeNumbers(l, 0, 1)
		synctest.Wait()
		writeNumbers(l, 1, 100)
		long := number("s", 100)
		long.Path = strings.Repeat("x", 5000)
		l.Write(long)
		l.Write(number("s", 101))
		calls := d.called()
		close(release)
		closeLog(t, l)
		if n := d.called() - calls; n > 10 {
			t.Errorf("%d calls", n)
		}
	})
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	events, _ := parse(text)
	wantNumbers(t, events, 0, 102)
}

// A line that a pipe took half of is there again in full.
func TestTornLineOnAPipe(t *testing.T) {
	path, r := pipe(t)
	torn(t, path, func() {}, syscall.EPIPE)
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	events, rest := parse(text)
	wantNumbers(t, events, 0, 9)
	if len(rest) != 1 {
		t.Errorf("torn: %q", rest)
	}
}

// What waits takes the memory that the options allow, whatever clients send.
func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, release := &disk{}, make(chan struct{})
		d.waits(release)
		l := openOn(t, d, audit.Options{Queue: 1024}) // 2 MiB
		before, most := heap(), int64(0)
		const room = 2 << 20 / (64 << 10) // each line takes more than half a block
		for i := range 400 {
			l.Write(audit.Event{Path: strings.Repeat("\x01", 4096), Target: strings.Repeat("\u0085", 2048)})
			if i%100 == 99 {
				most = max(most, heap()-before)
			}
		}
		if most > 5<<19 {
			t.Errorf("the heap grew by %d bytes, want some 2 MiB", most)
		}
		if l.Lost() != 400-room {
			t.Errorf("%d are lost, want %d", l.Lost(), 400-room)
		}
		close(release)
		closeLog(t, l)
		if after := heap() - before; after > 1<<18 {
			t.Errorf("%d bytes are kept", after)
		}
	})
}

// The largest event fits the smallest queue, and leaves nothing behind.
func TestSmallestQueue(t *testing.T) {
	path := logPath(t)
	synctest.Test(t, func(t *testing.T) {
		d, release, logged := &disk{}, make(chan struct{}), &alarms{}
		d.waits(release)
		l := openOn(t, d, audit.Options{Path: path, Queue: 1, Log: logged.log()})
		long := strings.Repeat("\x01", 8<<10)
		largest := audit.Event{
			Session: long, User: long, Remote: long, Client: long, TLS: long, Command: long, Path: long,
			Target: long, Reason: long, SHA256: long, Version: long, Backend: long, Detail: long,
		}
		before := heap()
		l.Write(largest)
		wantHealth(t, l, "")
		l.Write(largest)
		wantHealth(t, l, "queue")
		synctest.Wait()
		wantAlarms(t, logged, "ERROR")
		close(release)
		synctest.Wait()
		wantHealth(t, l, "")
		if after := heap() - before; after > 1<<18 {
			t.Errorf("%d bytes are kept", after)
		}
		closeLog(t, l)
		if n := len(read(t, path)); n != 1 || l.Lost() != 1 {
			t.Errorf("%d events, %d lost", n, l.Lost())
		}
	})
}

// heap returns how many bytes are in use. What was in pools goes at the second collection.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
