package gateway_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/backendtest"
	"github.com/sluice-ftp/sluice/gateway"
)

// notes is an Observer that writes down what it is told, times left out.
type notes struct {
	mu   sync.Mutex
	all  []string
	live int // bytes of transfers that have not ended
}

func (n *notes) note(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, fmt.Sprintf(format, args...))
}

// take returns what was noted since the last call.
func (n *notes) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	defer func() { n.all = nil }()
	return n.all
}

func (n *notes) moving() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.live
}

func (n *notes) Connection(listener string, remote netip.Addr, result gateway.ConnectionResult) {
	n.note("connection %s %s %s", listener, remote, result)
}
func (n *notes) SessionEnded(listener string, took time.Duration) { n.note("ended %s", listener) }

func (n *notes) Handshake(h gateway.Handshake) {
	n.note("handshake data=%v %s resumed=%v ok=%v", h.Data, tls.VersionName(h.Version), h.Resumed, h.OK)
}

func (n *notes) Login(m gateway.LoginMethod, r gateway.LoginResult) { n.note("login %s %s", m, r) }

func (n *notes) Reply(_ context.Context, verb string, code int, fault gateway.Fault, _ time.Duration) {
	n.note("%s %d %s", verb, code, fault)
}

func (n *notes) DataConnection(m gateway.DataMode, r gateway.DataResult) { n.note("data %s %s", m, r) }
func (n *notes) Panicked()                                               { n.note("panic") }
func (n *notes) Relay(r gateway.RelayResult)                             { n.note("relay %s", r) }

func (n *notes) Transfer(d gateway.Direction, backend, user string) gateway.TransferObserver {
	n.note("begin %s %q %s", d, backend, user)
	return &noted{n, 0}
}

type noted struct {
	*notes
	bytes int
}

func (t *noted) Moved(bytes int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bytes += bytes
	t.live += bytes
}

func (t *noted) Done(e gateway.TransferEnd) {
	t.note("end %s %d of %d committed=%v", e.Result, e.Bytes, t.bytes, e.Commit > 0)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.live -= t.bytes
}

func observed(t *testing.T, change ...func(*gateway.Options)) (*fixture, *notes) {
	n := &notes{}
	return start(t, append(change, func(o *gateway.Options) { o.Observer = n })...), n
}

func (n *notes) want(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, n.take()); diff != "" {
		t.Errorf("noted (-want +got):\n%s", diff)
	}
}

func TestObserve(t *testing.T) {
	t.Parallel()
	f, n := observed(t)
	f.put("there", "12345")
	c := f.dial()
	n.want(t, "connection explicit 127.0.0.1 accepted")
	c.startTLS()
	c.cmd(331, "USER ann")
	c.cmd(530, "PASS wrong")
	c.cmd(331, "USER ann")
	c.cmd(230, "PASS secret")
	c.cmd(200, "PBSZ 0")
	c.cmd(200, "PROT P")
	n.want(t, "AUTH 234 ", "handshake data=false TLS 1.3 resumed=false ok=true", "USER 331 ", "login password denied", "PASS 530 client",
		"USER 331 ", "login password ok", "PASS 230 ", "PBSZ 200 ", "PROT 200 ")
	c.tls = c.config()

	if code, text := c.upload("STOR new", "content"); code != 226 {
		t.Fatal(code, text)
	}
	n.want(t, "EPSV 229 ", `begin upload "disk" ann`, "data passive ok", "handshake data=true TLS 1.3 resumed=false ok=true",
		"end ok 7 of 7 committed=true", "STOR 226 ")
	if got := c.download("RETR there"); got != "12345" {
		t.Fatal(got)
	}
	c.download("NLST")
	all := n.take()
	for _, want := range []string{
		`begin download "disk" ann`, "end ok 5 of 5 committed=false", "RETR 226 ", `begin list "disk" ann`, "end ok 12 of 12 committed=false", "NLST 226 ",
	} {
		if !slices.Contains(all, want) {
			t.Errorf("%q is not in %q", want, all)
		}
	}
	c.passive()
	c.cmd(550, "RETR missing")
	c.cmd(500, "EVIL")
	c.cmd(550, "CWD missing")
	n.want(t, "EPSV 229 ", `begin download "disk" ann`, "end refused 0 of 0 committed=false", "RETR 550 client", "OTHER 500 client", "CWD 550 client")
	c.cmd(221, "QUIT")
	f.waitForSessions()
	n.want(t, "QUIT 221 ", "ended explicit")
}

