package auth

import (
	"fmt"
	"net/netip"
)

// networks are from where a user may come: from one that is allowed, if any are, and none that is denied.
type networks struct {
	allow, deny []netip.Prefix
}

// allows says why not, or "".
func (n *networks) allows(a netip.Addr) string {
	a = a.Unmap()
	switch {
	case contains(n.deny, a):
		return "the address is in deny_from"
	case len(n.allow) > 0 && !contains(n.allow, a):
		return "the address is not in allow_from"
	}
	return ""
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Network is a CIDR, or one address, as it is written in a file.
type Network netip.Prefix

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *Network) UnmarshalText(text []byte) error {
	p, err := netip.ParsePrefix(string(text))
	if err != nil {
		a, addrErr := netip.ParseAddr(string(text))
		if addrErr != nil || a.Zone() != "" {
			return fmt.Errorf("%q is not a network; write it like 192.0.2.0/24, 2001:db8::/32 or 192.0.2.7", text)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if a := p.Addr(); a.Is4In6() {
		if p.Bits() < 96 {
			return fmt.Errorf("%q mixes IPv4 and IPv6; write it as the one or the other", text)
		}
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	if p != p.Masked() {
		return fmt.Errorf("%q has bits behind the network; write %s", text, p.Masked())
	}
	*n = Network(p)
	return nil
}

// Prefixes are the networks as the standard library has them.
func Prefixes(networks []Network) []netip.Prefix {
	all := make([]netip.Prefix, 0, len(networks))
	for _, n := range networks {
		all = append(all, netip.Prefix(n))
	}
	return all
}
