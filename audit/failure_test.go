package audit_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluice-ftp/sluice/audit"
)

// pass lets time pass, in a bubble, and everybody do what is due.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func wantHealth(t *testing.T, l *audit.Log, want string) {
	t.Helper()
	err := l.Healthy()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("healthy: %v, want %q", err, want)
	}
}

func TestDiskFailsForAWhile(t *testing.T) {
	path := logPath(t)
	synctest.Test(t, func(t *testing.T) {
		d, logged := &disk{}, &alarms{}
		l := openOn(t, d, audit.Options{Path: path, Queue: 10, Log: logged.log()})
		writeNumbers(l, 0, 3)
		synctest.Wait()
		wantHealth(t, l, "")
		d.set(fails(0, syscall.EIO))
		calls := d.called()
		writeNumbers(l, 3, 4)
		synctest.Wait()
		wantHealth(t, l, syscall.EIO.Error())
		writeNumbers(l, 4, 13) // as many as there is room for
		synctest.Wait()
		if n := d.called() - calls; n != 1 {
			t.Errorf("%d attempts, want 1 each second", n)
		}
		if l.Lost() != 0 {
			t.Errorf("%d events lost, and there was room", l.Lost())
		}
		writeNumbers(l, 13, 20)
		for range 10 {
			pass(time.Second)
		}
		if n := d.called() - calls; n != 11 {
			t.Errorf("%d attempts in 10 s, want 11", n)
		}
		wantHealth(t, l, syscall.EIO.Error())
		wantAlarms(t, logged, "ERROR")
		d.set(nil)
		pass(time.Second)
		wantHealth(t, l, "")
		pass(2 * time.Second)
		wantAlarms(t, logged, "ERROR", "INFO 7")
		if l.Lost() != 7 {
			t.Errorf("%d events lost, want 7", l.Lost())
		}
		writeNumbers(l, 13, 15)
		synctest.Wait()
		// The next failure is another alarm, with a count of its own.
		d.set(fails(0, syscall.ENOSPC))
		writeNumbers(l, 15, 16)
		synctest.Wait()
		d.set(nil)
		pass(3 * time.Second)
		wantAlarms(t, logged, "ERROR", "INFO 7", "ERROR", "INFO 0")
		closeLog(t, l)
	})
	wantNumbers(t, read(t, path), 0, 16)
}

func TestNewestCauseIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		d.set(fails(0, syscall.EIO))
		l := openOn(t, d, audit.Options{Queue: 4})
		writeNumbers(l, 0, 9)
		synctest.Wait()
		wantHealth(t, l, syscall.EIO.Error())
		d.set(fails(0, syscall.EDQUOT))
		pass(time.Second)
		wantHealth(t, l, syscall.EDQUOT.Error())
		d.set(nil)
		pass(time.Second)
	})
}

// torn writes nine lines to a disk that takes two and a half, says err, which is nil for a regular file,
// and then takes nothing for a while. It calls then when the third is torn.
func torn(t *testing.T, path string, then func(), err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d, release := &disk{}, make(chan struct{})
		l := openOn(t, d, audit.Options{Path: path})
		d.waits(release)
		writeNumbers(l, 0, 1)
		synctest.Wait()
		writeNumbers(l, 1, 9)
		size := len(audit.Line(number("s", 0)))
		d.breaks(size+size/2, then, err)
		close(release)
		synctest.Wait()
		wantHealth(t, l, syscall.ENOSPC.Error())
		pass(time.Second)
		d.set(nil)
		pass(time.Second)
		wantHealth(t, l, "")
		closeLog(t, l)
	})
}

