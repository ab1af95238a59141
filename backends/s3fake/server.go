package s3fake

import (
	"cmp"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/backends/storefake"
)

// Limits of S3 that no option changes.
const (
	maxKey     = 1024    // bytes of a key
	maxObject  = 5 << 30 // bytes of one Put, one part, one copy
	maxEntries = 1000    // of a listing page and of DeleteObjects
	maxSkew    = 15 * time.Minute
)

// Server is the fake: an http.Handler which, when started, listens on 127.0.0.1. Its Front has what is
// the same for every fake: URL and Close, OnRequest, Requests, Count, Received, Sent and Reset.
type Server struct {
	*storefake.Front[Request, Fault]
	o Options

	mu        sync.Mutex // everything below; taken only after a request's body was read
	objects   map[string]*object
	keys      storefake.Keys
	uploads   map[string]*upload // by ID
	made      int                // uploads and KMS objects so far
	lifecycle int                // days; 0 is none
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
		Front:   storefake.NewFront((*Request).common, Fault.wire, o.Latency, o.Rate),
		o:       o,
		objects: map[string]*object{},
		uploads: map[string]*upload{},
	}
}

// Start returns a Server that listens on a port of 127.0.0.1 until the test ends.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := New(o)
	storefake.Listen(t, s.Front, s)
	return s
}

// now is the clock with the resolution of S3.
func (s *Server) now() time.Time { return s.o.Now().UTC().Truncate(time.Second) }
