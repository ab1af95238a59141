package s3

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/sluice-ftp/sluice/backends"
)

// patience says how long a call is tried.
type patience struct {
	// attempt bounds one request, unless it is 0; none is begun after total.
	attempt, total time.Duration
}

var (
	// asking is for what a client waits for at its prompt.
	asking = patience{attempt: 10 * time.Second, total: 30 * time.Second}
	// transferring is for the small requests of an upload: a store that is busy for minutes must not
	// make an end of it.
	transferring = patience{attempt: 10 * time.Second, total: 5 * time.Minute}
	// finishing is for the one request that a whole upload was made for.
	finishing = patience{attempt: time.Minute, total: 10 * time.Minute}
	// cleaning is for what nobody waits for, but the end of a session.
	cleaning = patience{attempt: 10 * time.Second, total: 30 * time.Second}
)

// sending is the patience with a body of so many bytes: half a minute, and 256 KiB a second at least.
func sending(size int64) patience {
	attempt := 30*time.Second + time.Duration(size/(256<<10))*time.Second
	return patience{attempt: attempt, total: 5*time.Minute + attempt}
}

const (
	firstPause = 50 * time.Millisecond
	longPause  = 10 * time.Second
)

// retry calls do until it succeeds, fails for good, or p or ctx ends. Each attempt gets a context
// with its own deadline; do must not keep it.
func retry(ctx context.Context, p patience, do func(ctx context.Context) error) error {
	begun, attempt := time.Now(), ctx
	for n, next := 1, firstPause; ; n, next = n+1, min(2*next, longPause) {
		err := once(attempt, p.attempt, do)
		if err == nil || !retryable(ctx, err) {
			return cancelled(ctx, err)
		}
		wait := rand.N(next) + firstPause/2
		if time.Since(begun)+wait > p.total {
			return err
		}
		if pause(ctx, wait) != nil {
			return cancelled(ctx, err)
		}
		attempt = backends.WithAttempt(ctx, n)
	}
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return backends.Alive(ctx)
	}
}

func once(ctx context.Context, d time.Duration, do func(ctx context.Context) error) error {
	if d == 0 {
		return do(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return do(ctx)
}

// cancelled makes an error match the reason for which ctx ended, if it did: the SDK's own does not.
func cancelled(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("%w: %w", backends.Alive(ctx), err)
}
