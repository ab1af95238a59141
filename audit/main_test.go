package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/sluice-ftp/sluice/audit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func logPath(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "audit.log")
}

// open opens a record that is closed at the end, without an error.
func open(t testing.TB, o audit.Options) *audit.Log {
	t.Helper()
	return openOn(t, nil, o)
}

// openOn is open on a disk; nil is the system's.
func openOn(t testing.TB, d *disk, o audit.Options) *audit.Log {
	t.Helper()
	if o.Path == "" {
		o.Path = logPath(t)
	}
	opened := audit.Open
	if d != nil {
		opened = func(o audit.Options) (*audit.Log, error) { return audit.OpenWith(o, d.write, d.sync) }
	}
	l, err := opened(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(context.Background()) })
	return l
}

func closeLog(t testing.TB, l *audit.Log) {
	t.Helper()
	if err := l.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// number is an event that can be told from others: the n-th of a session.
func number(session string, n int) audit.Event {
	return audit.Event{Event: audit.Command, Session: session, Command: "NOOP", Offset: int64(n + 1)}
}

func writeNumbers(l *audit.Log, from, to int) {
	for i := from; i < to; i++ {
		l.Write(number("s", i))
	}
}

// numbers returns the numbers of the events, in their order, of each session.
func numbers(events []audit.Event) map[string][]int {
	all := map[string][]int{}
	for _, e := range events {
		all[e.Session] = append(all[e.Session], int(e.Offset)-1)
	}
	return all
}

func wantNumbers(t *testing.T, events []audit.Event, from, to int) {
	t.Helper()
	got := numbers(events)["s"]
	want := []int{}
	for i := from; i < to; i++ {
		want = append(want, i)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d events, want %d to %d; they are %v", len(got), from, to, got)
	}
}

// read returns the events of a file, every line of which has to be one.
func read(t testing.TB, path string) []audit.Event {
	t.Helper()
	events, torn := readTorn(t, path)
	for _, l := range torn {
		t.Errorf("%s: this line is no event: %q", path, l)
	}
	return events
}

// readTorn returns the events of a file, and what other lines there are.
func readTorn(t testing.TB, path string) (events []audit.Event, torn []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return parse(text)
}

func parse(text []byte) (events []audit.Event, torn []string) {
	for l := range bytes.Lines(text) {
		var e audit.Event
		if !bytes.HasSuffix(l, []byte("}\n")) || json.Unmarshal(l, &e) != nil {
			torn = append(torn, string(l))
			continue
		}
		events = append(events, e)
	}
	return events, torn
}

// disk writes files until it is told to do something else.
type disk struct {
	mu    sync.Mutex
	other func(f *os.File, b []byte) (int, error)
	calls int
	// synced is how many bytes a file had each time that it was flushed, which fails with unsynced.
	synced   []int64
	unsynced error
}

func (d *disk) sync(f *os.File) error {
	st, err := f.Stat()
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		d.synced = append(d.synced, st.Size())
	}
	return errors.Join(err, d.unsynced)
}

func (d *disk) write(f *os.File, b []byte) (int, error) {
	d.mu.Lock()
	other := d.other
	d.calls++
	d.mu.Unlock()
	if other == nil {
		return f.Write(b)
	}
	return other(f, b)
}

func (d *disk) set(other func(f *os.File, b []byte) (int, error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.other = other
}

func (d *disk) called() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls
}

// fails writes the first n bytes of what it is to write, and then fails.
func fails(n int, err error) func(*os.File, []byte) (int, error) {
	return func(f *os.File, b []byte) (int, error) {
		if n == 0 {
			return 0, err
		}
		n, _ := f.Write(b[:min(n, len(b))])
		return n, err
	}
}

// breaks has the disk write the first n bytes of what it is to write, call then and return err, and be
// full from then on.
func (d *disk) breaks(n int, then func(), err error) {
	d.set(func(f *os.File, b []byte) (int, error) {
		d.set(fails(0, syscall.ENOSPC))
		n, failed := f.Write(b[:min(n, len(b))])
		then()
		return n, errors.Join(failed, err)
	})
}

// waits has the disk wait for the end of release before it writes.
func (d *disk) waits(release <-chan struct{}) {
	d.set(func(f *os.File, b []byte) (int, error) {
		<-release
		return f.Write(b)
	})
}

// alarms is what was logged.
type alarms struct {
	mu    sync.Mutex
	lines []map[string]any
}

func (a *alarms) Write(line []byte) (int, error) {
	var m map[string]any
	if err := json.Unmarshal(line, &m); err != nil {
		return 0, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lines = append(a.lines, m)
	return len(line), nil
}

func (a *alarms) log() *slog.Logger { return slog.New(slog.NewJSONHandler(a, nil)) }

// all returns the levels and the numbers of lost events of what was logged.
func (a *alarms) all() (all []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range a.lines {
		s := m["level"].(string)
		if lost, ok := m["lost"]; ok {
			b, _ := json.Marshal(lost)
			s += " " + string(b)
		}
		all = append(all, s)
	}
	return all
}

func wantAlarms(t *testing.T, a *alarms, want ...string) {
	t.Helper()
	if got := a.all(); !slices.Equal(got, want) {
		t.Errorf("logged %q, want %q", got, want)
	}
}
