package gateway

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	proxyproto "github.com/pires/go-proxyproto"
)

const (
	// relayTimeout is how long the owner of a port may take to answer.
	relayTimeout = 5 * time.Second
	// relayLinger is how long a client may take to end a connection that the owner has ended.
	relayLinger = 30 * time.Second
	// portWarning is how often what goes wrong with connections that anyone can open is told of aloud, at most.
	portWarning = 10 * time.Second
)

// relay leads a data connection that a balancer sent here to the replica that expects it, and tells it where
// the client is. TLS goes through as it is. The bytes stay in the kernel (splice), and none is looked at.
func (p *passivePorts) relay(conn net.Conn, e ends, owner, port int) {
	defer conn.Close()
	observer := p.server.opts.Observer
	switch {
	case !p.server.mayConnect(e.remote.Addr()):
		return // nobody is asked for who may not be here
	case e.relayed: // or two that see it differently would send it to and fro
		p.server.opts.Log.Error("another replica takes a port for this one's; give all the same passive.ports and per_replica", "port", port, "replica", owner)
		observer.Relay(RelayFailed)
		return
	}
	ctx, cancel := context.WithTimeout(p.server.relaying, relayTimeout)
	defer cancel()
	to, err := p.lead(ctx, e, owner, port)
	if err != nil {
		p.server.opts.Log.Log(ctx, p.loudness(), "data connection not relayed", "replica", owner, "port", port, "err", err.Error())
		observer.Relay(RelayFailed)
		return
	}
	defer to.Close()
	observer.Relay(RelayOK)
	stop := context.AfterFunc(p.server.relaying, func() { _ = conn.Close(); _ = to.Close() })
	defer stop()
	stall := p.server.policy.Load().Limits.DataStallTimeout
	userTimeout(conn, stall)
	userTimeout(to, stall)
	var both sync.WaitGroup
	both.Go(func() { carry(to, conn) })
	// The owner has the last word, and it ends what stalls. Who was told nothing was not expected there, and need
	// not be waited for.
	linger := relayLinger
	if carry(conn, to) == 0 {
		linger = 0
	}
	_ = conn.SetReadDeadline(time.Now().Add(linger)) // or it is closed already
	both.Wait()
}

// loudness is how to log what strangers can bring about: a warning now and then.
func (p *passivePorts) loudness() slog.Level {
	now, last := time.Now(), p.warned.Load()
	if now.Sub(time.Unix(last, 0)) >= portWarning && p.warned.CompareAndSwap(last, now.Unix()) {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// lead connects to the owner of a port, and tells it whose connection it gets.
func (p *passivePorts) lead(ctx context.Context, e ends, owner, port int) (net.Conn, error) {
	// Where it was found last, for the name service need not answer now.
	host := cmp.Or(p.peers.address(owner), p.options.Peer(owner))
	to, err := p.dialer().DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	h := proxyproto.HeaderProxyFromAddrs(2, net.TCPAddrFromAddrPort(e.remote), net.TCPAddrFromAddrPort(e.local))
	err = errors.Join(to.SetWriteDeadline(time.Now().Add(relayTimeout)), h.SetTLVs([]proxyproto.TLV{relayMark}))
	if err == nil {
		_, err = h.WriteTo(to)
	}
	if err := errors.Join(err, to.SetWriteDeadline(time.Time{})); err != nil {
		_ = to.Close()
		return nil, err
	}
	return to, nil
}

// dialer dials from where the owner looks this replica up.
func (p *passivePorts) dialer() *net.Dialer {
	if ip := net.ParseIP(p.options.ListenHost); ip != nil && !ip.IsUnspecified() {
		return &net.Dialer{LocalAddr: &net.TCPAddr{IP: ip}}
	}
	return &net.Dialer{}
}

// spliceFrom is how much of a direction the process copies by itself before the kernel does it (splice): one that
// has nothing but the goodbyes and handshakes of TLS then needs no pipe. A user who is not root can have 64 of full
// size (fs.pipe-user-pages-soft in proc_sys_fs(5)), and more make splicing dearer than copying.
const spliceFrom = 256 << 10

var relayBuffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// carry copies until from ends, and ends to in the same way: an end that is none must not look like one. It
// returns how much it has copied.
func carry(to, from net.Conn) int64 {
	buf, _ := relayBuffers.Get().(*[]byte)
	n, err := io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{io.LimitReader(from, spliceFrom)}, *buf)
	relayBuffers.Put(buf)
	if err == nil && n == spliceFrom {
		var rest int64
		rest, err = io.Copy(to, from)
		n += rest
	}
	if err != nil {
		if tcp, ok := to.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = to.Close()
		_ = from.Close()
		return n
	}
	if tcp, ok := to.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
	return n
}