func TestTornLineIsCut(t *testing.T) {
	path := logPath(t)
	torn(t, path, func() {}, nil)
	wantNumbers(t, read(t, path), 0, 9)
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// What another program appended behind a torn line stays.
func TestTornLineBeforeAnothers(t *testing.T) {
	path := logPath(t)
	torn(t, path, func() { appendTo(t, path, "other\n") }, nil)
	events, rest := readTorn(t, path)
	wantNumbers(t, events, 0, 9)
	if len(rest) != 1 || !strings.HasSuffix(rest[0], "other\n") {
		t.Errorf("lines that are none: %q", rest)
	}
}

// Another process that has the file open may append at any moment.
func TestTornLineWithAnotherLog(t *testing.T) {
	path := logPath(t)
	other := open(t, audit.Options{Path: path})
	torn(t, path, func() {}, nil)
	other.Write(number("other", 0))
	closeLog(t, other)
	events, rest := readTorn(t, path)
	wantNumbers(t, events, 0, 9)
	if len(numbers(events)["other"]) != 1 || len(rest) != 1 {
		t.Errorf("lines that are none: %q", rest)
	}
}

// A rotation that the log has not heard of does not hide that a line is torn.
func TestTornLineInARenamedFile(t *testing.T) {
	path := logPath(t)
	other := open(t, audit.Options{Path: path})
	torn(t, path, func() {
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		rename(t, path, path+".1")
		appendTo(t, path, strings.Repeat("x", int(st.Size())-1)+"\n")
	}, nil)
	closeLog(t, other)
	events, rest := readTorn(t, path+".1")
	wantNumbers(t, events, 0, 9)
	if len(rest) != 1 {
		t.Errorf("lines that are none: %q", rest)
	}
}

// While another log has the file open, its end may be that of a line on its way.
func TestUnfinishedLineOfAnother(t *testing.T) {
	path := logPath(t)
	open(t, audit.Options{Path: path})
	appendTo(t, path, "on its way")
	l := open(t, audit.Options{Path: path})
	writeNumbers(l, 0, 2)
	closeLog(t, l)
	events, rest := readTorn(t, path)
	wantNumbers(t, events, 1, 2)
	if len(rest) != 1 || !strings.HasPrefix(rest[0], "on its way{") {
		t.Errorf("lines that are none: %q", rest)
	}
}

// A log holds a lock as long as it is open, and never one that keeps another from its own.
func TestLocks(t *testing.T) {
	path := logPath(t)
	appendTo(t, path, "")
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	try := func(how int) bool {
		locked := unix.Flock(int(f.Fd()), how|unix.LOCK_NB) == nil
		if err := unix.Flock(int(f.Fd()), unix.LOCK_UN); err != nil {
			t.Error(err)
		}
		return locked
	}
	wantShared := func(what string) {
		t.Helper()
		if try(unix.LOCK_EX) || !try(unix.LOCK_SH) {
			t.Errorf("%s: there is no lock, or no shared one", what)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		l := open(t, audit.Options{Path: path})
		wantShared("open")
		writeNumbers(l, 0, 1)
		synctest.Wait()
		wantShared("after a write")
		closeLog(t, l)
		if !try(unix.LOCK_EX) {
			t.Error("a lock is left")
		}

		// Another's lock keeps nothing from being written; when it is gone there is one again.
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			t.Fatal(err)
		}
		l = open(t, audit.Options{Path: path})
		writeNumbers(l, 1, 2)
		synctest.Wait()
		wantHealth(t, l, "")
		if err := unix.Flock(int(f.Fd()), unix.LOCK_UN); err != nil {
			t.Fatal(err)
		}
		writeNumbers(l, 2, 3)
		synctest.Wait()
		wantShared("after another's lock")
		closeLog(t, l)

		// A lock for itself alone that a log does not get costs it its own for a moment only.
		d := &disk{}
		other := open(t, audit.Options{Path: path})
		l = openOn(t, d, audit.Options{Path: path})
		d.breaks(10, func() {}, nil)
		writeNumbers(l, 3, 4)
		synctest.Wait()
		closeLog(t, other)
		wantShared("after a failure")
		d.set(nil)
		pass(time.Second)
		closeLog(t, l)
	})
	events, _ := readTorn(t, path)
	wantNumbers(t, events, 0, 4)
}

