package gateway

import (
	"context"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	proxyproto "github.com/pires/go-proxyproto"
)

// relayTimeout is how long the owner of a port may take to answer.
const relayTimeout = 5 * time.Second

// relay leads a data connection that a balancer sent here to the replica that expects it, and tells it where
// the client is. TLS goes through as it is. The bytes stay in the kernel (splice), and none is looked at.
func (p *passivePorts) relay(conn net.Conn, e ends, owner, port int) {
	defer conn.Close()
	if e.relayed { // or two that see it differently would send it to and fro
		p.server.opts.Log.Error("another replica takes a port for this one's; give all the same passive.ports and per_replica", "port", port, "replica", owner)
		p.server.opts.Observer.Relay(RelayFailed)
		return
	}
	observer := p.server.opts.Observer
	ctx, cancel := context.WithTimeout(context.Background(), relayTimeout)
	defer cancel()
	host := p.options.Peer(owner)
	to, err := p.dialer().DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err == nil {
		defer to.Close()
		err = to.SetWriteDeadline(time.Now().Add(relayTimeout))
	}
	if err == nil {
		h := proxyproto.HeaderProxyFromAddrs(2, net.TCPAddrFromAddrPort(e.remote), net.TCPAddrFromAddrPort(e.local))
		if err = h.SetTLVs([]proxyproto.TLV{relayMark}); err == nil {
			_, err = h.WriteTo(to)
		}
	}
	if err == nil {
		err = to.SetWriteDeadline(time.Time{})
	}
	if err != nil {
		p.server.opts.Log.Warn("data connection not relayed", "replica", owner, "port", port, "err", err.Error())
		observer.Relay(RelayFailed)
		return
	}
	observer.Relay(RelayOK)
	stop := context.AfterFunc(p.server.relaying, func() { _ = conn.Close(); _ = to.Close() })
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { carry(to, conn) })
	carry(conn, to)
	both.Wait()
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

// carry copies until from ends, and ends to in the same way: an end that is none must not look like one.
func carry(to, from net.Conn) {
	buf, _ := relayBuffers.Get().(*[]byte)
	n, err := io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{io.LimitReader(from, spliceFrom)}, *buf)
	relayBuffers.Put(buf)
	if err == nil && n == spliceFrom {
		_, err = io.Copy(to, from)
	}
	if err != nil {
		if tcp, ok := to.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = to.Close()
		_ = from.Close()
		return
	}
	if tcp, ok := to.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
}
