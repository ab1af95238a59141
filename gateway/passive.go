package gateway

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	lookupTimeout = 2 * time.Second
	lookupFresh   = time.Minute
)

// publicHost is the address that PASV announces. A name is looked up once a minute at most, and
// the last good answer outlives a resolver that fails.
type publicHost struct {
	name string

	mu   sync.Mutex
	ip   string
	err  error
	when time.Time
}

// publicIP returns the IPv4 address that the client shall connect to.
func (s *Session) publicIP() (string, error) {
	if h := s.server.public; h.name != "" {
		return h.resolve(s.ctx)
	}
	return s.local.Addr().String(), nil
}

func (h *publicHost) resolve(ctx context.Context) (string, error) {
	if ip, err := netip.ParseAddr(h.name); err == nil {
		return ip.Unmap().String(), nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.when) < lookupFresh {
		return h.ip, h.err
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", h.name)
	h.when = time.Now() // also after a failure: everyone waits behind a resolver that does not answer
	switch {
	case err == nil && len(ips) > 0:
		h.ip, h.err = ips[0].Unmap().String(), nil
	case h.ip == "":
		h.err = fmt.Errorf("gateway: public host %q: %w", h.name, err)
	}
	return h.ip, h.err
}