// A line that never fits is tried again each second and not all the time.
func TestPartOfALineOnly(t *testing.T) {
	path := logPath(t)
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		d.set(fails(10, nil))
		l := openOn(t, d, audit.Options{Path: path})
		writeNumbers(l, 0, 1)
		synctest.Wait()
		wantHealth(t, l, "is the disk full?")
		pass(5 * time.Second)
		if d.called() != 6 {
			t.Errorf("%d attempts in 5 s, want 6", d.called())
		}
		if st, err := os.Stat(path); err != nil || st.Size() != 0 {
			t.Errorf("%d bytes are left, %v", st.Size(), err)
		}
		d.set(nil)
		closeLog(t, l)
	})
	wantNumbers(t, read(t, path), 0, 1)
}

// What waits is written with one call for many whole lines.
func TestBatches(t *testing.T) {
	path := logPath(t)
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		var sizes []int
		release := make(chan struct{})
		d.set(func(f *os.File, b []byte) (int, error) {
			<-release
			if !bytes.HasPrefix(b, []byte("{")) || !bytes.HasSuffix(b, []byte("}\n")) {
				t.Errorf("not whole lines: %.20q", b)
			}
			sizes = append(sizes, len(b))
			return f.Write(b)
		})
		l := openOn(t, d, audit.Options{Path: path})
		writeNumbers(l, 0, 1)
		synctest.Wait()
		writeNumbers(l, 1, 3000)
		close(release)
		closeLog(t, l)
		if len(sizes) > 8 {
			t.Errorf("%d calls for 3000 events", len(sizes))
		}
	})
	wantNumbers(t, read(t, path), 0, 3000)
}

// A queue that is full again and again is one alarm.
func TestOverloadIsOneAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, logged := &disk{}, &alarms{}
		slow := make(chan struct{})
		d.waits(slow)
		l := openOn(t, d, audit.Options{Queue: 8, Log: logged.log()})
		for range 50 {
			writeNumbers(l, 0, 1)
			synctest.Wait()
			writeNumbers(l, 1, 10)
			wantHealth(t, l, "queue")
			slow <- struct{}{}
			slow <- struct{}{}
			synctest.Wait()
			wantHealth(t, l, "")
			pass(100 * time.Millisecond)
		}
		wantAlarms(t, logged, "ERROR")
		if l.Lost() != 100 {
			t.Errorf("%d lost, want 100", l.Lost())
		}
		pass(3 * time.Second)
		wantAlarms(t, logged, "ERROR", "INFO 100")
	})
}

// The owner hears of it while there is room for what is under way.
func TestHealthBeforeTheQueueIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, release := &disk{}, make(chan struct{})
		d.waits(release)
		l := openOn(t, d, audit.Options{Queue: 100})
		writeNumbers(l, 0, 1)
		synctest.Wait()
		writeNumbers(l, 1, 75)
		wantHealth(t, l, "")
		writeNumbers(l, 75, 76)
		wantHealth(t, l, "queue")
		writeNumbers(l, 76, 100)
		if l.Lost() != 0 {
			t.Errorf("%d lost", l.Lost())
		}
		writeNumbers(l, 100, 101)
		if l.Lost() != 1 {
			t.Errorf("%d lost", l.Lost())
		}
		release <- struct{}{}
		synctest.Wait()
		wantHealth(t, l, "queue") // 99 wait
		close(release)
		synctest.Wait()
		wantHealth(t, l, "")
	})
}

func TestStall(t *testing.T) {
	path := logPath(t)
	synctest.Test(t, func(t *testing.T) {
		d, logged, release := &disk{}, &alarms{}, make(chan struct{})
		l := openOn(t, d, audit.Options{Path: path, Log: logged.log()})
		writeNumbers(l, 0, 1)
		pass(time.Hour) // nothing to do is no stall
		d.waits(release)
		writeNumbers(l, 1, 2)
		pass(9 * time.Second)
		writeNumbers(l, 2, 9)
		wantHealth(t, l, "")
		pass(2 * time.Second)
		wantHealth(t, l, "more than 10s")
		pass(time.Hour)
		wantAlarms(t, logged, "ERROR")
		close(release)
		synctest.Wait()
		wantHealth(t, l, "")
		pass(2 * time.Second)
		wantAlarms(t, logged, "ERROR", "INFO 0")
		l.Stalled() // a timer can be late
		wantHealth(t, l, "")
		closeLog(t, l)
	})
	wantNumbers(t, read(t, path), 0, 9)
}

