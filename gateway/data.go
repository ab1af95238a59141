package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/sluice-ftp/sluice/auth"
)

// recordBuffer is how many bytes of TLS records are sent at once.
const recordBuffer = 128 << 10

// dataOpenTimeout is how long a client may take to open the data connection it asked for.
const dataOpenTimeout = 30 * time.Second

var (
	errNoClose    = errors.New("data connection ended without close_notify")
	errNoData     = errors.New("no data connection")
	errHandshake  = errors.New("tls handshake on the data connection")
	errDataBroken = errors.New("data connection broken")
)

// dataListener is where the data connection of the next transfer comes from: a passive port, or in
// active mode the client's. It gives out one connection, to the right peer, and is closed with
// that, so that the port is free while the transfer runs.
type dataListener struct {
	net.Listener
	session *Session
	dial    netip.AddrPort // active mode: connect there
	place   *reservation   // in a passive range: where the connection comes from
	expiry  *time.Timer
	// dialing ends when the listener is closed, and with it a dial that waits.
	dialing  context.Context
	stopDial context.CancelFunc
	strange  bool // someone else has been turned away

	mu     sync.Mutex
	conn   net.Conn // the raw connection, once there
	closed bool
}

// WrapPassiveListener is called by the library at PASV and EPSV, with a listener that it made.
func (s *Session) WrapPassiveListener(inner net.Listener) (net.Listener, error) {
	// On the listener, and so before the handshake that agrees on the window's scale.
	if err := tuneListener(inner, s.server.opts.Tuning); err != nil {
		return nil, errors.Join(err, inner.Close())
	}
	l := &dataListener{Listener: inner, session: s, dial: s.active}
	l.dialing, l.stopDial = context.WithCancel(s.ctx)
	s.active = netip.AddrPort{}
	// A client that never comes must not keep a port from the others.
	l.expiry = time.AfterFunc(2*dataOpenTimeout, l.interrupt)
	s.mu.Lock()
	defer s.mu.Unlock()
	l.place, s.reserved = s.reserved, nil
	s.data = l
	return l, nil
}

// closeData gives up a data connection that was agreed on and not yet used.
func (s *Session) closeData() {
	s.mu.Lock()
	l, r := s.data, s.reserved
	s.data, s.reserved = nil, nil
	s.mu.Unlock()
	if r != nil {
		r.release()
	}
	if l != nil {
		_ = l.Close() // a listener has nothing to lose
	}
}

// Accept returns the connection from the client's own address; others are closed. The library set
// a deadline on the inner listener.
func (l *dataListener) Accept() (net.Conn, error) {
	conn, err := l.open()
	l.observe(err)
	if err != nil {
		_ = l.Close() // who comes later must not be taken for the next transfer
		if t := l.session.control.transferInFlight(); t != nil {
			_ = t.fail(fmt.Errorf("%w: %w", errNoData, err)) // the library replies before it says so
		}
		return nil, err
	}
	l.mu.Lock()
	gone := l.closed && l.conn == nil
	l.conn = conn
	l.mu.Unlock()
	_ = l.Close()
	if gone { // interrupted since
		return nil, errors.Join(errNoData, conn.Close())
	}
	tune(conn, l.session.server.opts.Tuning)
	return newDataConn(l.session, conn), nil
}

// observe tells what became of the connection, unless nobody wants it any more.
func (l *dataListener) observe(err error) {
	mode, result := DataPassive, DataOK
	if l.dial.IsValid() {
		mode = DataActive
	}
	switch {
	case err == nil:
	case l.dialing.Err() != nil || errors.Is(err, net.ErrClosed):
		return
	case errors.Is(err, os.ErrDeadlineExceeded):
		result = DataTimeout
	default:
		result = DataError
	}
	l.session.observer().DataConnection(mode, result)
}

func (l *dataListener) open() (net.Conn, error) {
	if l.dial.IsValid() {
		d := net.Dialer{
			Timeout: dataOpenTimeout, LocalAddr: localTo(l.session.control.LocalAddr()),
			Control: func(_, _ string, raw syscall.RawConn) error {
				return tuneSocket(raw, l.session.server.opts.Tuning)
			},
		}
		return d.DialContext(l.dialing, "tcp", l.dial.String())
	}
	if l.place != nil {
		return l.await()
	}
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		peer := hostOf(conn.RemoteAddr())
		if peer == l.session.remote {
			return conn, nil
		}
		l.session.observer().DataConnection(DataPassive, DataStranger)
		if !l.strange { // once is enough to be told
			l.strange = true
			l.session.log.Warn("data connection from elsewhere", "peer", peer.String())
		}
		_ = conn.Close()
	}
}

// await waits for the connection that the passive range has to give.
func (l *dataListener) await() (net.Conn, error) {
	limit := time.NewTimer(dataOpenTimeout)
	defer limit.Stop()
	select {
	case conn := <-l.place.conn:
		return conn, nil
	case <-l.dialing.Done():
		return nil, net.ErrClosed
	case <-limit.C:
		return nil, os.ErrDeadlineExceeded
	}
}

// localTo is the address that a client knows us by, to call it from.
func localTo(a net.Addr) net.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return &net.TCPAddr{IP: tcp.IP, Zone: tcp.Zone}
	}
	return nil
}

