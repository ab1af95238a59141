package limits

import (
	"errors"
	"net/netip"
	"sync"
)

// What Connections.Acquire fails with.
var (
	ErrTotal   = errors.New("limits: too many connections")
	ErrAddress = errors.New("limits: too many connections from one address")
)

// Connections bounds how many connections there are at once.
type Connections struct {
	mu             sync.Mutex
	total, perAddr int
	open           int
	from           map[netip.Prefix]int
}

// NewConnections allows total connections, and perAddr from one IPv4 address or one IPv6 network of
// 64 bits. Connections with no valid address count as from one.
func NewConnections(total, perAddr int) *Connections {
	return &Connections{total: total, perAddr: perAddr, from: map[netip.Prefix]int{}}
}

// Set changes what is allowed. Connections that there are stay, also when they are too many now.
func (c *Connections) Set(total, perAddr int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total, c.perAddr = total, perAddr
}

// Acquire counts a connection from addr until release is called; calling it again does nothing.
// It fails with ErrTotal or ErrAddress, and release is nil then.
func (c *Connections) Acquire(addr netip.Addr) (release func(), err error) {
	network := networkOf(addr)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.total > 0 && c.open >= c.total {
		return nil, ErrTotal
	}
	if c.perAddr > 0 && c.from[network] >= c.perAddr {
		return nil, ErrAddress
	}
	c.open++
	c.from[network]++
	return sync.OnceFunc(func() { c.release(network) }), nil
}

func (c *Connections) release(network netip.Prefix) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	if c.from[network]--; c.from[network] == 0 {
		delete(c.from, network)
	}
}
