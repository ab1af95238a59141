package audit

import (
	"errors"
	"time"
)

var errQueue = errors.New("audit: the queue is full or nearly so: events come faster than they are written")

// news is what the log has not been told yet, and how things are now.
type news struct {
	// cause is why records could not be kept since the last news; before is how many events had been
	// lost until then.
	cause  error
	before uint64
	// closing is why a file that was in use before Reopen may be incomplete after a power cut.
	closing error

	failed error
	lost   uint64
}

// fail takes note that records cannot be kept. The caller holds mu.
func (l *Log) fail(err error) {
	if l.failed == nil {
		l.failed = err
	}
	if l.news.cause == nil {
		l.news.cause, l.news.before = l.failed, l.lost
		l.announce()
	}
}

func (l *Log) announce() {
	select {
	case l.alarm <- struct{}{}:
	default:
	}
}

// hear returns the news.
func (l *Log) hear() news {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.news
	l.news = news{}
	n.failed, n.lost = l.failed, l.lost
	return n
}

// alarms tells the log what went wrong, in a goroutine of its own: a log that takes nothing holds up
// neither the writer nor those who call Write.
func (l *Log) alarms() {
	defer close(l.silent)
	for ended := false; !ended; {
		select {
		case <-l.alarm:
		case <-l.done:
			ended = true
		}
		n := l.hear()
		l.tell(n)
		if n.cause != nil {
			l.log.Error("audit records cannot be written", "path", l.path, "err", n.cause)
			ended = l.recovery(n.before)
		}
	}
}

// recovery waits until nothing went wrong for a second, so that a queue that is full again and again
// is one alarm. It returns true if the writer ended meanwhile. before is how many events had been lost
// at the beginning.
func (l *Log) recovery(before uint64) (ended bool) {
	tick := time.NewTicker(retryAfter)
	defer tick.Stop()
	for !ended {
		select {
		case <-tick.C:
		case <-l.done:
			ended = true
		}
		n := l.hear()
		l.tell(n)
		if n.failed == nil && (n.cause == nil || ended) {
			l.log.Info("audit records are written again", "path", l.path, "lost", n.lost-before)
			return ended
		}
	}
	return true
}

func (l *Log) tell(n news) {
	if n.closing != nil {
		l.log.Error("audit file was not flushed to the disk", "path", l.path, "err", n.closing)
	}
}
