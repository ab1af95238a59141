package gcsfake

import (
	"strings"
	"time"
)

// object is what a name holds. It never changes: whoever has one may read it without the lock.
type object struct {
	content
	attrs
	key            string
	generation     int64
	metageneration int64
	components     int // > 0: it was composed of so many
	created        time.Time
	updated        time.Time
}

// publish makes o what key holds, as a new generation, if the condition holds. The caller holds the
// lock.
func (s *Server) publish(key string, cond condition, o *object) (*object, error) {
	if err := s.admit(key, cond); err != nil {
		return nil, err
	}
	o.key, o.generation, o.metageneration = key, s.newGeneration(), 1
	o.created = s.now()
	o.updated = o.created
	s.keep(o)
	return o, nil
}

// admit says whether key may be written to. The caller holds the lock and keeps it until the effect
// is there.
func (s *Server) admit(key string, cond condition) error {
	if s.pending(key) {
		return beingRenamed(key)
	}
	if err := cond.check(s.objects[key]); err != nil {
		return err
	}
	if !s.o.Quirks.RateLimit {
		return nil
	}
	now := s.o.Now()
	if last, ok := s.written[key]; ok && now.Sub(last) < time.Second {
		return refuse("rateLimitExceeded", "The object %s/%s exceeded the rate limit for object mutation operations "+
			"(create, update, and delete). Please reduce your request rate.", s.o.Bucket, key)
	}
	s.written[key] = now
	return nil
}

// keep puts o where its key says. The caller holds the lock and has checked everything.
func (s *Server) keep(o *object) {
	s.objects[o.key] = o
	s.keys.Add(o.key)
	s.makeFolders(o.key)
}

func (s *Server) remove(key string) {
	delete(s.objects, key)
	s.keys.Remove(key)
}

// makeFolders makes the folders that key is in, where there are folders. They stay when key goes.
func (s *Server) makeFolders(key string) {
	if !s.o.Hierarchical {
		return
	}
	for i := range len(key) {
		if key[i] == '/' {
			s.makeFolder(key[:i+1])
		}
	}
}

// find returns the object of the generation that the parameter name says, or the live one.
func (c *call) findObject(key, parameter string) (*object, error) {
	generation, err := c.number(parameter)
	if err != nil {
		return nil, err
	}
	o := c.s.objects[key]
	if o == nil || generation >= 0 && generation != o.generation {
		return nil, c.noSuchObject(key)
	}
	return o, nil
}

// parent is the folder that a folder is in; "" is the bucket.
func parent(name string) string {
	return name[:strings.LastIndexByte(strings.TrimSuffix(name, "/"), '/')+1]
}
