package metrics

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func v4(i uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 10<<24+i)
	return netip.AddrFrom4(b)
}

func newTestAddresses() *addresses { return newAddresses(maker{prometheus.NewRegistry()}) }

// The estimate is within three percent, whoever comes how often, and the windows forget.
func TestAddresses(t *testing.T) {
	a := newTestAddresses()
	hour, day := a.windows[0], a.windows[1]
	near := func(what string, got uint64, want float64) {
		t.Helper()
		if float64(got) < .97*want || float64(got) > 1.03*want {
			t.Errorf("%s: %d, want %v within 3 %%", what, got, want)
		}
	}
	now := time.Unix(1_800_000_000, 0)
	for i := range uint32(10_000) {
		for range 3 {
			a.add(v4(i), now)
		}
	}
	near("an hour", hour.estimate(now), 10_000)
	near("a day", day.estimate(now), 10_000)
	now = now.Add(30 * time.Minute)
	for i := range uint32(5_000) {
		a.add(v4(1<<20+i), now)
	}
	near("both", hour.estimate(now), 15_000)
	now = now.Add(45 * time.Minute)
	near("without the first", hour.estimate(now), 5_000)
	near("all in a day", day.estimate(now), 15_000)
	if n := hour.estimate(now.Add(2 * time.Hour)); n != 0 {
		t.Errorf("%d after two hours", n)
	}
	if n := day.estimate(now.Add(48 * time.Hour)); n != 0 {
		t.Errorf("%d after two days", n)
	}
	// A clock that jumps back loses nothing.
	late := now.Add(48 * time.Hour)
	a.add(v4(1), late)
	a.add(v4(2), late.Add(-10*time.Hour))
	if n := hour.estimate(late.Add(-10 * time.Hour)); n != 2 {
		t.Errorf("%d after the clock jumped back", n)
	}
}

// A customer has a network of IPv6, and IPv4 written as IPv6 is IPv4.
func TestAddressesIPv6(t *testing.T) {
	a := newTestAddresses()
	now := time.Unix(1_800_000_000, 0)
	for _, s := range []string{"2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "192.0.2.1"} {
		a.add(netip.MustParseAddr(s), now)
	}
	a.add(netip.Addr{}, now)
	if n := a.windows[0].estimate(now); n != 3 {
		t.Errorf("%d addresses, want 3", n)
	}
}

// A million addresses take no more memory than a thousand do.
func BenchmarkAddresses(b *testing.B) {
	a := newTestAddresses()
	now := time.Unix(1_800_000_000, 0)
	for i := 0; b.Loop(); i++ {
		a.add(v4(uint32(i)), now)
	}
}
