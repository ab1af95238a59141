package gateway

import (
	"net"
	"syscall"
)

// quickAck has the first segments acknowledged at once. GnuTLS clients send the two last messages of
// a handshake apart and wait for the acknowledgement in between: 40 ms for every listing.
func quickAck(tcp *net.TCPConn) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
	})
}
