package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
	"time"
)

// readLine returns the next whole line, with its end; it is valid until the next call. What had
// arrived when a deadline passed is kept.
func (c *control) readLine() ([]byte, error) {
	if len(c.partial) > 0 && c.partial[len(c.partial)-1] == '\n' {
		c.partial = c.partial[:0]
		if cap(c.partial) > maxLine/4 {
			c.partial = nil // most lines are short, and sessions are many
		}
	}
	for {
		b, err := c.r.ReadSlice('\n')
		if len(c.partial)+len(b) > maxLine || c.flood > 0 {
			c.flood += len(b)
			c.partial = c.partial[:0]
		} else {
			c.partial = append(c.partial, b...)
		}
		switch {
		case c.flood > maxFlood:
			return nil, errFlood
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil:
			return nil, err
		case c.flood > 0:
			c.flood = 0
			return nil, errLineTooLong
		}
		return c.partial, nil
	}
}

// awaitInput returns when the client has sent something, or at the deadline. A Read would do that,
// too, but from so deep below TLS that the goroutine's stack could not shrink: sessions are idle
// most of their lives, and this halves the stacks of ten thousand of them.
func (c *control) awaitInput() error {
	if c.r.Buffered() > 0 || c.in.more {
		return nil
	}
	sc, ok := c.raw.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(readable)
}

// input remembers whether the last Read may have left something behind in TLS, where awaitInput does
// not see it: TLS fills what it is given as long as it has decrypted bytes.
type input struct {
	io.Reader
	more bool
}

func (i *input) Read(p []byte) (int, error) {
	n, err := i.Reader.Read(p)
	i.more = n == len(p)
	return n, err
}

// readable reports whether a read would return at once. The runtime calls it again when the socket
// is ready.
func readable(fd uintptr) bool {
	var b [1]byte
	_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return err != syscall.EAGAIN
}

// recordConn lets TLS read no further than the record it wants, so that what the client has sent is
// either with us or still in the socket, where awaitInput sees it.
type recordConn struct {
	net.Conn
	header [5]byte // of the record (RFC 8446 section 5.1): type, version, length
	have   int     // bytes of the header that were read
	left   int     // bytes of the record that were not
}

func (c *recordConn) Read(p []byte) (int, error) {
	if c.left > 0 {
		n, err := c.Conn.Read(p[:min(len(p), c.left)])
		c.left -= n
		return n, err
	}
	n, err := c.Conn.Read(p[:min(len(p), len(c.header)-c.have)])
	copy(c.header[c.have:], p[:n])
	if c.have += n; c.have == len(c.header) {
		c.have, c.left = 0, int(c.header[3])<<8|int(c.header[4])
	}
	return n, err
}

// Write is also called by TLS on its own account, when no reply has set a deadline.
func (c *recordConn) Write(p []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(replyTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// startTLS takes the connection over to TLS, on the control goroutine. What the client sent in
// clear behind AUTH could have been slipped in by someone else, so it ends the session.
func (c *control) startTLS() error {
	begun := len(c.partial) > 0 && c.partial[len(c.partial)-1] != '\n'
	if c.r.Buffered() > 0 || len(c.queue) > 0 || begun {
		return errInjected
	}
	tc := tls.Server(&recordConn{Conn: c.raw}, c.session.controlTLS())
	// Deadlines and a goroutine instead of a context: a session that idles for hours would keep the
	// context's bookkeeping and a stack as deep as the handshake's.
	if err := c.raw.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return err
	}
	start, done := time.Now(), make(chan error, 1)
	go func() { done <- tc.HandshakeContext(context.Background()) }()
	err := <-done
	state := tc.ConnectionState()
	c.session.observer().Handshake(Handshake{Version: state.Version, Resumed: state.DidResume, OK: err == nil, Took: time.Since(start)})
	if err != nil {
		return err
	}
	if err := c.raw.SetDeadline(time.Time{}); err != nil {
		return err
	}
	c.tlsVersion, c.peer = state.Version, state.PeerCertificates
	c.mu.Lock()
	c.conn = tc
	c.mu.Unlock()
	c.in = input{Reader: tc}
	c.r.Reset(&c.in)
	return nil
}
