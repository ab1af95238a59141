package gateway_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/gateway"
)

func active(o *gateway.Options) { o.ActiveMode = true }

func TestActiveMode(t *testing.T) {
	t.Parallel()
	f := start(t, active)
	f.put("file", "content")
	for _, secure := range []bool{false, true} {
		c := f.login()
		if secure {
			c = f.loginTLS()
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		for _, cmd := range []string{
			fmt.Sprintf("PORT 127,0,0,1,%d,%d", port>>8, port&255),
			fmt.Sprintf("EPRT |1|127.0.0.1|%d|", port),
			fmt.Sprintf("EPRT !1!127.0.0.1!%d!", port),
		} {
			c.cmd(200, cmd)
			c.send("RETR file")
			conn, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			c.want(150)
			b, err := io.ReadAll(c.protect(conn))
			if err != nil {
				t.Fatal(err)
			}
			equal(t, cmd, string(b), "content")
			_ = conn.Close()
			c.want(226)
		}
		_ = l.Close()
		c.cmd(200, fmt.Sprintf("PORT 127,0,0,1,%d,%d", port>>8, port&255))
		c.cmd(425, "RETR file") // nobody is there
		c.cmd(200, "NOOP")
	}
}

// PORT must not make the server knock anywhere else (RFC 2577 section 3).
func TestBounce(t *testing.T) {
	t.Parallel()
	f := start(t, active)
	c := f.login()
	for _, cmd := range []string{
		"PORT 127,0,0,2,200,1", "PORT 10,0,0,1,200,1", "PORT 127,0,0,1,0,22", "PORT 127,0,0,1,3,255", "PORT 127,0,0,1,200", "PORT 127,0,0,1,200,256",
		"PORT 127,0,0,1,-1,1", "EPRT |1|10.0.0.1|5000|", "EPRT |1|127.0.0.1|22|", "EPRT |1|127.0.0.1|70000|", "EPRT |2|127.0.0.1|5000|",
		"EPRT |1|::1|5000|", "EPRT |2|::1|5000|", "EPRT |2|fe80::1%eth0|5000|", "EPRT |1|localhost|5000|", "EPRT |", "EPRT",
	} {
		c.cmd(501, cmd)
	}
	c.cmd(522, "EPRT |3|127.0.0.1|5000|")
	c.cmd(425, "LIST")
	c.cmd(200, "EPSV ALL")
	c.cmd(503, "PORT 127,0,0,1,200,1")
}

// ABOR ends a dial that nobody answers.
func TestAbortDial(t *testing.T) {
	t.Parallel()
	f := start(t, active)
	port := deaf(t)
	c := f.login()
	c.cmd(200, fmt.Sprintf("PORT 127,0,0,1,%d,%d", port>>8, port&255))
	c.send("STOR x")
	c.cmd(426, "ABOR") // the fixture's patience is less than a dial's
	c.want(226)
}

// deaf returns a port whose backlog is full: a connection to it is neither made nor refused.
func deaf(t *testing.T) int {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := sa.(*syscall.SockaddrInet4).Port
	for range 3 {
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), 200*time.Millisecond)
		if err != nil {
			break
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	return port
}

// nextPort is where ports looks, below those that the system hands out by itself.
var nextPort atomic.Int64

// ports is a passive range of n ports that nobody else has.
func ports(n int) (func(*gateway.Options), int) {
	first := 0
	for first == 0 {
		first = 10_000 + int(nextPort.Add(int64(n)))%9_000
		for p := first; p < first+n; p++ {
			l, err := net.Listen("tcp", fmt.Sprintf(":%d", p))
			if err != nil {
				first = 0
				break
			}
			_ = l.Close()
		}
	}
	return func(o *gateway.Options) {
		o.Passive.FirstPort, o.Passive.LastPort = first, first+n-1
		o.ActiveMode = true
	}, first
}

// One port serves transfers one after the other while earlier ones still run, and no sequence of
// commands leaks it: PASV and then PORT did in the library.
func TestPortsAreFreed(t *testing.T) {
	t.Parallel()
	one, port := ports(1)
	f := start(t, one)
	f.put("file", "content")
	var running []net.Conn
	c := f.login()
	for range 5 {
		s := f.login()
		running = append(running, s.open("STOR x"))
		for range 3 {
			c.cmd(229, "EPSV")
			c.cmd(227, "PASV")
			c.cmd(200, fmt.Sprintf("PORT 127,0,0,1,%d,%d", 200, 1))
		}
		c.cmd(229, "EPSV")
		c.cmd(226, "ABOR")
	}
	if text := c.cmd(227, "PASV"); !strings.Contains(text, fmt.Sprintf(",%d,%d)", port>>8, port&255)) {
		t.Errorf("PASV: %s, want port %d", text, port)
	}
	// While it is held, others are told to try again, on a session that goes on.
	d := f.login()
	d.cmd(425, "EPSV")
	d.cmd(425, "PASV")
	d.cmd(200, "NOOP")
	_ = c.raw.Close()
	f.waitForSessions(6)
	equal(t, "RETR", d.download("RETR file"), "content")
	for _, conn := range running {
		_ = conn.Close()
	}
}

// A PASV that fails for another reason gives its port back at once.
func TestPortOfFailedPassive(t *testing.T) {
	t.Parallel()
	one, _ := ports(1)
	f := start(t, one, func(o *gateway.Options) { o.Passive.PublicHost = "no.such.host.invalid" })
	f.login().cmd(425, "PASV")
	f.login().cmd(229, "EPSV")
}

// The connection of another host is closed, and the client's own is waited for.
func TestPortStealing(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.put("file", "secret")
	c := f.login()
	addr := c.passive()
	thief := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	stolen, err := thief.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer stolen.Close()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c.cmd(150, "RETR file")
	b, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "content", string(b), "secret")
	c.want(226)
	if b, err := io.ReadAll(stolen); len(b) > 0 || err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the thief got %q, %v", b, err)
	}
}

