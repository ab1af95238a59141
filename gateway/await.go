package gateway

import (
	"net"
	"syscall"
)

// awaitInput returns when the client has sent something, or at the deadline. A Read would do that,
// too, but from so deep below TLS that the goroutine's stack could not shrink: sessions are idle
// most of their lives, and this halves the stacks of ten thousand of them.
func (c *control) awaitInput() error {
	if c.r.Buffered() > 0 {
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
