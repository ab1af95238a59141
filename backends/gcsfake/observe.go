package gcsfake

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
)

// Keys returns all names of objects in byte order.
func (s *Server) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys.All()
}

// Folders returns the names of all folders in byte order, each with its slash; a bucket without a
// hierarchical namespace has none.
func (s *Server) Folders() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.folderKeys.All()
}

// Object returns what is stored under a name.
func (s *Server) Object(key string) (Object, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[key]
	if o == nil {
		return Object{}, false
	}
	header := o.describe()
	return Object{
		Data:           bytes.Clone(o.data),
		Size:           o.size,
		Generation:     o.generation,
		Metageneration: o.metageneration,
		ETag:           o.etag(),
		CRC32C:         o.crc,
		MD5:            bytes.Clone(o.md5),
		Components:     o.components,
		Metadata:       maps.Clone(o.meta),
		Header:         header,
		KMSKey:         o.kms,
		Created:        o.created,
		LastModified:   o.updated,
	}, true
}

// Put stores an object directly: no request, no fault, no condition.
func (s *Server) Put(key string, data []byte, metadata map[string]string) {
	o := &object{content: contentOf(bytes.Clone(data), s.o.Discard), attrs: attrs{
		meta: maps.Clone(metadata), texts: map[string]string{"contentType": defaultType}, class: storageClasses[0],
	}}
	if o.meta == nil {
		o.meta = map[string]string{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o.key, o.generation, o.metageneration = key, s.newGeneration(), 1
	o.created = s.now()
	o.updated = o.created
	s.keep(o)
}

// Remove deletes an object directly. The folders it is in stay.
func (s *Server) Remove(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(key)
}

// Sessions returns the open resumable uploads, by name and then by age.
func (s *Server) Sessions() []Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Session
	for _, u := range s.sessions {
		if u.made == nil && u.ended == nil && s.now().Sub(u.begun) <= sessionAge {
			all = append(all, Session{u.key, u.id, u.size, u.begun, maps.Clone(u.meta)})
		}
	}
	slices.SortFunc(all, func(a, b Session) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return all
}
