package local

import (
	"hash/maphash"
	"sync"
)

// stripes are locks for keys. Whatever changes what is at a key holds its lock from the last look at
// it to the deed, so that IfVersion is exact among the goroutines of one process.
//
// Between processes, and between keys that a link makes one, there is no such lock: a file system
// has no compare-and-rename. IfAbsent is atomic everywhere, and every object is whole everywhere;
// but an overwrite by another process that falls between the look and the rename, microseconds, is
// overwritten in turn instead of being found out.
type stripes struct {
	seed maphash.Seed
	mu   [64]sync.Mutex
}

func (s *stripes) of(key string) int {
	return int(maphash.String(s.seed, key) % uint64(len(s.mu)))
}

// lock locks one key; the function unlocks it.
func (s *stripes) lock(key string) func() {
	mu := &s.mu[s.of(key)]
	mu.Lock()
	return mu.Unlock
}

// lock2 locks two keys, in the order of the stripes so that two renames cannot wait for each other.
func (s *stripes) lock2(a, b string) func() {
	i, j := s.of(a), s.of(b)
	if i == j {
		return s.lock(a)
	}
	lo, hi := &s.mu[min(i, j)], &s.mu[max(i, j)]
	lo.Lock()
	hi.Lock()
	return func() { hi.Unlock(); lo.Unlock() }
}
