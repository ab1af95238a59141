package gateway

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	ftpserver "github.com/fclairamb/ftpserverlib"
)

// passivePorts listens on all ports of the passive range, for as long as the server is there. A port serves
// any number of clients at once: what PASV promises is a place that is held for one address at one port,
// and the first connection from there takes it. Ports of other replicas lead to them.
type passivePorts struct {
	options PassiveOptions
	proxy   ProxyOptions
	server  *Server
	peers   *peers       // nil where there are none
	warned  atomic.Int64 // when loudness was a warning last, in seconds

	listeners []net.Listener
	working   sync.WaitGroup

	mu     sync.Mutex
	places map[expected]*reservation
	next   int
	closed bool
	// freed is closed, and made anew, when a place is free again.
	freed chan struct{}
}

// expected is where one client is expected.
type expected struct {
	client netip.Addr
	port   int
}

// listenPassive opens all ports of the range, those of other replicas included.
func listenPassive(s *Server) (*passivePorts, error) {
	p := &passivePorts{options: s.opts.Passive, proxy: s.opts.Proxy, server: s, places: map[expected]*reservation{}, freed: make(chan struct{})}
	if p.options.FirstPort == 0 {
		return p, nil
	}
	var first error
	taken := 0
	for port := p.options.FirstPort; port <= p.options.LastPort; port++ {
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", net.JoinHostPort(p.options.ListenHost, strconv.Itoa(port)))
		if err == nil {
			err = tuneListener(l, p.server.opts.Tuning)
			p.listeners = append(p.listeners, l)
		}
		if err != nil {
			taken++
			first = cmp.Or(first, err)
		}
	}
	if taken > 0 {
		p.close()
		return nil, fmt.Errorf("gateway: %d of the passive ports %d-%d cannot be listened on, the first: %w",
			taken, p.options.FirstPort, p.options.LastPort, first)
	}
	p.peers = newPeers(s.relaying, p.options, s.opts.Log)
	for i, l := range p.listeners {
		p.working.Go(func() {
			p.server.accept(l, func(conn net.Conn) { p.take(conn, p.options.FirstPort+i) })
		})
	}
	return p, nil
}

// close frees the ports. What was accepted lives on.
func (p *passivePorts) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	for _, l := range p.listeners {
		_ = l.Close() // a listener has nothing to lose
	}
	p.working.Wait()
}

// take hands a connection to the session that expects it, here or at another replica.
func (p *passivePorts) take(conn net.Conn, port int) {
	e, err := endsOf(conn, func(a netip.Addr) bool { return p.proxy.Data && p.proxy.trusts(a) || p.peers.has(a) })
	if err != nil {
		p.server.opts.Observer.DataConnection(DataPassive, DataProxyError)
		p.server.opts.Log.Log(context.Background(), p.loudness(), "data connection refused", "port", port, "peer", conn.RemoteAddr().String(), "err", err.Error())
		_ = conn.Close()
		return
	}
	if owner := p.owner(port); owner != p.options.Replica {
		p.server.relayed(func() { p.relay(conn, e, owner, port) })
		return
	}
	if r := p.claim(expected{e.remote.Addr(), port}); r == nil || !r.give(conn) {
		_ = conn.Close()
		p.server.opts.Observer.DataConnection(DataPassive, DataStranger)
		p.server.stranger(e.remote.Addr(), port)
	}
}

// owner is the replica that a port belongs to.
func (p *passivePorts) owner(port int) int {
	if p.options.PerReplica == 0 {
		return p.options.Replica
	}
	return (port - p.options.FirstPort) / p.options.PerReplica
}

// own are the ports of this replica.
func (p *passivePorts) own() (first, n int) {
	if p.options.PerReplica == 0 {
		return p.options.FirstPort, len(p.listeners)
	}
	return p.options.FirstPort + p.options.Replica*p.options.PerReplica, p.options.PerReplica
}

// claim takes the reservation at a place, nil if nobody is expected there.
func (p *passivePorts) claim(at expected) *reservation {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.places[at]
	if r != nil {
		p.free(at)
	}
	return r
}

// free is called with mu held.
func (p *passivePorts) free(at expected) {
	delete(p.places, at)
	close(p.freed)
	p.freed = make(chan struct{})
}

// placeWait is how long a PASV waits where a client is expected at all ports already: partners behind one
// address, or one who opens ten transfers at once. Those before it connect within milliseconds, or within
// seconds on a machine that has too much to do; a partner's program waits longer for a reply.
const placeWait = 10 * time.Second

// reserve expects a client at a port of this replica; nil if it is expected at all of them.
func (p *passivePorts) reserve(ctx context.Context, client netip.Addr) *reservation {
	limit := time.NewTimer(placeWait)
	defer limit.Stop()
	for {
		r, freed := p.tryReserve(client)
		if r != nil {
			return r
		}
		select {
		case <-freed:
		case <-limit.C:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// tryReserve returns a place, or what is closed when it is worth another try.
func (p *passivePorts) tryReserve(client netip.Addr) (*reservation, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first, n := p.own()
	for range n {
		at := expected{client, first + p.next%n}
		p.next++
		if p.places[at] == nil && !p.closed {
			r := &reservation{ports: p, at: at, conn: make(chan net.Conn, 1)}
			p.places[at] = r
			return r, nil
		}
	}
	return nil, p.freed
}

// expects reports whether any client is expected at a port.
func (p *passivePorts) expects(port int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for at := range p.places {
		if at.port == port {
			return true
		}
	}
	return false
}

// used returns at how many ports clients are expected, and how many this replica has.
func (p *passivePorts) used() (n, size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, size = p.own()
	ports := map[int]struct{}{}
	for at := range p.places {
		ports[at.port] = struct{}{}
	}
	return len(ports), size
}

// reservation is a place for one connection.
type reservation struct {
	ports *passivePorts
	at    expected
	conn  chan net.Conn

	mu    sync.Mutex
	ended bool
}

// give hands over the connection, unless nobody wants it any more.
func (r *reservation) give(conn net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return false
	}
	r.conn <- conn
	return true
}

// release gives up the place, and closes a connection that nobody took.
func (r *reservation) release() {
	r.mu.Lock()
	ended := r.ended
	r.ended = true
	r.mu.Unlock()
	if ended {
		return
	}
	r.ports.mu.Lock()
	if r.ports.places[r.at] == r {
		r.ports.free(r.at)
	}
	r.ports.mu.Unlock()
	select {
	case conn := <-r.conn:
		_ = conn.Close()
	default:
	}
}

// once is how the library asks for a port, dozens of times for each PASV: the first answer counts. It then
// listens on a port of its own, where nobody comes.
type once struct {
	session *Session
	asked   bool
}

// NumberAttempts implements ftpserver.PasvPortGetter.
func (*once) NumberAttempts() int { return 1 }

// FetchNext implements ftpserver.PasvPortGetter.
func (o *once) FetchNext() (exposed, listened int, ok bool) {
	if o.asked {
		return 0, 0, false
	}
	o.asked = true
	r := o.session.server.ports.reserve(o.session.ctx, o.session.remote)
	if r == nil {
		return 0, 0, false
	}
	o.session.mu.Lock()
	o.session.reserved = r
	o.session.mu.Unlock()
	return r.at.port, 0, true
}

// passivePort is what the library is to ask for the port of the next PASV or EPSV; nil makes it take any.
func (s *Session) passivePort() ftpserver.PasvPortGetter {
	if s.server.opts.Passive.FirstPort == 0 {
		return nil
	}
	return &once{session: s}
}
