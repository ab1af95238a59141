package audit

import (
	"errors"
	"fmt"
	"time"
)

const (
	// retryAfter is the time between two attempts to write what could not be written.
	retryAfter = time.Second
	// stallAfter is how long a write may take before records count as not kept.
	stallAfter = 10 * time.Second
)

var errStalled = fmt.Errorf("audit: a write has taken more than %v", stallAfter)

// run is the writer: it appends what waits in the queue until Close.
func (l *Log) run() {
	defer close(l.done)
	for {
		old, lines, more := l.begin()
		if !more {
			break
		}
		var closing, err error
		if old != nil {
			closing = old.close()
		}
		n := 0
		if len(lines) > 0 {
			n, err = l.file.put(lines)
		}
		l.settle(n, err, closing)
	}
	l.end()
}

// begin waits for work and returns it: a file that is not in use any more, and lines, or one of these.
// It returns false when there will be none.
func (l *Log) begin() (old *file, lines []byte, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.due() {
		l.work.Wait()
	}
	switch {
	case l.abandoned:
		return nil, nil, false
	case l.fresh != nil:
		old, l.file, l.fresh = l.file, l.fresh, nil
		l.paused = false
	case l.queue.events == 0:
		return nil, nil, false // closed
	}
	l.busy, l.began = true, time.Now()
	l.stalls.Reset(stallAfter)
	return old, l.queue.next(), true
}

// due reports whether the writer has something to do or to end.
func (l *Log) due() bool {
	return l.abandoned || l.fresh != nil || l.queue.events > 0 && !l.paused || l.closed && l.queue.events == 0
}

// settle takes note of how it went: n bytes were written, and what failed.
func (l *Log) settle(n int, err, closing error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy = false
	l.queue.written(n)
	if closing != nil {
		l.news.closing = closing
		l.announce()
	}
	switch {
	case l.abandoned:
	case err != nil:
		l.failed = nil // the newest cause is the one to tell
		l.fail(err)
		l.paused = true
		l.retries.Reset(retryAfter)
	case l.queue.roomy():
		l.failed = nil
	}
}

// resume ends the pause after a failure.
func (l *Log) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paused = false
	l.work.Signal()
}

// stalled is called some time after the last call of the system began, which has ended since or not.
func (l *Log) stalled() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy && time.Since(l.began) >= stallAfter {
		l.fail(errStalled)
	}
}

// end closes what is open. Without time it does not wait for the disk.
func (l *Log) end() {
	finish := l.ending()
	err := finish()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy = false
	if err != nil && !l.abandoned {
		l.closing = fmt.Errorf("audit: %w", err)
	}
}

// ending counts what will not be written, and returns what is left to do.
func (l *Log) ending() func() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost += uint64(l.queue.events)
	l.busy = true
	f, fresh := l.file, l.fresh
	if l.abandoned {
		return func() error {
			err := f.Close()
			if fresh != nil {
				err = errors.Join(err, fresh.Close())
			}
			return err
		}
	}
	return f.close
}