// stuck is a log that takes nothing until it is closed.
type stuck chan struct{}

func (s stuck) Write(p []byte) (int, error) { <-s; return len(p), nil }

func TestStuckLogHoldsNothingUp(t *testing.T) {
	path := logPath(t)
	synctest.Test(t, func(t *testing.T) {
		d, s := &disk{}, make(stuck)
		l := openOn(t, d, audit.Options{Path: path, Queue: 8, Log: slog.New(slog.NewTextHandler(s, nil))})
		d.set(fails(0, syscall.EIO))
		writeNumbers(l, 0, 10)
		pass(time.Second)
		d.set(nil)
		pass(time.Second)
		wantHealth(t, l, "")
		writeNumbers(l, 8, 9)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Close(ctx); err != nil {
			t.Error(err)
		}
		close(s)
	})
	wantNumbers(t, read(t, path), 0, 9)
}

func TestCloseOnADeadDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, logged := &disk{}, &alarms{}
		l := openOn(t, d, audit.Options{Log: logged.log()})
		d.set(fails(0, syscall.EIO))
		writeNumbers(l, 0, 7)
		pass(500 * time.Millisecond)
		calls := d.called()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
		defer cancel()
		err := l.Close(ctx)
		if took := time.Since(start); took != 3500*time.Millisecond {
			t.Errorf("Close took %v", took)
		}
		if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "7 events were not written") {
			t.Errorf("Close: %v", err)
		}
		if n := d.called() - calls; n != 4 { // at once and each second
			t.Errorf("%d attempts while Close waited, want 4", n)
		}
		if l.Lost() != 7 {
			t.Errorf("%d lost, want 7", l.Lost())
		}
		if again := l.Close(t.Context()); again == nil || again.Error() != err.Error() {
			t.Errorf("the second Close: %v", again)
		}
		pass(time.Minute)
		wantAlarms(t, logged, "ERROR")
	})
}

func TestCloseWhenTheDiskRecovers(t *testing.T) {
	path := logPath(t)
	synctest.Test(t, func(t *testing.T) {
		d, logged := &disk{}, &alarms{}
		l := openOn(t, d, audit.Options{Path: path, Log: logged.log()})
		d.set(fails(0, syscall.EIO))
		writeNumbers(l, 0, 7)
		synctest.Wait()
		time.AfterFunc(2500*time.Millisecond, func() { d.set(nil) })
		start := time.Now()
		closeLog(t, l)
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("Close took %v", took)
		}
		wantAlarms(t, logged, "ERROR", "INFO 0")
	})
	wantNumbers(t, read(t, path), 0, 7)
}

// What was lost just before the end is said.
func TestCloseSaysWhatWasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, logged := &disk{}, &alarms{}
		l := openOn(t, d, audit.Options{Queue: 5, Log: logged.log()})
		d.set(fails(0, syscall.EIO))
		writeNumbers(l, 0, 3)
		pass(500 * time.Millisecond)
		writeNumbers(l, 3, 10)
		d.set(nil)
		closeLog(t, l)
		wantAlarms(t, logged, "ERROR", "INFO 5")
	})
}

// A write that does not come back holds up neither Write nor Close.
func TestCloseDuringAWrite(t *testing.T) {
	path := logPath(t)
	synctest.Test(t, func(t *testing.T) {
		d, release := &disk{}, make(chan struct{})
		d.waits(release)
		l := openOn(t, d, audit.Options{Path: path, Queue: 5})
		writeNumbers(l, 0, 1)
		synctest.Wait()
		writeNumbers(l, 1, 100)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := l.Close(ctx)
		if took := time.Since(start); took != time.Second {
			t.Errorf("Close took %v", took)
		}
		if err == nil || !strings.Contains(err.Error(), " 5 events were not written") {
			t.Errorf("Close: %v", err)
		}
		close(release)
		synctest.Wait() // what was under way is done, and no more
		if l.Lost() != 99 {
			t.Errorf("%d lost, want 99", l.Lost())
		}
	})
	wantNumbers(t, read(t, path), 0, 1)
}
