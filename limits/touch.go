package limits

import (
	"slices"
	"strings"
)

// Touch is an operation on a file or folder, from before it is looked at until what came of it is noted.
// Where two of one user meet on a file, or on a folder above it, what one has seen may not be what it
// changes: then nothing is taken off the usage, which is doubtful until it is counted.
type Touch struct {
	usage   *Usage
	keys    []string
	moves   bool
	crowded bool
	ended   bool
}

// Touch begins an operation on what is at keys, slash-separated. The caller calls End.
func (u *Usage) Touch(keys ...string) *Touch { return u.touch(&Touch{usage: u, keys: keys}) }

// TouchToMove is Touch for what is going to have another one of the keys: a count meanwhile may see it
// under both, or under neither.
func (u *Usage) TouchToMove(keys ...string) *Touch {
	return u.touch(&Touch{usage: u, keys: keys, moves: true})
}

func (u *Usage) touch(t *Touch) *Touch {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, other := range u.touches {
		if t.meets(other) {
			t.crowded, other.crowded = true, true
		}
	}
	u.touches = append(u.touches, t)
	return t
}

func (t *Touch) meets(other *Touch) bool {
	for _, a := range t.keys {
		for _, b := range other.keys {
			if a == b || strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/") {
				return true
			}
		}
	}
	return false
}

// Removed notes that a file of size bytes has gone from where t is.
func (t *Touch) Removed(size int64) {
	u := t.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	if t.crowded {
		u.doubt()
		return
	}
	u.store(amount{}, amount{size, 1})
	u.doubts++ // a count that runs may have seen it
}

// Moved notes that it has been moved.
func (t *Touch) Moved() {
	t.usage.mu.Lock()
	defer t.usage.mu.Unlock()
	t.usage.moved++
}

// End ends the operation; calling it again, or after the end of its Reservation, does nothing.
func (t *Touch) End() {
	t.usage.mu.Lock()
	defer t.usage.mu.Unlock()
	t.end()
}

func (t *Touch) end() {
	if !t.ended {
		t.ended = true
		t.usage.touches = slices.DeleteFunc(t.usage.touches, func(o *Touch) bool { return o == t })
	}
}
