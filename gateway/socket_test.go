package gateway

import (
	"net"
	"syscall"
	"testing"
)

// The buffers are set on the listener of a data connection, so that what it accepts has them from the
// first segment on; TCP_NODELAY is set on what was accepted.
func TestSocketTuning(t *testing.T) {
	t.Parallel()
	const size = 64 << 10
	s := &Session{server: &Server{}, ctx: t.Context()}
	s.server.opts.Tuning = Tuning{ReceiveBuffer: size, SendBuffer: size, Delay: true}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := s.WrapPassiveListener(inner)
	if err != nil {
		t.Fatal(err)
	}
	defer wrapped.Close()
	dialed, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer dialed.Close()
	conn, err := inner.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The kernel doubles what it is given (socket(7)).
	if got := option(t, conn, syscall.SOL_SOCKET, syscall.SO_RCVBUF); got != 2*size {
		t.Errorf("SO_RCVBUF is %d", got)
	}
	if got := option(t, conn, syscall.SOL_SOCKET, syscall.SO_SNDBUF); got != 2*size {
		t.Errorf("SO_SNDBUF is %d", got)
	}
	for delay, want := range map[bool]int{true: 0, false: 1} {
		if err := conn.(*net.TCPConn).SetNoDelay(true); err != nil {
			t.Fatal(err)
		}
		tune(conn, Tuning{Delay: delay})
		if got := option(t, conn, syscall.IPPROTO_TCP, syscall.TCP_NODELAY); got != want {
			t.Errorf("TCP_NODELAY is %d with Delay %v", got, delay)
		}
	}
}

func option(t *testing.T, conn net.Conn, level, name int) (value int) {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if cerr := raw.Control(func(fd uintptr) { value, err = syscall.GetsockoptInt(int(fd), level, name) }); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	return value
}
