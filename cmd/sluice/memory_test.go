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
		for _, step := range []struct {
			sessions, forced int
			tight            bool
		}{
			{10, 0, false},
			{600, 1, true},
			{900, 0, true},
			{1100, 1, true},
			{0, 0, false},
			{499, 0, false},
			{500, 1, true},
		} {
			n.Store(int64(step.sessions))
			before := forcedCollections()
			<-time.After(trimInterval) // of the bubble's clock
			synctest.Wait()
			if got := forcedCollections() - before; int(got) != step.forced {
				t.Errorf("%d sessions: %d collections, want %d", step.sessions, got, step.forced)
			}
			if got := collectorPercent(); (got == tightHeadroom) != step.tight || !step.tight && got < headroom {
				t.Errorf("%d sessions: the collector leaves %d %%", step.sessions, got)
			}
		}
		cancel()
		<-done
	})
}

func TestHeadroom(t *testing.T) {
	const mib = 1 << 20
	for _, test := range []struct {
		sessions int
		live     uint64
		want     int
	}{
		{0, 0, 400},
		{0, 6 * mib, 400},
		{499, 7 * mib, 300},
		{0, 12 * mib, 200},
		{0, 13 * mib, 100},
		{0, 1 << 40, 100},
		{500, 0, tightHeadroom},
		{500, 1 << 40, tightHeadroom},
	} {
		if got := headroomFor(test.sessions, test.live); got != test.want {
			t.Errorf("%d sessions, %d bytes: %d %%, want %d", test.sessions, test.live, got, test.want)
		}
	}
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
