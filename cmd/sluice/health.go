package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluice-ftp/sluice/backends"
)

const (
	// healthInterval is how often each store is asked, healthAnswer how long it may take to answer:
	// together they are the longest that a dead store is taken for a live one.
	healthInterval = 10 * time.Second
	healthAnswer   = 4 * time.Second
	// healthKey is asked for; it need not be there.
	healthKey = "readyz"
)

// health knows whether sessions should be sent here.
type health struct {
	log    *slog.Logger
	stores map[string]backends.CloudStorageAdapter
	// tell is told of every store that was asked; nil is nobody.
	tell func(name string, up bool)

	mu sync.Mutex
	// serving: the listeners are open, and nobody has asked us to end.
	serving bool
	down    map[string]error // why, of those that do not answer; nil before the first answer of all
	asked   map[string]bool
}

func newHealth(stores map[string]backends.CloudStorageAdapter, log *slog.Logger) *health {
	return &health{log: log, stores: stores, down: map[string]error{}, asked: map[string]bool{}}
}

// serve says whether new sessions are taken in.
func (h *health) serve(yes bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.serving = yes
}

// watch asks the stores until ctx ends.
func (h *health) watch(ctx context.Context) {
	var g sync.WaitGroup
	for name, store := range h.stores {
		g.Go(func() {
			tick := time.NewTicker(healthInterval)
			defer tick.Stop()
			for {
				h.ask(ctx, name, store)
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
	}
	g.Wait()
}

// ask finds out whether a store answers. One that hangs is not waited for, nor asked again before it
// does not hang any more.
func (h *health) ask(ctx context.Context, name string, store backends.CloudStorageAdapter) {
	asked, cancel := context.WithTimeout(ctx, healthAnswer)
	defer cancel()
	var err error
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		_, err = store.Stat(asked, healthKey)
	}()
	select {
	case <-answered:
	case <-asked.Done():
		h.note(ctx, name, fmt.Errorf("no answer within %s", healthAnswer))
		select {
		case <-answered:
		case <-ctx.Done():
		}
		return
	}
	if err != nil && backends.KindOf(err) == backends.NotExist {
		err = nil
	}
	h.note(ctx, name, err)
}

func (h *health) note(ctx context.Context, name string, err error) {
	if ctx.Err() != nil {
		return // the end of this process says nothing of the store
	}
	h.mu.Lock()
	before, first := h.down[name], !h.asked[name]
	h.asked[name] = true
	if err != nil {
		h.down[name] = err
	} else {
		delete(h.down, name)
	}
	h.mu.Unlock()
	if h.tell != nil {
		h.tell(name, err == nil)
	}
	switch {
	case err != nil && before == nil:
		h.log.Error("the store does not answer; not ready until it does", "backend", name, "err", err)
	case err == nil && before != nil && !first:
		h.log.Info("the store answers again", "backend", name)
	}
}

// faults are why no sessions should be sent here, in words that may be told to anyone. One store that does not
// answer is a fault, or, with anyStore, only all of them: then those that answer are served.
func (h *health) faults(anyStore bool) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.storeFaults()
	if anyStore && len(all) < len(h.stores) {
		all = nil
	}
	if !h.serving {
		all = append([]string{"not serving"}, all...)
	}
	return all
}

// storeFaults is called with mu held.
func (h *health) storeFaults() []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(h.stores)) {
		switch {
		case !h.asked[name]:
			all = append(all, "backend "+name+": not asked yet")
		case h.down[name] != nil:
			all = append(all, "backend "+name+": "+backends.KindOf(h.down[name]).String())
		}
	}
	return all
}

// ServeHTTP implements http.Handler.
func (h *health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if faults := h.faults(r.URL.Query().Get("stores") == "any"); len(faults) > 0 {
		http.Error(w, strings.Join(faults, "\n"), http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ready\n")) // who asked has gone
}
