package limits_test

import (
	"net/netip"
	"testing"

	"go.uber.org/goleak"

	"github.com/sluice-ftp/sluice/limits"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// numbered returns IPv6 addresses of different networks.
func numbered(n int) netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0x20, 1: 1, 4: byte(n >> 24), 5: byte(n >> 16), 6: byte(n >> 8), 7: byte(n), 15: 1})
}

func TestNetworkOf(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1":               "192.0.2.1/32",
		"::ffff:192.0.2.1":        "192.0.2.1/32",
		"::ffff:192.0.2.1%eth0":   "192.0.2.1/32",
		"2001:db8:1:2:3:4:5:6":    "2001:db8:1:2::/64",
		"2001:db8:1:3::":          "2001:db8:1:3::/64",
		"fe80::1%eth0":            "fe80::/64",
		"::1":                     "::/64",
		"2001:db8:1:2:ffff::1%lo": "2001:db8:1:2::/64",
	} {
		if got := limits.NetworkOf(addr(in)); got.String() != want {
			t.Errorf("%s counts as %v, want %s", in, got, want)
		}
	}
	if got := limits.NetworkOf(netip.Addr{}); got.IsValid() {
		t.Errorf("no address counts as %v", got)
	}
}
