package limits

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxPiece and piecesPerSecond bound what is taken at once, and so how long one waits for another.
	maxPiece        = 64 << 10
	piecesPerSecond = 20
	// minBurst and burstsPerSecond bound what passes at once after a pause.
	minBurst        = 64 << 10
	burstsPerSecond = 10
)

// limiter is a token bucket that is emptied in pieces. All pieces are of one size and those who want
// one stand in a queue, so each gets as much as the next, whatever it wants it for.
type limiter struct {
	// rate is in bytes per second; 0 or less is no limit.
	rate atomic.Int64
	// turn is held by the first of the queue. The others are blocked in sending to it, and the runtime
	// lets them through in the order in which they came.
	turn chan struct{}
	// changed wakes the first of the queue when there is a new rate.
	changed chan struct{}

	mu sync.Mutex
	// tokens are the bytes that may pass now, as of at; below 0 they are owed.
	tokens float64
	at     time.Time
}

func newLimiter(rate int64) *limiter {
	l := &limiter{turn: make(chan struct{}, 1), changed: make(chan struct{}, 1), at: time.Now()}
	l.rate.Store(rate)
	l.tokens = burst(rate)
	return l
}

func piece(rate int64) int64 { return min(max(rate/piecesPerSecond, 1), maxPiece) }

func burst(rate int64) float64 { return float64(max(rate/burstsPerSecond, minBurst)) }

// set changes the rate, also for those who wait.
func (l *limiter) set(rate int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rate.Load() == rate {
		return
	}
	l.refill()
	l.rate.Store(rate)
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// take waits for a piece and returns its size; 0 means that there is no limit.
func (l *limiter) take(ctx context.Context) (int64, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	defer func() { <-l.turn }()
	for {
		n, wait := l.try()
		if wait == 0 {
			return n, nil
		}
		if err := l.sleep(ctx, wait); err != nil {
			return 0, err
		}
	}
}

// try returns a piece, or how long to wait before the next try.
func (l *limiter) try() (n int64, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	rate := l.rate.Load()
	if rate <= 0 {
		return 0, 0
	}
	l.refill()
	n = piece(rate)
	if missing := float64(n) - l.tokens; missing > 0 {
		seconds := min(missing/float64(rate), 3600)
		return 0, time.Duration(seconds*float64(time.Second)) + 1
	}
	l.tokens -= float64(n)
	return n, 0
}

// sleep returns after d, or earlier if the rate has changed.
func (l *limiter) sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.changed:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// giveBack returns bytes that were taken and not moved, or charges those that were moved and not
// taken.
func (l *limiter) giveBack(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refill()
	l.tokens += float64(n)
}

// full reports whether a new limiter would be the same.
func (l *limiter) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refill()
	rate := l.rate.Load()
	return rate <= 0 || l.tokens >= burst(rate)
}

// refill brings tokens up to now, and bounds them by the burst.
func (l *limiter) refill() {
	now := time.Now()
	if rate := l.rate.Load(); rate > 0 {
		l.tokens = min(l.tokens+now.Sub(l.at).Seconds()*float64(rate), burst(rate))
	}
	l.at = now
}
