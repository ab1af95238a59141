// Package pages is the memory that transfers into and out of remote stores may use: one budget for
// the whole process, handed out in pages of 256 KiB.
//
// An upload of unknown length begins with a few bytes of its own, goes on in one page from a share
// that is kept for beginnings, if one is left, and has to reserve a whole part before it goes further.
// So a thousand beginnings cannot take what one of them needs to be sent, and nobody waits for memory
// while it holds some that only it can free.
package pages

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// Size is the bytes of a page.
const Size = 256 << 10

// MinBudget is the smallest budget, in bytes: two parts of S3's minimum, and the beginnings.
const MinBudget = 16 << 20

// beginnings is the share of the budget that is kept for first pages: a quarter.
const beginnings = 4

// Page is one page of memory.
type Page = [Size]byte

// Budget hands out pages, never more than it was made for. It is safe for concurrent use.
type Budget struct {
	first, parts *semaphore.Weighted
	partPages    int64
	bytes        int64
	// used is in pages, waiting in those who wait for some.
	used, waiting atomic.Int64

	mu   sync.Mutex
	free []*Page // last in, first out: what is in the processor's cache still
	idle int     // the fewest free ones since Trim
}

// New returns a budget of so many bytes, MinBudget at least.
func New(bytes int64) (*Budget, error) {
	if bytes < MinBudget {
		return nil, fmt.Errorf("pages: a budget of %d bytes is too small: %d is the least", bytes, MinBudget)
	}
	n := bytes / Size
	first := n / beginnings
	return &Budget{
		first:     semaphore.NewWeighted(first),
		parts:     semaphore.NewWeighted(n - first),
		partPages: n - first,
		bytes:     bytes,
	}, nil
}

// Bytes returns the whole budget.
func (b *Budget) Bytes() int64 { return b.bytes }

// Used returns the bytes that are reserved now.
func (b *Budget) Used() int64 { return b.used.Load() * Size }

// Waiting returns how many wait in Reserve now.
func (b *Budget) Waiting() int { return int(b.waiting.Load()) }

// Parts returns the bytes that all parts together may use.
func (b *Budget) Parts() int64 { return b.partPages * Size }

// TryFirst returns a first page, nil if none is left: then there is only the queue for parts, which is
// one for all.
func (b *Budget) TryFirst() *Lease {
	if !b.first.TryAcquire(1) {
		return nil
	}
	return b.lease(b.first, 1)
}

func (b *Budget) lease(from *semaphore.Weighted, n int64) *Lease {
	b.used.Add(n)
	return &Lease{budget: b, from: from, n: n}
}

// Reserve waits until so many bytes, rounded up to pages, are there at once. Whoever came first is
// served first, however much it wants. More than Parts is an error at once.
func (b *Budget) Reserve(ctx context.Context, bytes int64) (*Lease, error) {
	n := count(bytes)
	if n > b.partPages {
		return nil, fmt.Errorf("pages: %d bytes are more than the whole budget", bytes)
	}
	if !b.parts.TryAcquire(n) {
		b.waiting.Add(1)
		defer b.waiting.Add(-1)
		if err := b.parts.Acquire(ctx, n); err != nil {
			return nil, err
		}
	}
	return b.lease(b.parts, n), nil
}

// TryReserve is Reserve for those who can do without: nil if it would have to wait, or if anyone waits.
func (b *Budget) TryReserve(bytes int64) *Lease {
	n := count(bytes)
	if !b.parts.TryAcquire(n) {
		return nil
	}
	return b.lease(b.parts, n)
}

func count(bytes int64) int64 { return (bytes + Size - 1) / Size }

// Trim gives back to the system the pages that nobody needed since the last Trim.
func (b *Budget) Trim() {
	b.mu.Lock()
	defer b.mu.Unlock()
	forget(b.free[:b.idle]) // the ones at the bottom
	b.free = slices.Delete(b.free, 0, b.idle)
	b.idle = len(b.free)
}

func (b *Budget) get() *Page {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.free) - 1
	if n < 0 {
		return allocate()
	}
	p := b.free[n]
	b.free[n] = nil
	b.free = b.free[:n]
	b.idle = min(b.idle, n)
	return p
}

func (b *Budget) put(pages []*Page) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free = append(b.free, pages...)
}

// Lease is the right to some pages, and the pages that were taken of it so far. It is not safe for
// concurrent use.
type Lease struct {
	budget *Budget
	from   *semaphore.Weighted
	n      int64
	pages  []*Page
}

// Bytes returns how many bytes the lease has room for.
func (l *Lease) Bytes() int64 { return l.n * Size }

// Page returns page i of the lease, which comes into being when it is first asked for. i is at most
// the number of those that are there, and below what was reserved.
func (l *Lease) Page(i int) *Page {
	if i == len(l.pages) {
		if int64(i) >= l.n {
			panic("pages: more than was reserved")
		}
		l.pages = append(l.pages, l.budget.get())
	}
	return l.pages[i]
}

// Adopt takes over the pages of another lease, before any of its own, and ends that one. They count
// as this lease's from now on.
func (l *Lease) Adopt(o *Lease) {
	l.pages, o.pages = append(o.pages, l.pages...), nil
	o.Release()
}

// Release gives everything back. A released lease may be released again.
func (l *Lease) Release() {
	if l.n == 0 {
		return
	}
	l.budget.put(l.pages)
	l.budget.used.Add(-l.n)
	l.from.Release(l.n)
	l.pages, l.n = nil, 0
}