// Bytes are told while they move, and an upload that breaks off is the network's fault.
func TestObserveBroken(t *testing.T) {
	t.Parallel()
	f, n := observed(t)
	c := f.login()
	conn := c.open("STOR file")
	if _, err := io.WriteString(conn, strings.Repeat("x", 1<<20)); err != nil {
		t.Fatal(err)
	}
	for n.moving() < 1<<20 {
		if t.Context().Err() != nil {
			t.Fatal("nothing is told while it moves")
		}
	}
	if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	c.want(426)
	all := n.take()
	if want := "STOR 426 network"; all[len(all)-1] != want {
		t.Errorf("%q, want %q", all, want)
	}
	if want := "end broken 1048576 of 1048576 committed=false"; !slices.Contains(all, want) {
		t.Errorf("%q, want %q", all, want)
	}
}

// What a store fails with is told apart from what a client asks for in vain.
func TestObserveFaults(t *testing.T) {
	t.Parallel()
	var store *backendtest.FaultyAdapter
	f, n := observed(t, func(o *gateway.Options) {
		store = backendtest.Faulty(o.Backends["disk"])
		o.Backends["disk"] = store
	})
	c := f.login()
	for kind, want := range map[backends.Kind][2]string{
		backends.Unavailable:   {"SIZE 450 server", "end store 0 of 0 committed=false"},
		backends.Misconfigured: {"SIZE 451 server", "end store 0 of 0 committed=false"},
		backends.Internal:      {"SIZE 451 server", "end store 0 of 0 committed=false"},
		backends.NoSpace:       {"SIZE 452 server", "end store 0 of 0 committed=false"},
		backends.NotExist:      {"SIZE 550 client", "end refused 0 of 0 committed=false"},
		backends.Busy:          {"SIZE 450 client", "end refused 0 of 0 committed=false"},
		backends.TooLarge:      {"SIZE 552 client", "end quota 0 of 0 committed=false"},
	} {
		n.take()
		store.FailNext("stat", &backends.Error{Kind: kind, Err: errors.New("test")})
		c.send("SIZE file")
		c.reply()
		n.want(t, want[0])
		c.passive()
		store.FailNext("open", &backends.Error{Kind: kind, Err: errors.New("test")})
		c.send("RETR file")
		c.reply()
		if all := n.take(); !slices.Contains(all, want[1]) {
			t.Errorf("%v: %q, want %q", kind, all, want[1])
		}
	}
	// What the store denies to us is not what we deny to a client.
	for name, test := range map[string]struct {
		err  *backends.Error
		want string
	}{
		"by the store":           {&backends.Error{Kind: backends.Permission, RequestID: "REQ"}, "SIZE 550 server"},
		"by the system":          {&backends.Error{Kind: backends.Permission, Err: syscall.EACCES}, "SIZE 550 server"},
		"by an adapter":          {&backends.Error{Kind: backends.Permission, Err: errors.New("a name of ours")}, "SIZE 550 client"},
		"taken over by himself ": {&backends.Error{Kind: backends.Fenced}, "SIZE 451 client"},
	} {
		n.take()
		store.FailNext("stat", test.err)
		c.send("SIZE file")
		c.reply()
		if all := n.take(); !slices.Contains(all, test.want) {
			t.Errorf("%s: %q, want %q", name, all, test.want)
		}
	}
	n.take()
	c.send("STOR nowhere")
	c.reply()
	if all := n.take(); !slices.Contains(all, "STOR 425 client") {
		t.Errorf("without PASV: %q", all)
	}
}

func TestStats(t *testing.T) {
	t.Parallel()
	f := start(t)
	equal(t, "nobody", f.server.Stats(), gateway.Stats{})
	f.login()
	f.dial()
	equal(t, "two", f.server.Stats(), gateway.Stats{Sessions: 1, Strangers: 1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = f.server.Shutdown(ctx) // which cuts them off
	equal(t, "after the end", f.server.Stats(), gateway.Stats{Draining: true})
}

// Codes has every code that stands in the source.
func TestCodes(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	written := regexp.MustCompile(`Code(?: =|:) *(\d{3})\b|\{([45]\d\d), ([45]\d\d), `)
	found := map[int]bool{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range written.FindAllStringSubmatch(string(text), -1) {
			for _, s := range m[1:] {
				if code, err := strconv.Atoi(s); err == nil {
					found[code] = true
				}
			}
		}
	}
	for code := range found {
		if !slices.Contains(gateway.Codes(), code) {
			t.Errorf("%d is not one of Codes", code)
		}
	}
	if len(found) < 30 || !slices.IsSorted(gateway.Codes()) {
		t.Errorf("%d codes were found: %v", len(found), found)
	}
}
