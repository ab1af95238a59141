package gateway

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	ftpserver "github.com/fclairamb/ftpserverlib"

	"github.com/sluice-ftp/sluice/audit"
	"github.com/sluice-ftp/sluice/auth"
)

// Session is one control connection and what was agreed on it. It is the library's MainDriver, for
// a server of its own that knows this one connection, so that every setting is per session.
//
// Unless said otherwise its fields belong to the goroutine that runs the commands; a transfer gets
// a copy of what it needs.
type Session struct {
	server   *Server
	id       string
	log      *slog.Logger
	start    time.Time
	control  *control
	remote   netip.Addr
	local    netip.AddrPort // as the client sees it
	implicit bool
	settings *ftpserver.Settings
	client   ftpserver.ClientContext

	// ctx ends when the control connection is lost or the server gives up on it, and with it
	// everything that works for the session. It is stored because the library's callbacks take none.
	ctx    context.Context
	cancel context.CancelCauseFunc

	secure     bool // the control connection is under TLS
	name       string
	account    *auth.User  // nil until logged in
	proof      *auth.Login // what was shown when a one-time code was asked for
	mounts     []mount
	loginSince time.Time // when the time for it began
	failures   int       // wrong passwords
	refusals   int       // before login
	ending     error     // why no command follows the last one
	protBuf    bool
	private    bool // PROT P
	ascii      bool // TYPE A
	deflate    bool // MODE Z
	rest       int64
	expected   int64 // ALLO; -1: none
	epsvAll    bool
	renaming   bool // RNFR was the last command
	renameFrom string
	software   string // what the client says that it is
	facts      factSet
	hash       hashAlgorithm
	byteRange  byteRange
	active     netip.AddrPort // where PORT or EPRT said to connect to

	// current is account for other goroutines, and next what it is to become, see refresh.
	current, next atomic.Pointer[auth.User]

	// leave gives back what the connection takes, leaveUser what the user does.
	leave, leaveUser func()

	mu sync.Mutex
	// reserved is where a passive connection is expected, until the library has made a listener.
	reserved *reservation
	data     *dataListener // of the last PASV, EPSV, PORT or EPRT
	// parts counts what has to end before the session has: the library's, and its transfer.
	parts int
}

func newSession(srv *Server, raw net.Conn, e ends, implicit bool) *Session {
	s := &Session{
		server: srv, id: rand.Text()[:10], start: time.Now(), loginSince: time.Now(), remote: e.remote.Addr(), local: e.local,
		implicit: implicit, private: implicit, expected: -1, facts: allFacts, hash: defaultHash, parts: 1,
	}
	s.log = srv.opts.Log.With("session", s.id, "remote", s.remote.String())
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.control = newControl(s, raw)
	s.settings = &ftpserver.Settings{
		Listener:             &oneConn{conn: s.control},
		IdleTimeout:          -1, // control has the clock
		ConnectionTimeout:    int(dataOpenTimeout / time.Second),
		DefaultTransferType:  ftpserver.TransferTypeBinary,
		PasvConnectionsCheck: ftpserver.IPMatchDisabled, // dataListener checks, on every accept
		PublicIPResolver:     func(ftpserver.ClientContext) (string, error) { return s.publicIP() },
	}
	return s
}

// hostOf returns the IP address of a TCP address, without a zone and never as IPv4 in IPv6.
func hostOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		if ip, ok := netip.AddrFromSlice(tcp.IP); ok {
			return ip.Unmap()
		}
	}
	return netip.Addr{}
}

// serve runs the session in goroutines of the library; finished is called when they are done.
func (s *Session) serve() error {
	lib := ftpserver.NewFtpServer(s)
	lib.Logger = discard // what it has to tell we know better
	if err := lib.Listen(); err != nil {
		return fmt.Errorf("gateway: session: %w", err)
	}
	return lib.Serve() // returns at once: the second Accept says closed
}

// end is called when no command can follow. Transfers that still run are ended with it.
func (s *Session) end(why error) {
	s.cancel(why)
	if !errors.Is(why, errControlLost) {
		s.log.Info("session closed", "reason", why.Error())
	}
}

// abandon cuts the session off, from any goroutine.
func (s *Session) abandon(why error) {
	s.cancel(why)
	s.control.kick()
}

// exit takes the session out of those of its user.
func (s *Session) exit() {
	if s.leaveUser != nil {
		s.leaveUser()
		s.leaveUser = nil
	}
}

// hold and release bracket a part of the session; the last release is its end.
func (s *Session) hold() {
	s.mu.Lock()
	s.parts++
	s.mu.Unlock()
}

func (s *Session) release() {
	s.mu.Lock()
	s.parts--
	last := s.parts == 0
	s.mu.Unlock()
	if last {
		s.server.finished(s)
	}
}

// The library's MainDriver.

// GetSettings is called once, before anything else.
func (s *Session) GetSettings() (*ftpserver.Settings, error) { return s.settings, nil }

// ClientConnected returns the greeting.
func (s *Session) ClientConnected(cc ftpserver.ClientContext) (string, error) {
	s.client = cc
	return "Sluice ready", nil
}

// ClientDisconnected comes when the library will read no more. A transfer may still be ending.
func (s *Session) ClientDisconnected(ftpserver.ClientContext) {
	s.cancel(errControlLost)
	s.closeData()
	s.exit()
	if s.account != nil {
		e := s.event(audit.Logout)
		e.Seconds = time.Since(s.start).Seconds()
		s.server.opts.Audit.Write(e)
	}
	s.observer().SessionEnded(s.listener(), time.Since(s.start))
	s.log.Info("session end", "user", s.name, "duration_ms", time.Since(s.start).Milliseconds())
	s.release()
}

// AuthUser is only called for a login that the PASS verb has found good.
func (s *Session) AuthUser(cc ftpserver.ClientContext, _, _ string) (ftpserver.ClientDriver, error) {
	if s.account == nil {
		return nil, errors.New("not logged in") // never with a driver: pipelined commands would have it
	}
	cc.SetPath("/")
	return &driver{session: s}, nil
}

// GetTLSConfig is for the library's own TLS, which is not used: control and dataConn have theirs.
func (s *Session) GetTLSConfig() (*tls.Config, error) { return nil, errors.New("gateway: unused") }

// oneConn is a listener that has one connection to give.
type oneConn struct {
	conn net.Conn
	done bool
}

func (l *oneConn) Accept() (net.Conn, error) {
	if l.done {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: net.ErrClosed}
	}
	l.done = true
	return l.conn, nil
}

func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }

var discard = slog.New(slog.DiscardHandler)
