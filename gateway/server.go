// Package gateway is the FTPS front end: sessions, control and data connections, transfers and
// listings.
//
// It stands between a client and ftpserverlib, the RFC 959 engine, one engine for each control
// connection: it terminates TLS itself, hands the engine one complete and permitted command at a
// time, and sees every reply. Behind the engine it turns paths into keys and calls the adapters;
// resolve is the only way from a path to an adapter.
package gateway

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-ftp/sluice/limits"
)

// abandonTimeout is how long Shutdown waits for sessions that it has cut off.
const abandonTimeout = 5 * time.Second

var errShutdown = errors.New("the server is shutting down")

// Server serves FTP and FTPS on any number of listeners.
type Server struct {
	opts       Options
	policy     atomic.Pointer[Policy]
	filters    filters
	commands   map[string]verb
	controlTLS *tls.Config
	dataTLS    *tls.Config
	ports      *passivePorts
	// relaying ends when connections to other replicas shall.
	relaying   context.Context
	stopRelays context.CancelFunc
	public     *publicHost
	bounds     *bounds
	counting   counting
	buffers    sync.Pool // *[]byte of Tuning.BufferSize
	lines      sync.Pool // *[]byte of lineBuffer, for listings
	records    sync.Pool // *[]byte of recordBuffer, for TLS records on their way out

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	sessions  map[*Session]struct{}
	relays    int // connections to other replicas that run
	draining  bool
	idle      chan struct{} // closed when draining and the last session is gone
}

// New returns a server. It refuses options that cannot work.
func New(o Options) (*Server, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	s := &Server{
		opts:      o,
		filters:   filters{observing{}, protocol{}, policy{}, verbs{}},
		commands:  verbTable(),
		public:    &publicHost{name: o.Passive.PublicHost},
		bounds:    newBounds(o.Limits),
		counting:  newCounting(o.QuotaAge),
		listeners: map[net.Listener]struct{}{},
		sessions:  map[*Session]struct{}{},
		idle:      make(chan struct{}),
	}
	s.policy.Store(&s.opts.Policy)
	s.relaying, s.stopRelays = context.WithCancel(context.Background())
	var err error
	if s.ports, err = listenPassive(s); err != nil {
		return nil, err
	}
	s.buffers.New = func() any { b := make([]byte, o.Tuning.BufferSize); return &b }
	s.lines.New = func() any { b := make([]byte, 0, lineBuffer); return &b }
	s.records.New = func() any { b := make([]byte, 0, recordBuffer); return &b }
	if o.TLS.Mode != TLSOff {
		s.controlTLS = controlTLS(o.TLS)
		s.dataTLS = s.controlTLS.Clone()
		s.dataTLS.DynamicRecordSizingDisabled = true // a transfer is no web page: full records from the start
	}
	return s, nil
}

// complete fills in the defaults and refuses what cannot work.
func (o *Options) complete() error {
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	o.Policy.complete()
	o.Tuning.BufferSize = cmp.Or(o.Tuning.BufferSize, 256<<10)
	o.TLS.Mode = cmp.Or(o.TLS.Mode, TLSRequired)
	o.TLS.MinVersion = cmp.Or(o.TLS.MinVersion, tls.VersionTLS12)
	o.ASCII = cmp.Or(o.ASCII, ASCIIConvert)
	p := o.Passive
	switch {
	case o.Log == nil || o.Auth == nil:
		return errors.New("gateway: Log and Auth are required")
	case o.TLS.Mode != TLSOff && o.TLS.Certificates == nil:
		return fmt.Errorf("gateway: TLS mode %q needs a certificate", o.TLS.Mode)
	case p.FirstPort < 0 || p.LastPort > 65535 || p.FirstPort > p.LastPort || p.FirstPort == 0 && p.LastPort > 0:
		return fmt.Errorf("gateway: passive ports %d-%d are not a range", p.FirstPort, p.LastPort)
	}
	return nil
}

func (p *Policy) complete() {
	p.Limits.IdleTimeout = cmp.Or(p.Limits.IdleTimeout, 5*time.Minute)
	p.Limits.DataStallTimeout = cmp.Or(p.Limits.DataStallTimeout, 2*time.Minute)
	p.Limits.LoginTimeout = cmp.Or(p.Limits.LoginTimeout, 30*time.Second)
}

// SetPolicy changes what holds from now on: timeouts from a session's next command on, the rest at once.
// Connections that there are stay, also from networks that are denied now.
func (s *Server) SetPolicy(p Policy) {
	p.complete()
	s.policy.Store(&p)
	s.bounds.set(p.Limits)
}

// Serve accepts sessions from l until l is closed or Shutdown is called, and then returns nil.
// implicit: TLS begins at once (FTPS on port 990), not after AUTH.
func (s *Server) Serve(l net.Listener, implicit bool) error {
	if implicit && s.controlTLS == nil {
		return errors.New("gateway: an implicit listener needs TLS")
	}
	s.mu.Lock()
	if s.draining {
		s.mu.Unlock()
		_ = l.Close() // perhaps its owner was faster
		return nil
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	s.accept(l, func(conn net.Conn) { s.welcome(conn, implicit) })
	return nil
}

// accept takes connections from l until it is closed, each in a goroutine of its own.
func (s *Server) accept(l net.Listener, take func(net.Conn)) {
	var delay time.Duration
	for {
		conn, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			// Out of file descriptors, mostly: the sessions that there are must go on.
			delay = min(max(2*delay, 5*time.Millisecond), time.Second)
			s.opts.Log.Error("accept", "address", l.Addr().String(), "err", err.Error(), "retry_ms", delay.Milliseconds())
			if !s.pause(delay) {
				return
			}
			continue
		}
		delay = 0
		go take(conn)
	}
}

