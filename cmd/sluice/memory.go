package main

import (
	"context"
	"log/slog"
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"github.com/sluice-ftp/sluice/backends/pages"
)

// limitMemory tells the garbage collector of the container's limit, which it does not see itself.
func limitMemory(log *slog.Logger) {
	limit, err := memlimit.Set(memlimit.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil || limit == math.MaxInt64 {
		log.Debug("no memory limit", "err", err)
		return
	}
	log.Info("memory limit", "bytes", limit)
}

const (
	// budgetShare of the memory limit is for transfers into and out of remote stores: a quarter.
	budgetShare = 4
	// defaultBudget is for where there is no limit.
	defaultBudget = 256 << 20
	// mostBudget is more than anyone needs.
	mostBudget = 1 << 34
)

// budget makes the memory budget of a configuration: what it says, or a share of the memory limit.
func (c *config) budget() (*pages.Budget, error) {
	bytes := int64(c.MemoryBudget)
	if bytes == 0 {
		bytes = defaultBudget
		if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
			bytes = min(max(limit/budgetShare, pages.MinBudget), mostBudget)
		}
	}
	b, err := pages.New(bytes)
	if err != nil {
		return nil, c.fault("memory_budget", err, "")
	}
	return b, nil
}

// reserve takes the budget out of what the collector may use: its pages are not on the heap.
func reserve(b *pages.Budget) {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		debug.SetMemoryLimit(max(limit-b.Bytes(), limit/2)) // whatever the operator said
	}
}

const (
	// trimStep is how many sessions have to come before their garbage is worth a collection.
	trimStep = 500
	// trimInterval is how often that is looked at.
	trimInterval = 10 * time.Second

	// manySessions is from when the collector leaves less for garbage to come: below, that is
	// little memory, and collecting more often costs every small file 5 to 8 % of CPU.
	manySessions = 500
	// headroom, tightHeadroom and wideHeadroom are what it leaves, in percent of what is in use
	// (GOGC); the last where that is little memory: a small file costs 9 to 12 % less CPU with it.
	headroom, tightHeadroom, wideHeadroom = 100, 33, 400
	// wideBytes is how much garbage may be there at once for that.
	wideBytes = 24 << 20
	// headroomInterval is how often the sessions are counted for it.
	headroomInterval = time.Second
)

// trimMemory keeps the memory of many idle sessions near what they hold, until ctx ends. The
// collector would leave as much again for garbage to come, and idle sessions make none: with many of
// them it leaves a third, with few and little in use more, and what the handshakes of a burst left behind is given back at once. So
// are the pages of transfers that have ended.
func trimMemory(ctx context.Context, sessions func() int, memory *pages.Budget) {
	tick := time.NewTicker(headroomInterval)
	defer tick.Stop()
	_, chosen := os.LookupEnv("GOGC") // by the operator, who knows better
	live := [1]metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	percent, trimmed, next := headroom, 0, time.Now().Add(trimInterval)
	for {
		var now time.Time
		select {
		case <-ctx.Done():
			return
		case now = <-tick.C:
		}
		n := sessions()
		metrics.Read(live[:])
		if want := headroomFor(n, live[0].Value.Uint64()); want != percent && !chosen {
			debug.SetGCPercent(want)
			percent = want
		}
		trimmed = min(trimmed, n)
		if now.Before(next) {
			continue
		}
		next = now.Add(trimInterval)
		memory.Trim()
		if n-trimmed >= trimStep {
			debug.FreeOSMemory()
			trimmed = n
		}
	}
}

// headroomFor gives the collector's headroom, in percent, for so many sessions and so much memory that
// the last collection found in use.
func headroomFor(sessions int, live uint64) int {
	if sessions >= manySessions {
		return tightHeadroom
	}
	wide := wideBytes / max(live, wideBytes*headroom/wideHeadroom) // whole ones, so that it rarely changes
	return max(int(wide), 1) * headroom
}
