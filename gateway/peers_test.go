package gateway

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// names is a resolver.
type names struct {
	mu    sync.Mutex
	hosts map[string]string // a name without an address is not there
	fail  error
}

func (n *names) set(host, address string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[host] = address
}

func (n *names) failWith(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fail = err
}

func (n *names) lookup(_ context.Context, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch address := n.hosts[host]; {
	case n.fail != nil:
		return nil, n.fail
	case address == "":
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	default:
		return []netip.Addr{netip.MustParseAddr(address)}, nil
	}
}

// A replica is trusted where its name leads now, and one that cannot be asked about for a while where it was.
func TestPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		n := &names{hosts: map[string]string{"r0": "10.0.0.10", "r1": "::ffff:10.0.0.11", "r2": "fe80::1%eth0"}}
		var log bytes.Buffer
		p := &peers{
			name: func(i int) string { return "r" + string(rune('0'+i)) }, n: 3, own: 0, lookup: n.lookup,
			log: slog.New(slog.NewTextHandler(&log, nil)), found: make(chan struct{}), known: make([]peer, 3),
		}
		ended := make(chan struct{})
		go func() { p.keep(ctx); close(ended) }()
		want := func(when string, trusted ...string) {
			t.Helper()
			for _, a := range []string{"10.0.0.10", "10.0.0.11", "10.0.0.12", "fe80::1", "10.0.0.99"} {
				wanted := strings.Contains(" "+strings.Join(trusted, " ")+" ", " "+a+" ")
				if got := p.has(netip.MustParseAddr(a)); got != wanted {
					t.Errorf("%s: %s trusted %t, want %t", when, a, got, wanted)
				}
			}
		}
		later := func(d time.Duration) { <-time.After(d); synctest.Wait() }

		want("at the start", "10.0.0.11", "fe80::1") // not its own
		n.set("r1", "10.0.0.12")
		n.set("r2", "")
		later(peerRefresh)
		want("one has moved and one has gone", "10.0.0.12")
		n.failWith(errors.New("the resolver is down"))
		later(peerMemory / 2)
		want("nobody answers", "10.0.0.12")
		if at := p.address(1); at != "10.0.0.12" {
			t.Errorf("the replica is looked for at %q", at)
		}
		later(peerMemory)
		want("nobody answers for long")
		n.failWith(nil)
		later(peerRefresh)
		want("it answers again", "10.0.0.12")
		if lines := strings.Count(log.String(), "level=WARN"); lines != 2 {
			t.Errorf("%d warnings of two replicas that could not be looked up:\n%s", lines, log.String())
		}
		cancel()
		<-ended
	})
}

func TestNoPeers(t *testing.T) {
	var p *peers
	if p = newPeers(t.Context(), PassiveOptions{FirstPort: 1, LastPort: 2}, nil); p.has(netip.MustParseAddr("10.0.0.1")) {
		t.Error("a gateway alone trusts somebody")
	}
}
