package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ftp/sluice/backends/pages"
)

// A burst of sessions is followed by one collection, and the quiet after it by none. While there are
// many the collector leaves less room, and afterwards as much as before.
func TestTrimMemory(t *testing.T) {
	t.Setenv("GOGC", "") // which puts back what it was before
	if err := os.Unsetenv("GOGC"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { debug.SetGCPercent(headroom) })
	memory := testBudget(t)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var n atomic.Int64
		done := make(chan struct{})
		go func() {
			trimMemory(ctx, func() int { return int(n.Load()) }, memory)
			close(done)
		}()
		for _, step := range []struct{ sessions, forced, percent int }{
			{10, 0, headroom},
			{600, 1, tightHeadroom},
			{900, 0, tightHeadroom},
			{1100, 1, tightHeadroom},
			{0, 0, headroom},
			{499, 0, headroom},
			{500, 1, tightHeadroom},
		} {
			n.Store(int64(step.sessions))
			before := forcedCollections()
			<-time.After(trimInterval) // of the bubble's clock
			synctest.Wait()
			if got := forcedCollections() - before; int(got) != step.forced {
				t.Errorf("%d sessions: %d collections, want %d", step.sessions, got, step.forced)
			}
			if got := collectorPercent(); got != step.percent {
				t.Errorf("%d sessions: the collector leaves %d %%, want %d", step.sessions, got, step.percent)
			}
		}
		cancel()
		<-done
	})
}

// What the operator chose for the collector is left alone.
func TestTrimMemoryLeavesGOGC(t *testing.T) {
	t.Setenv("GOGC", "100")
	memory := testBudget(t)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*headroomInterval)
		defer cancel()
		trimMemory(ctx, func() int { return manySessions }, memory)
		if got := collectorPercent(); got != headroom {
			t.Errorf("the collector leaves %d %%, want %d", got, headroom)
		}
	})
}

func testBudget(t *testing.T) *pages.Budget {
	t.Helper()
	b, err := pages.New(pages.MinBudget)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func collectorPercent() int {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return int(s[0].Value.Uint64())
}

func forcedCollections() uint32 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.NumForcedGC
}
