package gateway

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// tune sets what may be set on an open connection. Its errors mean that the connection is gone
// already, which its first use tells better.
func tune(conn net.Conn, o Tuning) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	if o.Delay {
		_ = tcp.SetNoDelay(false)
	}
	quickAck(tcp)
	// A firewall forgets an idle control connection after a few minutes of a long transfer.
	_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 45 * time.Second, Interval: 15 * time.Second, Count: 6})
}

// tuneListener is tuneSocket for what l accepts.
func tuneListener(l net.Listener, o Tuning) error {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	return tuneSocket(raw, o)
}

// tuneSocket sets the buffers of a socket before it connects, or of a listener, whose connections
// inherit them.
func tuneSocket(raw syscall.RawConn, o Tuning) error {
	if o.ReceiveBuffer == 0 && o.SendBuffer == 0 {
		return nil
	}
	var failed error
	err := raw.Control(func(fd uintptr) {
		set := func(name, size int) {
			if size > 0 {
				failed = errors.Join(failed, os.NewSyscallError("setsockopt",
					syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, name, size)))
			}
		}
		set(syscall.SO_RCVBUF, o.ReceiveBuffer)
		set(syscall.SO_SNDBUF, o.SendBuffer)
	})
	return errors.Join(err, failed)
}
