package gateway

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	ftpserver "github.com/fclairamb/ftpserverlib"
)

// portTries is how many ports of the range the library is offered for one PASV.
const portTries = 10

// portRange hands out the passive ports in turn, the ones in use left out: the library would try
// them at random and give up.
type portRange struct {
	first, size int

	mu   sync.Mutex
	held []bool
	next int
}

func newPortRange(o PassiveOptions) *portRange {
	p := &portRange{first: o.FirstPort}
	if o.FirstPort > 0 {
		p.size = o.LastPort - o.FirstPort + 1
		p.held = make([]bool, p.size)
	}
	return p
}

// getter is what the library asks for ports; nil makes it take any free one.
func (p *portRange) getter() ftpserver.PasvPortGetter {
	if p.size == 0 {
		return nil
	}
	return p
}

// NumberAttempts bounds the ports that are tried for one data connection.
func (p *portRange) NumberAttempts() int { return min(portTries, p.size) }

// FetchNext returns a port that is not in use, for the client and to listen on.
func (p *portRange) FetchNext() (exposed, listened int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range p.size {
		i := p.next
		p.next = (p.next + 1) % p.size
		if !p.held[i] {
			return p.first + i, p.first + i, true
		}
	}
	return 0, 0, false
}

// used returns how many ports are in use, of how many.
func (p *portRange) used() (n, size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, held := range p.held {
		if held {
			n++
		}
	}
	return n, p.size
}

func (p *portRange) hold(a net.Addr)    { p.mark(a, true) }
func (p *portRange) release(a net.Addr) { p.mark(a, false) }

func (p *portRange) mark(a net.Addr, held bool) {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := tcp.Port - p.first; i >= 0 && i < p.size {
		p.held[i] = held
	}
}

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
	return hostOf(s.control.LocalAddr()).String(), nil
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
