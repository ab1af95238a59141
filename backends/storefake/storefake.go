// Package storefake is what the fakes of object stores have in common, whatever they speak: they
// listen, number and remember requests, do what a test wants to go wrong, hold bodies to a rate,
// keep keys in order and cut listings into pages. What a store says and means is up to the fake.
package storefake

import (
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Request is one request as a fault sees it.
type Request struct {
	Index  int    // 1, 2, ... in order of arrival since New or Reset
	Op     string // the name of the operation in the API of the store
	Key    string
	Header http.Header
	Query  url.Values
}

// Front is the side of a fake that faces its clients and the test. R is what the fake tells of a
// request, F is its kind of fault. A fake embeds it: its methods are for tests, what the fake itself
// does with it are the functions of this package.
type Front[R, F any] struct {
	host
	base func(*R) *Request
	wire func(F) Fault

	arrival sync.Mutex // held while a request gets its number and its fault: one after another

	logMu   sync.Mutex // beside all others, so that a fault function may look at everything
	onEach  func(R) F
	log     []R
	arrived int
	counts  map[string]int
}

// NewFront returns a Front. base finds in an R what all requests have, wire in an F what all faults
// do. Before each reply latency passes; the bytes of each body move at rate per second, 0 is
// unlimited.
func NewFront[R, F any](base func(*R) *Request, wire func(F) Fault, latency time.Duration, rate int64) *Front[R, F] {
	return &Front[R, F]{
		host:   host{latency: latency, rate: rate, done: make(chan struct{})},
		base:   base,
		wire:   wire,
		counts: map[string]int{},
	}
}

// host is the part of a Front that knows nothing of requests and faults.
type host struct {
	latency        time.Duration
	rate           int64
	received, sent atomic.Int64

	url     string
	http    http.Server
	done    chan struct{} // closed by Close
	lifeMu  sync.Mutex    // closed and the counter of running, so that nothing starts after Close
	closed  bool
	running sync.WaitGroup
}