func TestIPv6(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here: ", err)
	}
	three, _ := ports(3)
	f := start(t, three)
	done := make(chan error, 1)
	go func() { done <- f.server.Serve(l, false) }()
	t.Cleanup(func() {
		_ = l.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	f.put("file", "content")
	c := f.connect(l.Addr().String())
	c.want(220)
	c.cmd(331, "USER ann")
	c.cmd(230, "PASS secret")
	c.cmd(425, "PASV")
	c.cmd(522, "EPSV 1")
	_, rest, _ := strings.Cut(c.cmd(229, "EPSV 2"), "(|||")
	port, _, _ := strings.Cut(rest, "|")
	conn, err := net.Dial("tcp", net.JoinHostPort("::1", port))
	if err != nil {
		t.Fatal(err)
	}
	c.cmd(150, "RETR file")
	b, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "content", string(b), "content")
	c.want(226)
	back, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	c.cmd(200, fmt.Sprintf("EPRT |2|::1|%d|", back.Addr().(*net.TCPAddr).Port))
	c.send("RETR file")
	if conn, err = back.Accept(); err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c.want(150)
	c.want(226)
}

func TestPublicHost(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *gateway.Options) { o.Passive.PublicHost = "192.0.2.7" })
	if text := f.login().cmd(227, "PASV"); !strings.Contains(text, "(192,0,2,7,") {
		t.Error(text)
	}
	f = start(t, func(o *gateway.Options) { o.Passive.PublicHost = "localhost" })
	if text := f.login().cmd(227, "PASV"); !strings.Contains(text, "(127,0,0,1,") {
		t.Error(text)
	}
}

func TestTuning(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *gateway.Options) {
		o.Tuning = gateway.Tuning{BufferSize: 4096, Delay: true, ReceiveBuffer: 64 << 10, SendBuffer: 64 << 10}
	})
	c := f.loginTLS()
	content := strings.Repeat("0123456789", 100_000)
	code, text := c.upload("STOR file", content)
	equal(t, text, code, 226)
	equal(t, "content", c.download("RETR file") == content, true)
}
