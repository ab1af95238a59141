package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// peerRefresh is how often the names of the other replicas are looked up.
	peerRefresh = 3 * time.Second
	// peerMemory is how long an address holds of a replica whose name cannot be looked up.
	peerMemory = time.Minute
)

// peers are the other replicas: where they are, and with that, who may say where a data connection comes from.
// Their exact addresses are trusted, and not their network: in it partners may be, too.
type peers struct {
	name   func(replica int) string
	n, own int
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	log    *slog.Logger
	// found is closed when the names have been looked up for the first time.
	found chan struct{}

	mu    sync.Mutex
	known []peer
}

// peer is one replica.
type peer struct {
	addresses []netip.Addr
	seen      time.Time // when it was looked up last with an answer
	failing   bool
}

// newPeers looks the others up until ctx ends; nil if there are none.
func newPeers(ctx context.Context, o PassiveOptions, log *slog.Logger) *peers {
	if o.Peer == nil || o.PerReplica == 0 {
		return nil
	}
	p := &peers{
		name: o.Peer, n: (o.LastPort - o.FirstPort + 1) / o.PerReplica, own: o.Replica, log: log, found: make(chan struct{}),
		lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		},
	}
	p.known = make([]peer, p.n)
	go p.keep(ctx)
	return p
}

// keep looks the names up again and again.
func (p *peers) keep(ctx context.Context) {
	p.refresh(ctx)
	close(p.found)
	tick := time.NewTicker(peerRefresh)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			p.refresh(ctx)
		}
	}
}

func (p *peers) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	var all sync.WaitGroup
	for i := range p.n {
		if i != p.own {
			all.Go(func() { p.find(ctx, i) })
		}
	}
	all.Wait()
}

// find looks one up. A name that is not there is a replica that is not there: it may have been scaled away.
func (p *peers) find(ctx context.Context, replica int) {
	name := p.name(replica)
	found, err := p.lookup(ctx, name)
	for i := range found {
		found[i] = found[i].Unmap().WithZone("")
	}
	var missing *net.DNSError
	gone := errors.As(err, &missing) && missing.IsNotFound
	p.mu.Lock()
	defer p.mu.Unlock()
	k := &p.known[replica]
	if err == nil || gone {
		*k = peer{addresses: found, seen: time.Now()}
		return
	}
	if time.Since(k.seen) > peerMemory {
		k.addresses = nil
	}
	if !k.failing && !errors.Is(ctx.Err(), context.Canceled) {
		p.log.Warn("another replica cannot be looked up", "replica", replica, "name", name, "err", err.Error())
	}
	k.failing = true
}

// has reports whether an address is another replica's. It waits for the first answers.
func (p *peers) has(a netip.Addr) bool {
	if p == nil {
		return false
	}
	<-p.found
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.known {
		if slices.Contains(k.addresses, a) {
			return true
		}
	}
	return false
}

// address is where a replica is; "" if it is not known.
func (p *peers) address(replica int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.known[replica].addresses; len(known) > 0 {
		return known[0].String()
	}
	return ""
}
