package main

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A burst of sessions is followed by one collection, and the quiet after it by none.
func TestTrimMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var n atomic.Int64
		done := make(chan struct{})
		go func() {
			trimMemory(ctx, func() int { return int(n.Load()) })
			close(done)
		}()
		for _, step := range []struct{ sessions, forced int }{{10, 0}, {600, 1}, {900, 0}, {1100, 1}, {0, 0}, {499, 0}, {500, 1}} {
			n.Store(int64(step.sessions))
			before := forcedCollections()
			<-time.After(trimInterval) // of the bubble's clock
			synctest.Wait()
			if got := forcedCollections() - before; int(got) != step.forced {
				t.Errorf("%d sessions: %d collections, want %d", step.sessions, got, step.forced)
			}
		}
		cancel()
		<-done
	})
}

func forcedCollections() uint32 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.NumForcedGC
}
