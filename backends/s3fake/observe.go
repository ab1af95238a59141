package s3fake

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
)

// maxLog bounds what Requests remembers, so that a long benchmark does not measure its own log.
const maxLog = 10000

// OnRequest sets what goes wrong: f is called for every request, one after another in order of
// arrival. It may look at the server and replace itself, but not wait for another request: that is
// what Fault.Stall is for. nil is nothing.
func (s *Server) OnRequest(f func(Request) Fault) {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	s.onEach = f
}

// note numbers a request, remembers it and asks for its fault.
func (s *Server) note(r *Request) Fault {
	s.arrival.Lock()
	defer s.arrival.Unlock()
	f := s.record(r)
	if f == nil {
		return Fault{}
	}
	return f(*r)
}

func (s *Server) record(r *Request) func(Request) Fault {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	s.arrived++
	r.Index = s.arrived
	s.counts[r.Op]++
	if len(s.log) >= 2*maxLog {
		s.log = slices.Clone(s.log[maxLog:])
	}
	s.log = append(s.log, *r)
	return s.onEach
}

// Requests returns the requests since New or Reset in order of arrival, the last 10,000 of them.
func (s *Server) Requests() []Request {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	all := slices.Clone(s.log[max(0, len(s.log)-maxLog):])
	for i := range all {
		all[i].Header = all[i].Header.Clone()
		all[i].Query = maps.Clone(all[i].Query)
	}
	return all
}

// Count returns how many requests of an operation came since New or Reset; "" is all.
func (s *Server) Count(op string) int {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	if op == "" {
		return s.arrived
	}
	return s.counts[op]
}

// Reset sets counters and index back to 0; objects, uploads and OnRequest stay.
func (s *Server) Reset() {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	s.log, s.arrived, s.counts = nil, 0, map[string]int{}
	s.received.Store(0)
	s.sent.Store(0)
}

// Received returns the bytes of objects and parts taken since New or Reset. What was refused is not
// counted, nor what was copied.
func (s *Server) Received() int64 { return s.received.Load() }

// Sent returns the bytes of objects sent since New or Reset.
func (s *Server) Sent() int64 { return s.sent.Load() }

// Uploads returns the open multipart uploads, by key and then by age.
func (s *Server) Uploads() []Upload {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Upload
	for _, u := range s.openUploads() {
		all = append(all, Upload{u.key, u.id, len(u.parts), u.initiated, maps.Clone(u.meta)})
	}
	return all
}

// Keys returns all keys in byte order.
func (s *Server) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys.all()
}

// Object returns what is stored at key.
func (s *Server) Object(key string) (Object, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[key]
	if o == nil {
		return Object{}, false
	}
	return Object{
		Data:         bytes.Clone(o.data),
		Size:         o.size,
		ETag:         o.etag,
		CRC32:        o.crc,
		Metadata:     maps.Clone(o.meta),
		Header:       o.header.Clone(),
		LastModified: o.modified,
	}, true
}

// Put stores an object directly: no request, no fault, no condition.
func (s *Server) Put(key string, data []byte, metadata map[string]string) {
	c := contentOf(bytes.Clone(data), s.o.Discard)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.publish(&object{
		content:  c,
		attrs:    attrs{meta: maps.Clone(metadata), header: http.Header{"Content-Type": {defaultType}}},
		key:      key,
		etag:     c.etag(),
		modified: s.now(),
	})
}

// Remove deletes an object directly.
func (s *Server) Remove(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(key)
}

// SetLifecycle gives the bucket a rule that aborts uploads after so many days; 0 takes it away.
func (s *Server) SetLifecycle(days int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lifecycle = days
}
