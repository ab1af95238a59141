//go:build !linux

package gateway

import (
	"net"
	"time"
)

func quickAck(*net.TCPConn) {}

func userTimeout(net.Conn, time.Duration) {}