// Close frees the port. A connection that was given out lives on.
func (l *dataListener) Close() error {
	l.mu.Lock()
	closed := l.closed
	l.closed = true
	l.mu.Unlock()
	if closed {
		return nil
	}
	l.expiry.Stop()
	l.stopDial()
	if l.place != nil {
		l.place.release()
	}
	return l.Listener.Close()
}

// interrupt ends whatever waits on the listener or moves on its connection.
func (l *dataListener) interrupt() {
	_ = l.Close()
	l.mu.Lock()
	conn := l.conn
	l.mu.Unlock()
	if conn != nil {
		_ = conn.Close()
	}
}

// used reports that the listener has nothing more to give.
func (l *dataListener) used() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// dataConn is a data connection as transfers see it: TLS if the session agreed on it. The
// interface is embedded, not the TCP connection: its ReadFrom and WriteTo would go round ours.
type dataConn struct {
	net.Conn
	wire *wire
	tls  *tls.Conn // nil in clear
	// observer is told of the handshake.
	observer Observer
	// resumed: it has to resume the TLS session of the control connection.
	resumed bool
}

func newDataConn(s *Session, raw net.Conn) *dataConn {
	w := &wire{Conn: raw, stall: s.server.policy.Load().Limits.DataStallTimeout}
	if !s.private {
		return &dataConn{Conn: w, wire: w}
	}
	w.strict = s.server.opts.TransferEOF == EOFDefault || s.server.opts.TransferEOF == EOFStrict
	tc := tls.Server(w, s.dataTLS())
	return &dataConn{Conn: tc, wire: w, tls: tc, observer: s.observer(), resumed: s.reuse() == auth.ReuseRequire}
}

// handshake ends the TLS handshake. It comes before the first byte in both directions: an end of
// file instead of one is never an empty file.
func (c *dataConn) handshake(ctx context.Context) error {
	if c.tls == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	start := time.Now()
	err := c.tls.HandshakeContext(ctx)
	state := c.tls.ConnectionState()
	c.observer.Handshake(Handshake{Data: true, Version: state.Version, Resumed: state.DidResume, OK: err == nil, Took: time.Since(start)})
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, errNoClose) {
			return fmt.Errorf("%w: %w", errDataBroken, errNoClose)
		}
		return fmt.Errorf("%w: %w", errHandshake, err)
	}
	if c.resumed && !state.DidResume {
		return fmt.Errorf("%w: %w", errHandshake, errNotResumed)
	}
	if tcp, ok := c.wire.Conn.(*net.TCPConn); ok {
		quickAck(tcp) // for the two small records that many a file is: its data and its end
	}
	return nil
}

// linger says how any Close ends the connection: 0 with a reset, -1 in good order.
func (c *dataConn) linger(sec int) {
	if tcp, ok := c.wire.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(sec)
	}
}

// reset ends the connection so that its peer sees that something went wrong.
func (c *dataConn) reset() {
	c.linger(0)
	_ = c.wire.Conn.Close()
}

func (c *dataConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err == nil {
		err = c.wire.flush()
	}
	return n, err
}

// wire is the TCP connection below TLS.
type wire struct {
	net.Conn
	stall time.Duration
	// strict: FIN is an error. crypto/tls takes FIN between two records for an end of file, and
	// with this only close_notify is one, for which it does not come here.
	strict bool

	// mu: when the control connection is lost, the library closes TLS, which writes, while a
	// transfer does.
	mu sync.Mutex
	// out gathers the records of one Write above TLS: crypto/tls makes a system call of each 16 KiB,
	// and those cost more than the encryption. nil: nothing is gathered.
	out []byte
	// closing: TLS has set a deadline of its own for its last record.
	closing bool
}

func (w *wire) Read(p []byte) (int, error) {
	if err := w.Conn.SetReadDeadline(time.Now().Add(w.stall)); err != nil {
		return 0, err
	}
	n, err := w.Conn.Read(p)
	if w.strict && errors.Is(err, io.EOF) {
		err = errNoClose
	}
	return n, err
}

// gather makes Write keep records in buf until flush; nil ends it and forgets what was kept.
func (w *wire) gather(buf []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out = buf[:0]
}

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.out == nil {
		return w.write(p)
	}
	if len(w.out)+len(p) > cap(w.out) {
		if err := w.send(); err != nil {
			return 0, err
		}
	}
	w.out = append(w.out, p...) // a record is far smaller than the buffer
	return len(p), nil
}

func (w *wire) flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.out) == 0 {
		return nil
	}
	return w.send()
}

func (w *wire) send() error {
	_, err := w.write(w.out)
	w.out = w.out[:0]
	return err
}

// write sends p in pieces, each of which has the stall time to itself.
func (w *wire) write(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		if !w.closing {
			if err := w.Conn.SetWriteDeadline(time.Now().Add(w.stall)); err != nil {
				return n, err
			}
		}
		var m int
		m, err = w.Conn.Write(p[:min(len(p), recordBuffer)])
		n, p = n+m, p[m:]
	}
	return n, err
}

// SetWriteDeadline is called by TLS before its last record, which it does not wait for long.
func (w *wire) SetWriteDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closing = true
	return w.Conn.SetWriteDeadline(t)
}
