package backends

import (
	"context"
	"math/rand/v2"
	"time"
)

// Every calls do again and again, with that much time between two calls, until ctx ends. The first call
// is a random part of the time away, so that replicas do it at different times.
func Every(ctx context.Context, interval time.Duration, do func(context.Context)) {
	wait := rand.N(interval)
	for {
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
		do(ctx)
		wait = interval
	}
}
