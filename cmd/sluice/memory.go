package main

import (
	"context"
	"log/slog"
	"math"
	"runtime/debug"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
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
	// trimStep is how many sessions have to come before their garbage is worth a collection.
	trimStep = 500
	// trimInterval is how often that is looked at.
	trimInterval = 10 * time.Second
)

// trimMemory gives back what the handshakes of a burst of sessions left behind, until ctx ends: as
// much as the sessions hold themselves, which the collector would keep for garbage to come, and
// idle sessions make none.
func trimMemory(ctx context.Context, sessions func() int) {
	tick := time.NewTicker(trimInterval)
	defer tick.Stop()
	for trimmed := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n := sessions()
		if n-trimmed >= trimStep {
			debug.FreeOSMemory()
			trimmed = n
		}
		trimmed = min(trimmed, n)
	}
}
