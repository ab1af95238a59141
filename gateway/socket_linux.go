package gateway

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// userTimeout ends a connection whose other side takes nothing for so long, though it lives: its window is closed
// (TCP_USER_TIMEOUT in tcp(7)).
func userTimeout(conn net.Conn, d time.Duration) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
	})
}

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
