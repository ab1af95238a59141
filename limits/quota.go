package limits

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
)

// What uploads fail with that a quota has no room for.
var (
	ErrQuota = errors.New("limits: the quota is used up")
	// ErrQuotaFiles is an ErrQuota.
	ErrQuotaFiles = fmt.Errorf("%w: too many files", ErrQuota)
	// ErrEnded is a mistake of the caller: a reservation grows after Commit or Cancel.
	ErrEnded = errors.New("limits: the reservation has ended")
)

// Max is a quota.
type Max struct {
	Bytes, Files int64
}

// Quotas holds what users have stored, as far as this process knows. The names must be those of
// users, not whatever a client sends: each is kept.
type Quotas struct {
	mu    sync.Mutex
	users map[string]*Usage
}

// NewQuotas knows nobody yet.
func NewQuotas() *Quotas { return &Quotas{users: map[string]*Usage{}} }

// User returns the usage of a user, always the same one.
func (q *Quotas) User(name string) *Usage {
	q.mu.Lock()
	defer q.mu.Unlock()
	u := q.users[name]
	if u == nil {
		u = &Usage{}
		q.users[name] = u
	}
	return u
}

// Usage is what a user has stored, and what his running uploads have reserved. It begins at nothing:
// until Counted says that his files have been counted, it holds only what changed since.
type Usage struct {
	mu      sync.Mutex
	counted time.Time
	used    amount
	// reserved are the bytes of running uploads, and the files that will be new.
	reserved amount
	// changes is the sum of all changes ever, of which a Count needs those since its beginning.
	changes amount
}

type amount struct{ bytes, files int64 }

// Counted is when the files of the user were last counted; the zero time is never.
func (u *Usage) Counted() time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.counted
}

// Get returns what is stored, without what running uploads have reserved.
func (u *Usage) Get() (bytes, files int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.used.bytes, u.used.files
}

// Set replaces what is stored by what was counted while nothing changed.
func (u *Usage) Set(bytes, files int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.set(amount{bytes, files}, amount{})
}

// Add notes files that were stored without a reservation, like copies, of size bytes together. It
// asks no quota.
func (u *Usage) Add(size, files int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.change(amount{size, files})
}

// Remove notes that a file of size bytes was deleted. Usage never falls below nothing.
func (u *Usage) Remove(size int64) { u.Add(-size, -1) }

// BeginCount begins a count of what is stored, which may change meanwhile. To give it up takes
// nothing.
func (u *Usage) BeginCount() *Count {
	u.mu.Lock()
	defer u.mu.Unlock()
	return &Count{usage: u, before: u.changes}
}

func (u *Usage) set(counted, since amount) {
	u.counted = time.Now()
	u.used = amount{}.plus(counted).plus(since)
}

func (u *Usage) change(d amount) {
	u.used = u.used.plus(d)
	u.changes.bytes += d.bytes
	u.changes.files += d.files
}

// plus never falls below nothing, nor does it overflow. What it adds to is not below nothing.
func (a amount) plus(d amount) amount {
	sum := func(x, y int64) int64 {
		if y > math.MaxInt64-x {
			return math.MaxInt64
		}
		return max(0, x+y)
	}
	return amount{sum(a.bytes, d.bytes), sum(a.files, d.files)}
}

// Count is a count that runs.
type Count struct {
	usage  *Usage
	before amount
}

// Finish replaces what is stored by what was counted, and adds what has changed since BeginCount. A
// listing sees some of those changes by itself, and nobody knows which; these count twice. So usage
// is off by at most the bytes and files that were stored, replaced and deleted during the count, and
// the next one mends that. Calling it again does the same with later changes.
func (c *Count) Finish(bytes, files int64) {
	u := c.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	u.set(amount{bytes, files}, amount{u.changes.bytes - c.before.bytes, u.changes.files - c.before.files})
}
