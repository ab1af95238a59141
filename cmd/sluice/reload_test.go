package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/goleak"
)

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestReloadLoop(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.yaml")
	write(t, path, "1")
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer
		var reloads atomic.Int64
		var fault atomic.Value
		fault.Store("")
		s := newSource("users file", path)
		s.reload = func() error {
			reloads.Add(1)
			if text := fault.Load().(string); text != "" {
				return errors.New(text)
			}
			return nil
		}
		s.report = func(log *slog.Logger) { log.Info("reloaded", "users", 3) }
		var watches atomic.Int64
		r := &reloader{
			log: slog.New(slog.NewTextHandler(&log, nil)), sources: []*source{s},
			rewatch: func() { watches.Add(1) },
		}
		ctx, cancel := context.WithCancel(t.Context())
		events, errs, forced := make(chan fsnotify.Event), make(chan error), make(chan struct{})
		done := make(chan struct{})
		go func() {
			r.loop(ctx, events, errs, forced)
			close(done)
		}()
		expect := func(want int64, what string) {
			t.Helper()
			synctest.Wait()
			if got := reloads.Load(); got != want {
				t.Errorf("%s: %d reloads, want %d", what, got, want)
			}
		}
		// A timer of the bubble: it runs ahead once all goroutines wait.
		after := func(d time.Duration) { <-time.After(d) }

		events <- fsnotify.Event{}
		after(settle)
		expect(0, "an event of another file")

		write(t, path, "22")
		events <- fsnotify.Event{}
		expect(0, "at once")
		after(settle / 2)
		write(t, path, "333")
		events <- fsnotify.Event{}
		after(settle / 2)
		expect(1, "two changes, settled")
		after(settle)
		expect(1, "no further change")

		write(t, path, "4444")
		after(pollInterval)
		expect(2, "a change that nobody told of")

		forced <- struct{}{}
		expect(3, "forced without a change")
		if !strings.Contains(log.String(), `msg=reloaded what="users file" users=3`) {
			t.Error(log.String())
		}

		fault.Store("line 3 is wrong")
		write(t, path, "55555")
		events <- fsnotify.Event{}
		after(settle)
		expect(4, "a wrong file")
		if !strings.Contains(log.String(), `level=ERROR msg="not reloaded; what was read before holds" what="users file" err="line 3 is wrong"`) {
			t.Error(log.String())
		}
		polled := watches.Load()
		after(3 * pollInterval)
		expect(7, "a wrong file is tried again")
		if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
			t.Errorf("a wrong file is reported %d times", n)
		}
		if n := watches.Load() - polled; n != 3 {
			t.Errorf("folders were watched again %d times in three polls", n)
		}
		fault.Store("line 4 is wrong")
		after(pollInterval)
		expect(8, "another fault")
		if !strings.Contains(log.String(), `err="line 4 is wrong"`) {
			t.Error("another fault is not reported")
		}
		forced <- struct{}{}
		expect(9, "forced with the same fault")
		if n := strings.Count(log.String(), "level=ERROR"); n != 3 {
			t.Errorf("who asks is told: %d errors", n)
		}
		fault.Store("")
		after(pollInterval)
		expect(10, "a fault that went by itself")
		after(pollInterval)
		expect(10, "good again")

		errs <- errors.New("overflow")
		synctest.Wait()
		if !strings.Contains(log.String(), "err=overflow") {
			t.Error(log.String())
		}
		cancel()
		<-done
	})
}

// A Kubernetes Secret is a link to a link: an update swaps the inner one, and no file that was read
// is written to.
func TestReloadSymlinkSwap(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	for i, version := range []string{"v1", "v2"} {
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, version, "users.yaml"), strings.Repeat("x", i))
	}
	link := func(to, name string) {
		t.Helper()
		tmp := filepath.Join(dir, "tmp")
		if err := errors.Join(os.Symlink(to, tmp), os.Rename(tmp, filepath.Join(dir, name))); err != nil {
			t.Fatal(err)
		}
	}
	link("v1", "..data")
	link("..data/users.yaml", "users.yaml")

	s := newSource("users file", filepath.Join(dir, "users.yaml"))
	reloaded := make(chan struct{}, 10)
	s.reload = func() error { reloaded <- struct{}{}; return nil }
	r := &reloader{log: slog.New(slog.DiscardHandler), sources: []*source{s}}
	ctx, cancel := context.WithCancel(t.Context())
	forced, done := make(chan struct{}), make(chan struct{})
	go func() {
		r.watch(ctx, forced)
		close(done)
	}()
	forced <- struct{}{} // it watches now
	<-reloaded
	link("v2", "..data")
	select {
	case <-reloaded:
	case <-time.After(pollInterval / 2):
		t.Error("the swap was not noticed")
	}
	cancel()
	<-done
}

func TestSourceChanged(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	write(t, a, "1")
	s := newSource("x", a, b)
	changed := func(want bool, what string) {
		t.Helper()
		if s.changed() != want {
			t.Errorf("%s: changed is %v", what, !want)
		}
		if s.changed() {
			t.Errorf("%s: changed twice", what)
		}
	}
	changed(false, "nothing")
	write(t, b, "1")
	changed(true, "a file that appeared")
	if err := os.Rename(b, a); err != nil {
		t.Fatal(err)
	}
	changed(true, "a file that was replaced and one that went")
	info, err := os.Stat(a)
	if err != nil {
		t.Fatal(err)
	}
	write(t, a, "22")
	if err := os.Chtimes(a, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	changed(true, "another size at the same time")
	write(t, b, "33")
	if err := errors.Join(os.Chtimes(b, info.ModTime(), info.ModTime()), os.Rename(b, a)); err != nil {
		t.Fatal(err)
	}
	if !s.changed() {
		t.Error("another file of the same size and time")
	}
}

// A folder that is removed and made anew takes its watch with it.
func TestAddFolders(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := filepath.Join(t.TempDir(), "conf")
	path := filepath.Join(dir, "users.yaml")
	w, err := fsnotify.NewWatcher()
	check0(t, err)
	defer w.Close()
	r := &reloader{sources: []*source{newSource("users file", path)}}
	for range 2 {
		check0(t, os.Mkdir(dir, 0o700))
		r.addFolders(w)
		write(t, path, "x")
		for name := ""; name != path; {
			select {
			case e := <-w.Events:
				name = e.Name
			case <-time.After(10 * time.Second):
				t.Fatal("the folder is not watched")
			}
		}
		check0(t, os.RemoveAll(dir))
		for gone := false; !gone; { // the watch has to be gone before the folder is back
			select {
			case e := <-w.Events:
				gone = e.Name == dir
			case <-time.After(10 * time.Second):
				t.Fatal("the end of the folder was not told")
			}
		}
	}
}
