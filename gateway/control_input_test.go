package gateway

import (
	"net"
	"testing"
	"time"
)

// What TLS writes on its own account, as the answer to a KeyUpdate, must not meet the deadline of a
// reply that was sent long ago: the error would stay with the connection.
func TestWriteOfTLSItself(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	go func() { _, _ = b.Read(make([]byte, 1)) }()
	if err := a.SetWriteDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := (&recordConn{Conn: a}).Write([]byte{1}); err != nil {
		t.Error(err)
	}
}
