package gateway

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"
)

// pair is a connection over the loopback, both ends of it.
func pair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if near, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{near, far} {
		t.Cleanup(func() { _ = c.Close() })
		if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	return near, far
}

// All bytes arrive in order, wherever the process hands over to the kernel, and the end is one.
func TestCarry(t *testing.T) {
	for _, size := range []int{0, 1, spliceFrom - 1, spliceFrom, spliceFrom + 1, 5*spliceFrom + 7} {
		content := make([]byte, size)
		for i := range content {
			content[i] = byte(i*7 + i>>8)
		}
		source, from := pair(t)
		to, sink := pair(t)
		go func() {
			_, _ = source.Write(content) // that all came is looked at below
			_ = source.(*net.TCPConn).CloseWrite()
		}()
		go carry(to, from)
		got, err := io.ReadAll(sink)
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes: %d came, %v", size, len(got), err)
		}
	}
}

// A reset goes through as one, before the kernel has taken over and after it.
func TestCarryReset(t *testing.T) {
	for _, size := range []int{10, 2 * spliceFrom} {
		source, from := pair(t)
		to, sink := pair(t)
		go carry(to, from)
		go func() {
			_, _ = source.Write(make([]byte, size))
		}()
		if _, err := io.ReadFull(sink, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if err := source.(*net.TCPConn).SetLinger(0); err != nil {
			t.Fatal(err)
		}
		_ = source.Close()
		if n, err := io.Copy(io.Discard, sink); err == nil {
			t.Errorf("after %d bytes: %d more and an end, want a reset", size, n)
		}
	}
}
