package gateway

import (
	"net"
	"syscall"
)

// quickAck has the next segments acknowledged at once. Clients that leave Nagle's algorithm on send
// nothing more until a small segment is acknowledged: GnuTLS between the last two messages of a
// handshake, Python between a small file and its close_notify, 40 ms each time.
func quickAck(tcp *net.TCPConn) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
	})
}
