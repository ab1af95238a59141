package bucket

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/sluice-ftp/sluice/backends"
)

// Patience says how long a call is tried.
type Patience struct {
	// Attempt bounds one request, unless it is 0; none is begun after Total.
	Attempt, Total time.Duration
}

// How long is waited for what.
var (
	// Asking is for what a client waits for at its prompt.
	Asking = Patience{Attempt: 10 * time.Second, Total: 30 * time.Second}
	// Transferring is for the small requests of an upload: a store that is busy for minutes must not
	// make an end of it.
	Transferring = Patience{Attempt: 10 * time.Second, Total: 5 * time.Minute}
	// Finishing is for the one request that a whole upload was made for.
	Finishing = Patience{Attempt: time.Minute, Total: 10 * time.Minute}
	// Cleaning is for what nobody waits for, but the end of a session.
	Cleaning = Patience{Attempt: 10 * time.Second, Total: 30 * time.Second}
	// Recovering is for what takes several requests, for a client at its prompt.
	Recovering = Patience{Attempt: time.Minute, Total: 90 * time.Second}
	// Duplicating is for a copy: the store works for minutes, and is silent meanwhile.
	Duplicating = Patience{Attempt: 10 * time.Minute, Total: 15 * time.Minute}
)

// Uploading is the patience with a body of so many bytes: half a minute, and 256 KiB a second at least.
func Uploading(size int64) Patience {
	attempt := 30*time.Second + time.Duration(size/(256<<10))*time.Second
	return Patience{Attempt: attempt, Total: 5*time.Minute + attempt}
}

const (
	firstPause = 50 * time.Millisecond
	longPause  = 10 * time.Second
)

// Retry calls do until it succeeds, fails for good, or p or ctx ends. Each attempt gets a context
// with its own deadline; do must not keep it.
func (a *Adapter) Retry(ctx context.Context, p Patience, do func(ctx context.Context) error) error {
	begun, attempt := time.Now(), ctx
	for n, next := 1, firstPause; ; n, next = n+1, min(2*next, longPause) {
		err := Once(attempt, p.Attempt, do)
		if err == nil || !Retryable(ctx, a.store, err) {
			return cancelled(ctx, err)
		}
		wait := rand.N(next) + firstPause/2
		if time.Since(begun)+wait > p.Total {
			return err
		}
		if Pause(ctx, wait) != nil {
			return cancelled(ctx, err)
		}
		attempt = backends.WithAttempt(ctx, n)
	}
}

// Retryable says whether the same request may be sent again at once. ctx is the caller's, not the attempt's.
func Retryable(ctx context.Context, s Store, err error) bool {
	var known *backends.Error
	if ctx.Err() != nil || errors.As(err, &known) {
		return false
	}
	f := s.Failure(err)
	return f.Retry || errors.Is(err, context.DeadlineExceeded)
}

// Pause waits, unless ctx ends before.
func Pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return backends.Alive(ctx)
	}
}

// Once calls do with a context that ends after d, unless that is 0.
func Once(ctx context.Context, d time.Duration, do func(ctx context.Context) error) error {
	if d == 0 {
		return do(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return do(ctx)
}

// cancelled makes an error match the reason for which ctx ended, if it did: an SDK's own may not.
func cancelled(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("%w: %w", backends.Alive(ctx), err)
}

// background is for what has to happen though ctx has ended.
func background(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }

// outliving is for what had better end by itself when ctx has ended, but not later than d after it.
func outliving(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-longer.Done():
		}
	})
	return longer, func() {
		stop()
		cancel()
	}
}
