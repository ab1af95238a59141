package gcsfake

import (
	"cmp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/backends/storefake"
)

// Limits of Google that no option changes.
const (
	maxName    = 1024    // bytes of an object's name
	maxObject  = 5 << 40 // bytes of an object
	maxMeta    = 8 << 10 // bytes of all names and values of custom metadata
	maxEntries = 1000    // of a listing page
	maxSources = 32      // of a composition
	granule    = 256 << 10
	sessionAge = 7 * 24 * time.Hour
)

// Server is the fake: an http.Handler which, when started, listens on 127.0.0.1. Its Front has what
// is the same for every fake: URL and Close, OnRequest, Requests, Count, Received, Sent and Reset.
type Server struct {
	*storefake.Front[Request, Fault]
	o       Options
	answers atomic.Int64 // each has an ID

	mu         sync.Mutex // everything below; never held while a body is read
	objects    map[string]*object
	keys       storefake.Keys
	folders    map[string]*folder
	folderKeys storefake.Keys
	sessions   map[string]*session // by ID, those that have ended as well
	rewrites   map[string]rewrite  // by token
	operations map[string]*operation
	written    map[string]time.Time // when a name was written to last, with Quirks.RateLimit
	made       int                  // IDs so far
	generation int64                // the last that was given away
}

// New returns a Server that does not listen: a handler for tests without a network.
func New(o Options) *Server {
	o.Bucket = cmp.Or(o.Bucket, "bucket")
	o.Token = cmp.Or(o.Token, "testtoken")
	o.Quirks.RewriteStep = cmp.Or(o.Quirks.RewriteStep, 1<<40)
	if o.PageSize <= 0 || o.PageSize > maxEntries {
		o.PageSize = maxEntries
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	all := func(r *Request) *storefake.Request { return r }
	return &Server{
		Front:      storefake.NewFront(all, Fault.wire, o.Latency, o.Rate),
		o:          o,
		objects:    map[string]*object{},
		folders:    map[string]*folder{},
		sessions:   map[string]*session{},
		rewrites:   map[string]rewrite{},
		operations: map[string]*operation{},
		written:    map[string]time.Time{},
	}
}

// Start returns a Server that listens on a port of 127.0.0.1 until the test ends.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := New(o)
	storefake.Listen(t, s.Front, s)
	return s
}

// now is the clock with the resolution of Google.
func (s *Server) now() time.Time { return s.o.Now().UTC().Truncate(time.Millisecond) }

// newID returns an ID that nobody has. The caller holds the lock.
func (s *Server) newID() string {
	s.made++
	return storefake.ID(s.made)
}

// newGeneration returns a generation that is higher than all before: the clock in microseconds, as
// at Google. The caller holds the lock.
func (s *Server) newGeneration() int64 {
	s.generation = max(s.generation+1, s.o.Now().UnixMicro())
	return s.generation
}
