// Package audit keeps the record of who did what: events, as lines of JSON, appended to a file or
// standard output.
//
// Write never waits for the disk. Events wait in a queue of bounded size, and one goroutine appends
// them, many with one call of the system, so that the lines of several processes do not mix. What
// cannot be written stays in the queue and is tried again every second; events are lost when the
// queue is full, and that is counted and said in the log.
//
// A crash of the process loses what waits, ordinarily some milliseconds. The file is flushed to the
// disk (fsync) by Close and Reopen only: a power cut loses what the system had not written by itself.
package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const defaultQueue = 10_000

var errClosed = errors.New("audit: closed")

// Options say where the record is kept.
type Options struct {
	// Path is a file, which is made with mode 0640 if there is none and else appended to, or "-" for
	// standard output. A pipe has to have a reader.
	Path string
	// Required is for the owner to ask for: it may refuse work while Healthy returns an error.
	Required bool
	// Log gets the alarms; nil is none.
	Log *slog.Logger
	// Queue is how many events may wait; 0 is 10,000. They take 2 KiB of memory each at the most, but
	// 1 MiB together may always be taken: longer events fill the queue with fewer.
	Queue int
}

// Log is a record that is kept. It may be used by any number of goroutines. A nil *Log does nothing.
type Log struct {
	path     string
	required bool
	log      *slog.Logger
	calls    calls
	encoders sync.Pool

	reopen sync.Mutex // held from the opening of a file until it is handed over

	mu    sync.Mutex
	work  *sync.Cond // the writer waits for it
	queue queue
	file  *file // in use; the writer alone changes it
	fresh *file // opened by Reopen and not in use yet
	busy  bool  // the writer is in calls of the system, since began
	began time.Time

	paused    bool // until the next attempt
	closed    bool
	abandoned bool // Close has no more time

	lost    uint64
	failed  error // why records cannot be kept just now
	closing error // from the end of the file that was in use last

	news    news
	alarm   chan struct{} // there is news
	stalls  *time.Timer
	retries *time.Timer
	done    chan struct{} // closed when the writer has ended
	silent  chan struct{} // closed when the last alarm was given
}

// Open opens the file and begins to keep a record in it. The caller has to call Close.
func Open(o Options) (*Log, error) { return open(o, calls{}) }

func open(o Options, c calls) (*Log, error) {
	switch {
	case o.Path == "":
		return nil, errors.New("audit: no path; give that of a file, or - for standard output")
	case o.Queue < 0:
		return nil, fmt.Errorf("audit: a queue of %d events; give 1 or more", o.Queue)
	case o.Queue == 0:
		o.Queue = defaultQueue
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	f, err := openFile(o.Path, c)
	if err != nil {
		return nil, err
	}
	l := &Log{
		path: o.Path, required: o.Required, log: o.Log, calls: c,
		encoders: sync.Pool{New: func() any { return newEncoder() }},
		queue:    newQueue(o.Queue), file: f,
		alarm: make(chan struct{}, 1), done: make(chan struct{}), silent: make(chan struct{}),
	}
	l.work = sync.NewCond(&l.mu)
	l.stalls, l.retries = stopped(l.stalled), stopped(l.resume)
	go l.run()
	go l.alarms()
	return l, nil
}

// stopped returns a timer that calls f after it was reset.
func stopped(f func()) *time.Timer {
	t := time.AfterFunc(time.Hour, f)
	t.Stop()
	return t
}

// Write puts e behind all events that were written before. It never waits for the disk: where there
// is no room, or after Close, e is counted as lost. The times that are set for events of the same
// moment need not be in the order of their lines.
func (l *Log) Write(e Event) {
	if l == nil {
		return
	}
	enc := l.encoders.Get().(*encoder)
	line := enc.encode(&e)
	l.add(line)
	if enc.small() {
		l.encoders.Put(enc)
	}
}

func (l *Log) add(line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		l.lost++
		return
	case !l.queue.add(line):
		l.fail(errQueue)
		l.lost++
		return
	case l.queue.crowded():
		l.fail(errQueue)
	}
	l.work.Signal()
}

// Healthy returns nil, or why records cannot be kept just now: writing fails, takes more than ten
// seconds, or the queue is filling up. There is room for the events of work that is under way then.
func (l *Log) Healthy() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return errClosed
	}
	return l.failed
}

// Lost returns how many events are not in the record and never will be.
func (l *Log) Lost() uint64 {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// Required returns what the options said.
func (l *Log) Required() bool { return l != nil && l.required }

// Reopen opens the path anew, after a rotation. If that fails, the file that was in use stays so.
// Events that were written before the call are in that file or in the new one, those written after it
// in the new one; order is kept. The file before is flushed and closed later, when what is being
// written to it is done: a rotation should not compress it at once (delaycompress of logrotate).
func (l *Log) Reopen() error {
	if l == nil || l.path == standardOutput {
		return nil
	}
	l.reopen.Lock()
	defer l.reopen.Unlock()
	f, err := openFile(l.path, l.calls)
	if err != nil {
		return err
	}
	unused, err := l.use(f)
	if unused != nil {
		_ = unused.Close() // nothing was written to it
	}
	return err
}

// use hands a file to the writer. It returns the one that is not needed: an earlier one that the
// writer has not come to, or f itself after Close.
func (l *Log) use(f *file) (unused *file, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return f, errClosed
	}
	unused, l.fresh = l.fresh, f
	l.work.Signal()
	return unused, nil
}

// Close writes what waits, as long as ctx allows, flushes the file to the disk and closes it. The error
// says how many events were not written. If the system does not return from a write to a disk that
// hangs, Close does all the same: one goroutine stays behind until then, and the events of that write
// count as not written.
func (l *Log) Close(ctx context.Context) error {
	if l == nil {
		return nil
	}
	l.finish()
	select {
	case <-l.silent:
	case <-ctx.Done():
		if l.abandon() {
			<-l.done
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.queue.events; n > 0 {
		cause := l.failed
		if cause == nil {
			cause = context.Cause(ctx)
		}
		return fmt.Errorf("audit: close %s: %d events were not written: %w", l.path, n, cause)
	}
	return l.closing
}

// finish has the writer end when nothing waits any more.
func (l *Log) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed, l.paused = true, false
	l.work.Signal()
}

// abandon has the writer end before its next call of the system. It reports whether that is now.
func (l *Log) abandon() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.abandoned = true
	l.work.Signal()
	// A deadline ends a call that waits for a pipe's reader; for a disk there is nothing that does.
	return !l.busy || !l.file.regular && l.file.SetWriteDeadline(time.Unix(1, 0)) == nil
}
