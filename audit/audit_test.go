package audit_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sluice-ftp/sluice/audit"
)

func TestOrder(t *testing.T) {
	path := logPath(t)
	l := open(t, audit.Options{Path: path, Queue: 1 << 20})
	var wg sync.WaitGroup
	var mu sync.Mutex
	next := 0
	for w := range 8 {
		wg.Go(func() {
			for i := range 1000 {
				l.Write(number(fmt.Sprint(w), i))
				mu.Lock()
				l.Write(number("s", next))
				next++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	closeLog(t, l)
	events := read(t, path)
	wantNumbers(t, events, 0, 8000)
	for w := range 8 {
		if got := numbers(events)[fmt.Sprint(w)]; len(got) != 1000 || !slices.IsSorted(got) {
			t.Errorf("writer %d: %d events, or in another order", w, len(got))
		}
	}
	if l.Lost() != 0 {
		t.Errorf("%d events lost", l.Lost())
	}
}

// The lines of two processes do not mix: each opens the file for itself, as here.
func TestTwoLogsOnOneFile(t *testing.T) {
	path := logPath(t)
	var wg sync.WaitGroup
	for w := range 2 {
		l := open(t, audit.Options{Path: path, Queue: 1 << 20})
		wg.Go(func() {
			for i := range 2000 {
				e := number(fmt.Sprint(w), i)
				e.Path = strings.Repeat("x", i%4000)
				l.Write(e)
			}
			closeLog(t, l)
		})
	}
	wg.Wait()
	for w, got := range numbers(read(t, path)) {
		if len(got) != 2000 || !slices.IsSorted(got) {
			t.Errorf("log %s: %d events, or in another order", w, len(got))
		}
	}
}

func TestNilLog(t *testing.T) {
	var l *audit.Log
	l.Write(audit.Event{Event: audit.Login})
	if err := errors.Join(l.Healthy(), l.Reopen(), l.Close(t.Context())); err != nil {
		t.Error(err)
	}
	if l.Required() || l.Lost() != 0 {
		t.Error("a nil log requires or has lost something")
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		o    audit.Options
		want []string
	}{
		"no path":        {audit.Options{}, []string{"no path", "give that of a file"}},
		"folder":         {audit.Options{Path: dir}, []string{dir, "is a directory", "a file in that folder"}},
		"no folder":      {audit.Options{Path: dir + "/a/b"}, []string{dir + "/a/b", "no such file", "make the folder"}},
		"no reader":      {audit.Options{Path: fifo}, []string{fifo, "start the program that reads it"}},
		"below a file":   {audit.Options{Path: fifo + "/b"}, []string{fifo + "/b", "give the path of a file"}},
		"negative queue": {audit.Options{Path: dir + "/a", Queue: -1}, []string{"-1", "give 1 or more"}},
	} {
		l, err := audit.Open(c.o)
		if l != nil || err == nil {
			t.Errorf("%s: opened", name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, does not say %q", name, err, want)
			}
		}
	}
	if left, err := os.ReadDir(dir); len(left) != 1 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestFileIsAppendedTo(t *testing.T) {
	for name, c := range map[string]struct {
		old      string
		mode     fs.FileMode
		wantMode fs.FileMode
		wantTorn int
	}{
		"new":    {"", 0, 0o640, 0},
		"empty":  {"", 0o600, 0o600, 0},
		"used":   {"old\n", 0o604, 0o604, 1},
		"torn":   {`{"time":`, 0o640, 0o640, 1},
		"a line": {"\n", 0o640, 0o640, 1},
	} {
		path := logPath(t)
		if c.mode != 0 {
			if err := errors.Join(os.WriteFile(path, []byte(c.old), c.mode), os.Chmod(path, c.mode)); err != nil {
				t.Fatal(err)
			}
		}
		old := unix.Umask(0o022)
		l := open(t, audit.Options{Path: path, Required: true})
		unix.Umask(old)
		writeNumbers(l, 0, 3)
		if !l.Required() || l.Healthy() != nil {
			t.Errorf("%s: not required or not healthy: %v", name, l.Healthy())
		}
		closeLog(t, l)
		events, torn := readTorn(t, path)
		wantNumbers(t, events, 0, 3)
		if len(torn) != c.wantTorn || strings.TrimSpace(strings.Join(torn, "")) != strings.TrimSpace(c.old) {
			t.Errorf("%s: before the events is %q, want %q", name, torn, c.old)
		}
		if st, err := os.Stat(path); err != nil || st.Mode() != c.wantMode {
			t.Errorf("%s: mode %v, want %v; %v", name, st.Mode(), c.wantMode, err)
		}
	}
}

func TestStandardOutput(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	old := os.Stdout
	os.Stdout = w
	l := open(t, audit.Options{Path: "-"})
	os.Stdout = old
	writeNumbers(l, 0, 10)
	if err := l.Reopen(); err != nil {
		t.Error(err)
	}
	writeNumbers(l, 10, 20)
	closeLog(t, l)
	if _, err := w.WriteString("it is open\n"); err != nil {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	text := make([]byte, 16<<10)
	n, err := r.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	events, rest := parse(text[:n])
	wantNumbers(t, events, 0, 20)
	if len(rest) != 1 || rest[0] != "it is open\n" {
		t.Errorf("the rest is %q", rest)
	}
}

func TestClosed(t *testing.T) {
	path := logPath(t)
	l := open(t, audit.Options{Path: path})
	writeNumbers(l, 0, 5)
	closeLog(t, l)
	writeNumbers(l, 5, 8)
	if l.Lost() != 3 || l.Healthy() == nil || l.Reopen() == nil {
		t.Errorf("after Close: %d lost, healthy: %v", l.Lost(), l.Healthy())
	}
	closeLog(t, l)
	wantNumbers(t, read(t, path), 0, 5)
}
