package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settle is how long a change is left alone before it is read: a certificate and its key are
	// two files.
	settle = 500 * time.Millisecond
	// pollInterval is how often files are looked at on file systems that tell nothing.
	pollInterval = 30 * time.Second
)

// source is something that was read from files and is read again when one of them changes.
type source struct {
	name   string
	files  []string
	seen   []os.FileInfo
	reload func() error
	// report logs that it was read and what.
	report func(log *slog.Logger)
	// failed is what the last reload failed with, "" if it did not.
	failed string
}

// newSource takes note of how the files are. It has to be called before they are read, so that no
// change is missed.
func newSource(name string, files ...string) *source {
	s := &source{name: name, files: files, seen: make([]os.FileInfo, len(files))}
	s.report = func(log *slog.Logger) { log.Info("reloaded") }
	s.changed()
	return s
}

// watch changes which files are looked at; "" is none.
func (s *source) watch(files ...string) {
	files = slices.DeleteFunc(files, func(f string) bool { return f == "" })
	if !slices.Equal(s.files, files) {
		s.files, s.seen = files, make([]os.FileInfo, len(files))
	}
}

// changed reports whether a file is not what it was at the last call. It follows links: Kubernetes
// and certbot replace a link, and the file stays.
func (s *source) changed() bool {
	changed := false
	for i, f := range s.files {
		now, err := os.Stat(f)
		if err != nil {
			now = nil
		}
		if !same(s.seen[i], now) {
			changed = true
		}
		s.seen[i] = now
	}
	return changed
}

func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// reloader reads sources again.
type reloader struct {
	log     *slog.Logger
	sources []*source
	// rewatch watches again what is no longer watched; nil without a watcher.
	rewatch func()
	// refresh is called when something was read again, and now and then: time changes who may be here.
	refresh func()
	// tell is told how each reading went; nil is nobody.
	tell func(what string, err error)
	// done is told when all sources have been read because of forced, and which failed; nil is nobody.
	done func(failed ...string)
}

// watch reads sources again when their files change, and all of them for each value from forced,
// until ctx ends.
func (r *reloader) watch(ctx context.Context, forced <-chan struct{}) {
	if len(r.folders()) == 0 {
		r.loop(ctx, nil, nil, forced)
		return
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		r.log.Warn("file changes are noticed late", "err", err, "poll", pollInterval)
		r.loop(ctx, nil, nil, forced)
		return
	}
	defer func() { _ = w.Close() }() // the process forgets it anyway
	for dir := range r.folders() {
		if err := w.Add(dir); err != nil {
			r.log.Warn("file changes are noticed late", "folder", dir, "err", err, "poll", pollInterval)
		}
	}
	r.rewatch = func() { r.addFolders(w) }
	r.loop(ctx, w.Events, w.Errors, forced)
}

// folders are watched and not the files: a file that is replaced takes its watch with it.
func (r *reloader) folders() map[string]struct{} {
	dirs := map[string]struct{}{}
	for _, s := range r.sources {
		for _, f := range s.files {
			dirs[filepath.Dir(f)] = struct{}{}
		}
	}
	return dirs
}

// addFolders watches the folders again: one that was removed and made anew has lost its watch. What
// fails here was logged or will be, as its files cannot be read either.
func (r *reloader) addFolders(w *fsnotify.Watcher) {
	for dir := range r.folders() {
		_ = w.Add(dir)
	}
}

func (r *reloader) loop(ctx context.Context, events <-chan fsnotify.Event, errs <-chan error, forced <-chan struct{}) {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	var settled <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			// Events that follow do not put it off: other files in the folder may never rest.
			if settled == nil {
				settled = time.After(settle)
			}
		case err := <-errs:
			r.log.Warn("file changes are noticed late", "err", err, "poll", pollInterval)
		case <-settled:
			settled = nil
			r.reload(false)
		case <-poll.C:
			if r.rewatch != nil {
				r.rewatch() // first, so that no change falls between
			}
			r.reload(false)
			r.refreshed()
		case <-forced:
			r.reload(true)
			if r.done != nil {
				r.done(r.failures()...)
			}
		}
	}
}

// reload reads the sources that changed or that failed the last time, or all of them. A file that is
// half there, or on a file system that comes and goes, mends itself without being touched again.
func (r *reloader) reload(all bool) {
	for _, s := range r.sources {
		changed := s.changed()
		if !changed && !all && s.failed == "" {
			continue
		}
		before := s.failed
		s.failed = ""
		err := s.reload()
		if r.tell != nil {
			r.tell(s.name, err)
		}
		if err != nil {
			s.failed = err.Error()
			if changed || all || s.failed != before {
				r.log.Error("not reloaded; what was read before holds", "what", s.name, "err", err)
			}
			continue
		}
		s.report(r.log.With("what", s.name))
		r.refreshed()
	}
}

// failures are the names of what could not be read the last time.
func (r *reloader) failures() []string {
	var names []string
	for _, s := range r.sources {
		if s.failed != "" {
			names = append(names, s.name)
		}
	}
	return names
}

func (r *reloader) refreshed() {
	if r.refresh != nil {
		r.refresh()
	}
}
