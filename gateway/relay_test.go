package gateway_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	proxyproto "github.com/pires/go-proxyproto"

	"github.com/sluice-ftp/sluice/gateway"
)

// replicas are three servers on one folder with two passive ports each, on addresses of their own, and what
// one of them was told.
func replicas(t *testing.T, change ...func(*gateway.Options)) []*fixture {
	t.Helper()
	_, first := ports(6)
	var all []*fixture
	for i := range 3 {
		all = append(all, start(t, append(change, func(o *gateway.Options) {
			o.Passive = gateway.PassiveOptions{
				FirstPort: first, LastPort: first + 5, ListenHost: host(i), PerReplica: 2, Replica: i, Peer: host,
			}
			if i > 0 {
				o.Backends = all[0].backends
			}
		})...))
		all[i].root = all[0].root
	}
	return all
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

func host(replica int) string { return fmt.Sprintf("127.0.1.%d", replica+1) }

// farClient is where one comes from that nobody trusts.
const farClient = "127.0.0.9"

func dialFrom(t *testing.T, from, addr string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// Whatever replica a data connection reaches, it is led to the one that expects it, and TLS with it.
func TestRelay(t *testing.T) {
	t.Parallel()
	all := replicas(t)
	all[0].put("file", strings.Repeat("content", 100_000))
	for via := range all {
		var config *tls.Config
		c := all[1].loginFrom(farClient, func(cfg *tls.Config) { config = cfg })
		conn := dialFrom(t, farClient, net.JoinHostPort(host(via), portOf(c.passive())))
		c.cmd(150, "RETR file")
		tc := tls.Client(conn, config)
		if err := tc.Handshake(); err != nil {
			t.Fatalf("via %d: %v", via, err)
		}
		b, err := io.ReadAll(tc)
		if err != nil || string(b) != strings.Repeat("content", 100_000) {
			t.Errorf("via %d: %d bytes, %v", via, len(b), err)
		}
		if !tc.ConnectionState().DidResume {
			t.Errorf("via %d: not resumed", via)
		}
		c.want(226)
	}
}

// Only a replica is believed where a client is; from anywhere else a header is what a stranger says.
func TestRelayIsNotForged(t *testing.T) {
	t.Parallel()
	all := replicas(t)
	c := all[1].loginFrom(farClient)
	addr := net.JoinHostPort(host(1), portOf(c.passive()))
	forged := dialFrom(t, "127.0.0.8", addr)
	header := proxyproto.HeaderProxyFromAddrs(2, &net.TCPAddr{IP: net.ParseIP(farClient), Port: 4000}, &net.TCPAddr{IP: net.ParseIP(host(1)), Port: 21})
	if _, err := header.WriteTo(forged); err != nil {
		t.Fatal(err)
	}
	if n, err := forged.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("the data connection was given away")
	}
	all[1].put("file", "content") // and is still there for who asked for it
	conn := dialFrom(t, farClient, addr)
	c.cmd(150, "RETR file")
	tc := tls.Client(conn, c.tls)
	if b, err := io.ReadAll(tc); err != nil || string(b) != "content" {
		t.Errorf("%q, %v", b, err)
	}
	c.want(226)
}

// What breaks off on one side of a relay breaks off on the other: nothing truncated is published.
func TestRelayBreaks(t *testing.T) {
	t.Parallel()
	all := replicas(t)
	c := all[1].loginFrom(farClient)
	conn := dialFrom(t, farClient, net.JoinHostPort(host(0), portOf(c.passive())))
	c.cmd(150, "STOR cut")
	tc := tls.Client(conn, c.tls)
	if err := tc.Handshake(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(tc, strings.Repeat("x", 300_000)); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	c.want(426)
	equal(t, "cut", all[0].read("cut"), "<none>")
}

// With the owner gone the client is told, and its next try works.
func TestRelayWithoutOwner(t *testing.T) {
	t.Parallel()
	n := &notes{}
	all := replicas(t, func(o *gateway.Options) { o.Observer = n })
	first := portOf(all[2].loginFrom(farClient).passive())
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_ = all[2].server.Shutdown(ended) // which cuts its sessions off
	n.take()
	if _, err := dialFrom(t, farClient, net.JoinHostPort(host(0), first)).Read(make([]byte, 1)); err == nil {
		t.Error("somebody answers")
	}
	if all := n.take(); len(all) == 0 || all[len(all)-1] != "relay error" {
		t.Errorf("told %q", all)
	}
}

// Replicas that see it differently do not send a connection to and fro.
func TestRelayDisagreement(t *testing.T) {
	t.Parallel()
	n := &notes{}
	_, first := ports(2)
	at := func(i int, peer string) *fixture {
		return start(t, func(o *gateway.Options) {
			o.Observer = n
			o.Passive = gateway.PassiveOptions{
				FirstPort: first, LastPort: first + 1, ListenHost: host(i), PerReplica: 1, Replica: 1, Peer: func(int) string { return peer },
			}
		})
	}
	at(5, host(6)) // both say that they are the second, and that the first is the other one
	at(6, host(5))
	conn := dialFrom(t, farClient, net.JoinHostPort(host(5), strconv.Itoa(first)))
	if k, err := conn.Read(make([]byte, 1)); k > 0 || err == nil {
		t.Error("somebody answers")
	}
	if all := n.take(); len(all) != 2 {
		t.Errorf("told %q, want one relay and one refusal", all)
	}
}

// Who is trusted says where a client is, in either version; others are what they are, and a word that does
// not come is not waited for.
func TestProxyHeaders(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *gateway.Options) {
		o.Proxy = gateway.ProxyOptions{Control: true, Data: true, Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.3/32")}}
		change, _ := ports(2)
		change(o)
	})
	f.put("file", "content")
	dial := func(from string, addr string, header []byte) net.Conn {
		t.Helper()
		conn := dialFrom(t, from, addr)
		if _, err := conn.Write(header); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	client := &net.TCPAddr{IP: net.ParseIP("192.0.2.7"), Port: 4000}
	server := &net.TCPAddr{IP: net.ParseIP("198.51.100.1"), Port: 21}
	for version, name := range map[byte]string{1: "v1", 2: "v2"} {
		header, err := proxyproto.HeaderProxyFromAddrs(version, client, server).Format()
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			c := f.over(dial("127.0.0.3", f.explicit, header))
			c.want(220)
			c.cmd(331, "USER ann")
			c.cmd(230, "PASS secret")
			if who := c.cmd(211, "SITE WHO"); !strings.Contains(who, "from 192.0.2.7 ") {
				t.Errorf("the client is at %s", who)
			}
			// What PASV tells is the address that the client knows.
			if pasv := c.cmd(227, "PASV"); !strings.Contains(pasv, "(198,51,100,1,") {
				t.Error(pasv)
			}
			port := portOf(c.passive())
			// Without a header it is the balancer's own, and nobody expects that.
			stranger := dial("127.0.0.5", net.JoinHostPort("127.0.0.1", port), nil)
			if n, err := stranger.Read(make([]byte, 1)); n > 0 || err == nil {
				t.Error("a stranger is served")
			}
			data := dial("127.0.0.3", net.JoinHostPort("127.0.0.1", port), header)
			c.cmd(150, "RETR file")
			if b, err := io.ReadAll(data); err != nil || string(b) != "content" {
				t.Errorf("%q, %v", b, err)
			}
			c.want(226)
		})
	}
	local := proxyproto.Header{Version: 2, Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}
	header, err := local.Format()
	if err != nil {
		t.Fatal(err)
	}
	f.over(dial("127.0.0.3", f.explicit, header)).want(220)
	// A client that says so itself is not believed: to it the header is a command.
	lie, err := proxyproto.HeaderProxyFromAddrs(1, client, server).Format()
	if err != nil {
		t.Fatal(err)
	}
	c := f.over(dial("127.0.0.5", f.explicit, lie))
	c.want(220)
	c.want(500)
	for name, header := range map[string][]byte{
		"none": []byte("USER ann\r\nPASS secret\r\n"), "broken": []byte("PROXY TCP4 nonsense\r\n"), "endless": []byte("PROXY " + strings.Repeat("x", 200)),
		"huge": append(append([]byte{}, proxyproto.SIGV2...), 0x21, 0x11, 0xff, 0xff),
	} {
		conn := dial("127.0.0.3", f.explicit, header)
		if b, err := io.ReadAll(conn); len(b) > 0 {
			t.Errorf("%s: it says %q, %v", name, b, err)
		}
	}
	// Those that say nothing hold nobody up.
	var silent []net.Conn
	for range 20 {
		silent = append(silent, dial("127.0.0.3", f.explicit, nil))
	}
	f.over(dial("127.0.0.5", f.explicit, nil)).want(220)
	for _, conn := range silent {
		if _, err := conn.Read(make([]byte, 1)); errors.Is(err, nil) {
			t.Error("a connection without a header is greeted")
		}
	}
}

// Many clients at one address wait for each other at one port, and all are served.
func TestManyAtOnePort(t *testing.T) {
	t.Parallel()
	one, _ := ports(1)
	f := start(t, one)
	f.put("file", "content")
	var clients sync.WaitGroup
	for range 12 {
		c := f.login()
		clients.Go(func() {
			for range 10 {
				if got := c.download("RETR file"); got != "content" {
					t.Error(got)
				}
			}
		})
	}
	clients.Wait()
}

// Who is not expected is let go by the relay as soon as the owner has, though he stays; a shutdown waits for nobody
// like him.
func TestRelayLetsGo(t *testing.T) {
	t.Parallel()
	all := replicas(t)
	port := portOf(all[2].loginFrom(farClient).passive())
	for range 20 {
		conn := dialFrom(t, "127.0.0.8", net.JoinHostPort(host(0), port))
		if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Fatal("somebody answers")
		}
		// and it stays open on this side
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // less than a client may take who was served
	defer cancel()
	began := time.Now()
	if err := all[0].server.Shutdown(ctx); err != nil {
		t.Errorf("strangers hold the shutdown up: %v, after %v", err, time.Since(began))
	}
}
