package limits_test

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sluice-ftp/sluice/limits"
)

// acquire returns the releases of n connections from a.
func acquire(t *testing.T, c *limits.Connections, a netip.Addr, n int) (releases []func()) {
	t.Helper()
	for range n {
		release, err := c.Acquire(a)
		if err != nil {
			t.Fatal(a, err)
		}
		releases = append(releases, release)
	}
	return releases
}

func refused(t *testing.T, c *limits.Connections, a string, want error) {
	t.Helper()
	if release, err := c.Acquire(addr(a)); !errors.Is(err, want) || release != nil {
		t.Errorf("%s: %v, want %v", a, err, want)
	}
}

func TestConnectionsOfAddress(t *testing.T) {
	c := limits.NewConnections(0, 2)
	releases := acquire(t, c, addr("192.0.2.1"), 2)
	refused(t, c, "192.0.2.1", limits.ErrAddress)
	refused(t, c, "::ffff:192.0.2.1", limits.ErrAddress)
	acquire(t, c, addr("192.0.2.2"), 1)
	acquire(t, c, addr("2001:db8::1"), 2)
	refused(t, c, "2001:db8::2", limits.ErrAddress)
	acquire(t, c, addr("2001:db8:0:1::1"), 1)
	acquire(t, c, netip.Addr{}, 2)

	releases[0]()
	releases[0]() // a second time it frees nothing
	acquire(t, c, addr("192.0.2.1"), 1)
	refused(t, c, "192.0.2.1", limits.ErrAddress)
}

func TestConnectionsTotal(t *testing.T) {
	c := limits.NewConnections(3, 3)
	releases := acquire(t, c, addr("192.0.2.1"), 2)
	acquire(t, c, addr("192.0.2.2"), 1)
	refused(t, c, "192.0.2.3", limits.ErrTotal)
	refused(t, c, "192.0.2.1", limits.ErrTotal)
	releases[1]()
	releases[1]()
	acquire(t, c, addr("192.0.2.3"), 1)
	refused(t, c, "192.0.2.4", limits.ErrTotal)
}

func TestConnectionsUnlimited(t *testing.T) {
	for _, n := range []int{0, -1} {
		c := limits.NewConnections(n, n)
		for _, release := range acquire(t, c, addr("192.0.2.1"), 10_000) {
			release()
		}
	}
}

// Whatever opens and closes, the bounds hold, nothing within them is refused and nothing is left.
func TestConnectionsRandomly(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	const total, perAddr = 20, 5
	c := limits.NewConnections(total, perAddr)
	type connection struct {
		from    int
		release func()
	}
	var open []connection
	from := map[int]int{}
	for step := range 10_000 {
		if n := random.IntN(10); len(open) > 0 && random.IntN(2) == 0 {
			i := random.IntN(len(open))
			open[i].release()
			from[open[i].from]--
			open = append(open[:i], open[i+1:]...)
		} else {
			var want error
			switch {
			case len(open) == total:
				want = limits.ErrTotal
			case from[n] == perAddr:
				want = limits.ErrAddress
			}
			release, err := c.Acquire(numbered(n))
			if !errors.Is(err, want) {
				t.Fatalf("seed %d, step %d: %v, want %v", seed, step, err, want)
			}
			if err == nil {
				open = append(open, connection{n, release})
				from[n]++
			}
		}
	}
	for _, o := range open {
		o.release()
	}
	if n := limits.OpenFrom(c); n != 0 {
		t.Errorf("seed %d: %d networks are left", seed, n)
	}
}

func TestConnectionsAtOnce(t *testing.T) {
	c := limits.NewConnections(10, 0)
	var open, granted atomic.Int64
	var g sync.WaitGroup
	for range 20 {
		g.Go(func() {
			for range 500 {
				release, err := c.Acquire(addr("192.0.2.1"))
				if err != nil {
					continue
				}
				if n := open.Add(1); n > 10 {
					t.Errorf("%d connections at once", n)
				}
				granted.Add(1)
				open.Add(-1)
				release()
			}
		})
	}
	g.Wait()
	if granted.Load() == 0 {
		t.Error("no connection was allowed")
	}
	acquire(t, c, addr("192.0.2.1"), 10)
}
