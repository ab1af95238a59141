package s3fake

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Limits of S3 that no option changes.
const (
	maxKey     = 1024    // bytes of a key
	maxObject  = 5 << 30 // bytes of one Put, one part, one copy
	maxEntries = 1000    // of a listing page and of DeleteObjects
	maxSkew    = 15 * time.Minute
)

// Server is the fake: an http.Handler which, when started, listens on 127.0.0.1.
type Server struct {
	o   Options
	url string

	arrival sync.Mutex // held while a request gets its number and its fault: one after another

	mu        sync.Mutex // everything below; taken only after a request's body was read
	objects   map[string]*object
	keys      sortedKeys
	uploads   map[string]*upload // by ID
	made      int                // uploads and KMS objects so far
	lifecycle int                // days; 0 is none

	logMu   sync.Mutex // beside mu, so that a fault function may look at everything
	onEach  func(Request) Fault
	log     []Request
	arrived int
	counts  map[string]int

	received, sent atomic.Int64

	http    http.Server
	done    chan struct{} // closed by Close
	lifeMu  sync.Mutex    // closed and the counter of running, so that nothing starts after Close
	closed  bool
	running sync.WaitGroup
}

// New returns a Server that does not listen: a handler for tests without a network.
func New(o Options) *Server {
	o.Bucket = cmp.Or(o.Bucket, "bucket")
	o.Region = cmp.Or(o.Region, "us-east-1")
	o.AccessKey = cmp.Or(o.AccessKey, "testkey")
	o.SecretKey = cmp.Or(o.SecretKey, "testsecret")
	o.Quirks.MinPartSize = cmp.Or(o.Quirks.MinPartSize, 5<<20)
	o.Quirks.MaxParts = cmp.Or(o.Quirks.MaxParts, 10000)
	if o.PageSize <= 0 || o.PageSize > maxEntries {
		o.PageSize = maxEntries
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Server{
		o:       o,
		objects: map[string]*object{},
		uploads: map[string]*upload{},
		counts:  map[string]int{},
		done:    make(chan struct{}),
	}
}

// Start returns a Server that listens on a port of 127.0.0.1 until the test ends.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := New(o)
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // nothing to gain on a loopback, and benchmarks should not measure it
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("s3fake: %v", err)
	}
	s.url = "http://" + l.Addr().String()
	s.http.Handler = s
	s.running.Go(func() { _ = s.http.Serve(l) }) // always ErrServerClosed
	t.Cleanup(s.Close)
	return s
}

// URL is where the server listens, as http://127.0.0.1:port; "" if it does not.
func (s *Server) URL() string { return s.url }

// Close ends the listener, every open connection and every stalled request, and waits for them.
func (s *Server) Close() {
	s.lifeMu.Lock()
	first := !s.closed
	s.closed = true
	s.lifeMu.Unlock()
	if first {
		_ = s.http.Close() // first, so that who is woken has nobody to answer
		close(s.done)
	}
	s.running.Wait()
}

// enter counts a request as running, unless the server is closed.
func (s *Server) enter() bool {
	s.lifeMu.Lock()
	defer s.lifeMu.Unlock()
	if !s.closed {
		s.running.Add(1)
	}
	return !s.closed
}

// now is the clock with the resolution of S3.
func (s *Server) now() time.Time { return s.o.Now().UTC().Truncate(time.Second) }
