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
	// kept are the bytes of uploads that broke off and may go on, by file; they are reserved, too.
	kept map[string]int64
	// added is the sum of all that was ever stored, of which a Count needs what came since its beginning.
	added amount
	// doubts counts what leaves the usage higher than it is; doubtful: some of it since the last count.
	doubts   int
	doubtful bool
	// moved is how often something was moved.
	moved int
	// touches are the operations that run.
	touches []*Touch
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

// Doubtful reports that more may be counted than is stored, because files were changed in two ways at
// once or during a count. The next count mends it.
func (u *Usage) Doubtful() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.doubtful
}

// BeginCount begins a count of what is stored, which may change meanwhile. To give it up takes
// nothing.
func (u *Usage) BeginCount() *Count {
	u.mu.Lock()
	defer u.mu.Unlock()
	return &Count{usage: u, before: u.added, doubts: u.doubts, moved: u.moved}
}

func (u *Usage) set(counted, since amount) {
	u.counted = time.Now()
	u.used = amount{}.plus(counted).plus(since)
}

// store notes what was stored, in the place of replaced.
func (u *Usage) store(stored, replaced amount) {
	u.used = u.used.plus(amount{stored.bytes - replaced.bytes, stored.files - replaced.files})
	u.added = u.added.plus(stored)
}

func (u *Usage) doubt() {
	u.doubts++
	u.doubtful = true
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
	doubts int
	moved  int
}

// Finish replaces what is stored by what was counted, and adds what was stored since BeginCount. A
// listing sees some of that by itself, and nobody knows what; it counts twice, and what was deleted
// may count still. Of what is being changed now, nobody knows whether it was seen. So usage may be too
// high, never too low, and is doubtful then.
//
// Where something was moved meanwhile, the listing may have missed it: then the larger of what was known
// and what was counted holds. Finish is false if nothing was known: then it has to be counted again.
func (c *Count) Finish(bytes, files int64) bool {
	u := c.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	since := amount{u.added.bytes - c.before.bytes, u.added.files - c.before.files}
	moved := u.moved != c.moved
	for _, t := range u.touches {
		t.crowded = true
		moved = moved || t.moves
	}
	if moved && u.counted.IsZero() {
		return false
	}
	before := u.used
	u.set(amount{bytes, files}, since)
	if moved {
		u.used = amount{max(before.bytes, u.used.bytes), max(before.files, u.used.files)}
	}
	u.doubtful = moved || u.doubts != c.doubts || since != (amount{})
	return true
}
