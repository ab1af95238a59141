// Package limits bounds what addresses and users may take: guesses at passwords, connections,
// sessions, bytes per second, and bytes and files that are stored.
//
// It counts in memory, so a restart forgets everything, and knows neither FTP nor storage. A limit of
// zero or less is no limit. Every type is safe for concurrent use. A user is a name as the caller
// writes it: one that can be written in two ways counts as two.
package limits

import "net/netip"

// networkOf is what an address is counted as. An IPv4 address is itself, also when it is written as
// IPv6 (::ffff:192.0.2.1). An IPv6 address is its /64: that is the least a customer gets, and he
// chooses freely from it. No address is the zero Prefix.
func networkOf(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap()
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	p, _ := addr.Prefix(bits) // bits are in range
	return p
}
