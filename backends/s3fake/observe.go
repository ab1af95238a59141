package s3fake

import (
	"bytes"
	"maps"
	"net/http"
)

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
	return s.keys.All()
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
