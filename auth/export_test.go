package auth

import (
	"sync/atomic"
	"time"
)

// CountHashes returns a counter of the passwords that f hashes from now on.
func CountHashes(f *File) *atomic.Int64 {
	var n atomic.Int64
	f.verify = func(h passwordHash, password string) bool {
		n.Add(1)
		return h.verify(password)
	}
	return &n
}

// HoldHashes makes every hashing wait for a value from release, after it said so on started.
func HoldHashes(f *File, started chan<- string, release <-chan struct{}) {
	f.verify = func(h passwordHash, password string) bool {
		started <- h.cost()
		<-release
		return h.verify(password)
	}
}

// Costs returns what hashing for f's users and for a stranger costs.
func Costs(f *File) (users []string, stranger string) {
	s := f.state.Load()
	for _, u := range s.users {
		users = append(users, s.accounts[u.Name].hash.cost())
	}
	return users, s.stranger.hash.cost()
}

// Verify reports whether password belongs to the hash.
func Verify(hash, password string) (bool, error) {
	h, err := parseHash(hash)
	if err != nil {
		return false, err
	}
	return h.verify(password), nil
}

// SetClock gives f another idea of the time.
func SetClock(f *File, now func() time.Time) { f.now = now }

// Fold is fold.
var Fold = fold