// pause waits, and is false if Shutdown was called meanwhile.
func (s *Server) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.idle:
		return false
	}
}

// welcome makes a session of a connection. Only what may take time is done here, off the accept
// loop; the session itself runs in the library's goroutine.
func (s *Server) welcome(conn net.Conn, implicit bool) {
	tune(conn, s.opts.Tuning)
	e, err := endsOf(conn, func(a netip.Addr) bool { return s.opts.Proxy.Control && s.opts.Proxy.trusts(a) })
	if err != nil {
		s.opts.Log.Info("connection refused", "peer", conn.RemoteAddr().String(), "err", err.Error())
		s.opts.Observer.Connection(listenerName(implicit), e.remote.Addr(), ConnectionProxy)
		_ = conn.Close()
		return
	}
	session := newSession(s, conn, e, implicit)
	why := s.admit(session)
	session.observer().Connection(session.listener(), session.remote, connectionResults[why])
	if why != nil {
		session.log.Info("connection refused", "err", why.Error())
		session.refused(why, 421)
		if text := refusals[why]; text != "" && !implicit { // who expects TLS is told nothing in clear
			session.control.farewell(Reply{Code: 421, Text: text})
		}
		session.abandon(why)
		return
	}
	session.log.Info("session start", "implicit", implicit)
	if implicit {
		if err := session.control.startTLS(); err != nil {
			session.log.Info("tls handshake failed", "err", err.Error())
			session.abandon(err)
			session.release()
			return
		}
		session.secure = true
	}
	if err := session.serve(); err != nil {
		session.log.Error("session", "err", err.Error())
		session.abandon(err)
		session.release()
	}
}

var errNetwork = errors.New("the address may not connect")

// refusals are what a client is told whose connection is not taken.
var refusals = map[error]string{
	errShutdown: "The server is shutting down; reconnect in a moment",
	errNetwork:  "Connections from your address are not allowed",
	errBanned:   "Too many wrong logins from your address; try again later",

	limits.ErrTotal:   "Too many connections; try again later",
	limits.ErrAddress: "Too many connections from your address; close one first",
}

// admit takes a session in, or says why not.
func (s *Server) admit(session *Session) error {
	if !s.mayConnect(session.remote) {
		return errNetwork
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return errShutdown
	}
	if err := s.bounds.take(session); err != nil {
		return err
	}
	s.sessions[session] = struct{}{}
	return nil
}

// mayConnect holds an address to the networks that are allowed and denied.
func (s *Server) mayConnect(a netip.Addr) bool {
	within := func(networks []netip.Prefix) bool {
		return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	p := s.policy.Load()
	return !within(p.DenyFrom) && (len(p.AllowFrom) == 0 || within(p.AllowFrom))
}

func (s *Server) finished(session *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, session)
	session.leave()
	s.checkIdle()
}

// relayed runs a connection to another replica, which Shutdown waits for as for a session.
func (s *Server) relayed(run func()) {
	s.mu.Lock()
	s.relays++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.relays--
		s.checkIdle()
	}()
	run()
}

// checkIdle is called with mu held.
func (s *Server) checkIdle() {
	if !s.draining || len(s.sessions) > 0 || s.relays > 0 {
		return
	}
	select {
	case <-s.idle:
	default:
		close(s.idle)
	}
}

// Shutdown takes no more sessions in, lets running transfers end, and then closes all sessions. Who
// connects meanwhile is told to try again (421), which a closed port could not tell. Uploads that can be
// gone on with elsewhere are ended when half of ctx's time is over. When ctx ends first it closes them at
// once. It returns when all are gone and the listeners are closed, with ctx's error if they were cut off.
func (s *Server) Shutdown(ctx context.Context) error {
	defer s.stopRelays()
	defer s.ports.close()
	defer s.closeListeners()
	s.mu.Lock()
	s.draining = true
	open := slices.Collect(maps.Keys(s.sessions))
	s.checkIdle()
	s.mu.Unlock()
	for _, session := range open {
		session.control.drain(leave{errShutdown, "The server is shutting down; reconnect in a moment"})
	}
	parkAfter(ctx, s.idle, open)
	select {
	case <-s.idle:
		return nil
	case <-ctx.Done():
	}
	s.stopRelays()
	for _, session := range open {
		session.abandon(errShutdown)
	}
	// What a session called must see its context; one that hangs all the same is not waited for.
	late := time.NewTimer(abandonTimeout)
	defer late.Stop()
	select {
	case <-s.idle:
	case <-late.C:
		return fmt.Errorf("gateway: %d sessions do not end: %w", s.Sessions(), ctx.Err())
	}
	return fmt.Errorf("gateway: sessions cut off: %w", ctx.Err())
}

func (s *Server) closeListeners() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.listeners {
		_ = l.Close() // it may have been closed by its owner
	}
}

// Sessions returns how many sessions there are.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}
