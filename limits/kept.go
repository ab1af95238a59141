package limits

import (
	"maps"
	"slices"
)

// Keep notes that size bytes are kept of an upload to the file at key that broke off. They take room like
// what is stored, until Drop.
func (u *Usage) Keep(key string, size int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.kept == nil {
		u.kept = map[string]int64{}
	}
	u.reserved.bytes += size - u.kept[key]
	u.kept[key] = size
}

// Drop notes that nothing is kept at key any more, and returns how many bytes were.
func (u *Usage) Drop(key string) int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	size := u.kept[key]
	u.reserved.bytes -= size
	delete(u.kept, key)
	return size
}

// Kept returns where something is kept.
func (u *Usage) Kept() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Sorted(maps.Keys(u.kept))
}
