package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"time"

	proxyproto "github.com/pires/go-proxyproto"
)

// ProxyOptions say whose word is taken for where connections come from: the PROXY protocol's, versions 1 and 2
// (haproxy.org/download/2.9/doc/proxy-protocol.txt).
type ProxyOptions struct {
	// Control and Data say on which connections those in Trusted begin with a header. From there one
	// without is refused; from elsewhere connections are what they are.
	Control, Data bool
	// Trusted are the networks of the load balancers.
	Trusted []netip.Prefix
}

// proxyTimeout is how long a header may take.
const proxyTimeout = 3 * time.Second

// ends are the two ends of a client's connection, as it sees them.
type ends struct {
	remote, local netip.AddrPort
	// relayed: another replica has led it here.
	relayed bool
}

// relayMark is what a replica puts into the header of what it leads to another one.
var relayMark = proxyproto.TLV{Type: proxyproto.PP2_TYPE_MIN_CUSTOM, Value: []byte("sluice relay")}

// trusts reports whether an address is that of a load balancer.
func (o ProxyOptions) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(o.Trusted, func(n netip.Prefix) bool { return n.Contains(a) })
}

// endsOf finds out where a connection comes from, and reads the header of one that is trusted to have it.
// It reads nothing beyond.
func endsOf(conn net.Conn, trusted func(netip.Addr) bool) (ends, error) {
	e := ends{remote: addrPort(conn.RemoteAddr()), local: addrPort(conn.LocalAddr())}
	if !trusted(e.remote.Addr()) {
		return e, nil
	}
	if err := conn.SetReadDeadline(time.Now().Add(proxyTimeout)); err != nil {
		return e, err
	}
	h, err := readHeader(conn)
	if err != nil {
		return e, fmt.Errorf("gateway: PROXY header: %w", err)
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return e, err
	}
	if src, dst, ok := h.TCPAddrs(); ok && h.Command == proxyproto.PROXY {
		tlvs, err := h.TLVs()
		if err != nil {
			return e, fmt.Errorf("gateway: PROXY header: %w", err)
		}
		relayed := slices.ContainsFunc(tlvs, func(v proxyproto.TLV) bool {
			return v.Type == relayMark.Type && bytes.Equal(v.Value, relayMark.Value)
		})
		return ends{addrPort(src), addrPort(dst), relayed}, nil
	}
	return e, nil // LOCAL and UNKNOWN: the balancer asks for itself
}

// maxV1 is the longest header of version 1, maxV2 the most that may follow the 16 bytes of one of version 2.
const (
	maxV1 = 107
	maxV2 = 4096
)

var errHeader = errors.New("none, or a broken one")

// readHeader reads a header and not a byte more: what follows it is for TLS, or for a transfer.
func readHeader(r io.Reader) (*proxyproto.Header, error) {
	head := make([]byte, len(proxyproto.SIGV2), maxV1)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	switch {
	case bytes.Equal(head, proxyproto.SIGV2):
		head = head[:16]
		if _, err := io.ReadFull(r, head[len(proxyproto.SIGV2):]); err != nil {
			return nil, err
		}
		n := int(head[14])<<8 | int(head[15])
		if n > maxV2 {
			return nil, errHeader
		}
		rest := make([]byte, n)
		if _, err := io.ReadFull(r, rest); err != nil {
			return nil, err
		}
		head = append(head, rest...)
	case bytes.HasPrefix(head, proxyproto.SIGV1):
		for head[len(head)-1] != '\n' {
			if len(head) == maxV1 {
				return nil, errHeader
			}
			n, err := r.Read(head[len(head) : len(head)+1])
			if err != nil {
				return nil, err
			}
			head = head[:len(head)+n]
		}
	default:
		return nil, errHeader
	}
	return proxyproto.Read(bufio.NewReader(bytes.NewReader(head)))
}

// addrPort is an address without a zone, and never IPv4 written as IPv6.
func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(hostOf(a), uint16(tcp.Port)) //nolint:gosec // a port
}
