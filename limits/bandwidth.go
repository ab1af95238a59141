package limits

import (
	"context"
	"sync"
	"sync/atomic"
)

// Direction is that of a transfer, as the client sees it.
type Direction int

// The directions. Each has limits of its own.
const (
	Up   Direction = iota // to the server
	Down                  // from the server
)

// Bandwidth bounds bytes per second: of all transfers together, and of those of one user. A limit is
// shared equally by the transfers that want more, however much each moves at a time; what one leaves
// the others take. A limit lets pass at once what it allows in 100 ms, or 64 KiB if that is more, and
// no more on average.
type Bandwidth struct {
	total [2]*limiter

	mu    sync.Mutex
	users map[userDirection]*userLimiter
	// sweepAt is how many users there have to be for those who left to be looked for.
	sweepAt int
}

type userDirection struct {
	user string
	dir  Direction
}

// userLimiter is kept while there are transfers, and then until it is as good as new: who ends one
// and begins another finds it as he left it.
type userLimiter struct {
	*limiter
	transfers int
}

// NewBandwidth allows all transfers together up and down bytes per second; 0 is no limit.
func NewBandwidth(up, down int64) *Bandwidth {
	return &Bandwidth{
		total: [2]*limiter{Up: newLimiter(up), Down: newLimiter(down)},
		users: map[userDirection]*userLimiter{},
	}
}

// Set changes what all transfers together may move, at once for those that run.
func (b *Bandwidth) Set(up, down int64) {
	b.total[Up].set(up)
	b.total[Down].set(down)
}

// Transfer begins a transfer of user, who may move userRate bytes per second in this direction; 0 is
// no limit. What the newest call says holds at once for all transfers of the user in this direction.
// The caller calls Done at its end.
func (b *Bandwidth) Transfer(user string, dir Direction, userRate int64) *Transfer {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := userDirection{user, dir}
	u := b.users[k]
	if u == nil {
		b.sweep()
		u = &userLimiter{limiter: newLimiter(userRate)}
		b.users[k] = u
	}
	u.set(userRate)
	u.transfers++
	t := &Transfer{bandwidth: b, key: k, owner: u}
	t.user.limiter, t.total.limiter = u.limiter, b.total[dir]
	return t
}

// sweep forgets users who left. It looks at all when they have doubled, so at few each time.
func (b *Bandwidth) sweep() {
	if len(b.users) < b.sweepAt {
		return
	}
	for k, u := range b.users {
		b.forget(k, u)
	}
	b.sweepAt = 2*len(b.users) + 16
}

func (b *Bandwidth) forget(k userDirection, u *userLimiter) {
	if u.transfers == 0 && u.full() {
		delete(b.users, k)
	}
}

func (b *Bandwidth) leave(k userDirection, u *userLimiter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u.transfers--
	b.forget(k, u)
}

// Transfer is one of Bandwidth.
type Transfer struct {
	bandwidth   *Bandwidth
	key         userDirection
	owner       *userLimiter
	user, total account
	ended       atomic.Bool
}

// Wait waits until n bytes may be moved. It is best called after they were, before the next: then
// what is moved is what is paid for, also when ctx ends. With no limit it costs nothing. It fails
// with the cause of ctx as soon as ctx ends, if it has to wait at all; the bytes count nevertheless,
// and the user pays for them with his next transfer.
func (t *Transfer) Wait(ctx context.Context, n int) error {
	if n <= 0 {
		return nil
	}
	t.user.owe(int64(n))
	t.total.owe(int64(n))
	for {
		// Both are paid side by side: one who pays for a large chunk to the one limiter would be missing
		// in the queue of the other meanwhile, and lose his share there.
		next := &t.user
		if t.total.credit.Load() < t.user.credit.Load() {
			next = &t.total
		}
		if next.credit.Load() >= 0 {
			return nil
		}
		if err := next.pay(ctx); err != nil {
			return err
		}
	}
}

// Done ends the transfer; calling it again does nothing. No Wait may come after it.
func (t *Transfer) Done() {
	if t.ended.Swap(true) {
		return
	}
	// What is owed the total is let go: else one who breaks off again and again would hold up all.
	t.total.limiter.giveBack(max(0, t.total.credit.Swap(0)))
	t.user.limiter.giveBack(t.user.credit.Swap(0))
	t.bandwidth.leave(t.key, t.owner)
}

// account is what a transfer has got from a limiter and not moved yet, or, below 0, owes it.
type account struct {
	limiter *limiter
	credit  atomic.Int64
}

func (a *account) owe(n int64) {
	if a.limiter.rate.Load() > 0 {
		a.credit.Add(-n)
	}
}

// pay waits for one piece.
func (a *account) pay(ctx context.Context) error {
	piece, err := a.limiter.take(ctx)
	if err != nil {
		return err
	}
	if piece == 0 { // no limit any more
		a.credit.Store(0)
		return nil
	}
	a.credit.Add(piece)
	return nil
}
