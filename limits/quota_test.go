package limits_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sluice-ftp/sluice/limits"
)

func begin(t *testing.T, u *limits.Usage, most limits.Max, replaces int64) *limits.Reservation {
	t.Helper()
	r, err := u.Touch(fresh()).Begin(most, replaces)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var files atomic.Int64

// fresh is a file that nobody else touches.
func fresh() string { return fmt.Sprint("file", files.Add(1)) }

// store is an upload of its own.
func store(t *testing.T, u *limits.Usage, size int64) {
	t.Helper()
	begin(t, u, limits.Max{}, -1).Commit(size)
}

func remove(u *limits.Usage, size int64) {
	touch := u.Touch(fresh())
	touch.Removed(size)
	touch.End()
}

func grow(t *testing.T, r *limits.Reservation, n int64, want error) {
	t.Helper()
	if err := r.Grow(n); !errors.Is(err, want) {
		t.Errorf("grow by %d: %v, want %v", n, err, want)
	}
}

func stored(t *testing.T, u *limits.Usage, bytes, files int64) {
	t.Helper()
	if b, f := u.Get(); b != bytes || f != files {
		t.Errorf("%d bytes in %d files, want %d in %d", b, f, bytes, files)
	}
}

func TestQuotasUser(t *testing.T) {
	q := limits.NewQuotas()
	ann := q.User("ann")
	if !ann.Counted().IsZero() {
		t.Error("known before it was counted")
	}
	store(t, ann, 5)
	if !ann.Counted().IsZero() {
		t.Error("known by one change")
	}
	ann.BeginCount().Finish(10, 2)
	if ann.Counted().IsZero() {
		t.Error("not known after it was counted")
	}
	stored(t, q.User("ann"), 10, 2)
	stored(t, q.User("ben"), 0, 0)
}

func TestReservation(t *testing.T) {
	u := limits.NewQuotas().User("ann")
	most := limits.Max{Bytes: 100}
	u.BeginCount().Finish(40, 1)
	a, b := begin(t, u, most, -1), begin(t, u, most, -1)
	grow(t, a, 30, nil)
	grow(t, b, 31, limits.ErrQuota)
	grow(t, b, 30, nil)
	grow(t, a, 1, limits.ErrQuota)
	grow(t, a, 0, nil)
	grow(t, a, -5, nil)
	grow(t, b, 1, limits.ErrQuota)
	stored(t, u, 40, 1)

	a.Cancel()
	a.Cancel()
	a.Commit(30)
	stored(t, u, 40, 1)
	grow(t, a, 1, limits.ErrEnded)
	grow(t, b, 30, nil) // what a had, and not twice
	grow(t, b, 1, limits.ErrQuota)

	b.Commit(55) // less than reserved
	b.Commit(55)
	b.Cancel()
	stored(t, u, 95, 2)
	grow(t, begin(t, u, most, -1), 6, limits.ErrQuota)
	grow(t, begin(t, u, most, -1), 5, nil)
}

// The bytes of what is replaced are free when it is replaced, and not earlier.
func TestReservationReplaces(t *testing.T) {
	u := limits.NewQuotas().User("ann")
	most := limits.Max{Bytes: 100, Files: 1}
	u.BeginCount().Finish(60, 1)
	r := begin(t, u, most, 60)
	grow(t, r, 41, limits.ErrQuota)
	grow(t, r, 40, nil)
	r.Commit(40)
	stored(t, u, 40, 1)
	grow(t, begin(t, u, most, 40), 60, nil)

	empty := begin(t, u, most, 0) // an empty object is one, too
	empty.Commit(7)
	stored(t, u, 47, 1)
}

func TestReservationFiles(t *testing.T) {
	u := limits.NewQuotas().User("ann")
	most := limits.Max{Files: 3}
	u.BeginCount().Finish(0, 1)
	a := begin(t, u, most, -1)
	b := begin(t, u, most, -1)
	if _, err := u.Touch(fresh()).Begin(most, -1); !errors.Is(err, limits.ErrQuotaFiles) || !errors.Is(err, limits.ErrQuota) {
		t.Error(err)
	}
	begin(t, u, most, 5).Cancel() // nothing new
	a.Cancel()
	begin(t, u, most, -1).Commit(1)
	b.Commit(1)
	stored(t, u, 2, 3)
	if _, err := u.Touch(fresh()).Begin(most, -1); !errors.Is(err, limits.ErrQuotaFiles) {
		t.Error(err)
	}
	remove(u, 1)
	begin(t, u, most, -1)
}

func TestQuotaUnlimited(t *testing.T) {
	for _, most := range []limits.Max{{}, {Bytes: -1, Files: -1}} {
		u := limits.NewQuotas().User("ann")
		u.BeginCount().Finish(math.MaxInt64/2, 1<<40)
		grow(t, begin(t, u, most, -1), math.MaxInt64/4, nil)
	}
}

// Sizes that are as large as they get overflow nothing.
func TestQuotaHugeSizes(t *testing.T) {
	u := limits.NewQuotas().User("ann")
	r := begin(t, u, limits.Max{}, -1)
	grow(t, r, math.MaxInt64, nil)
	grow(t, r, 1, limits.ErrQuota)
	store(t, u, math.MaxInt64)
	store(t, u, math.MaxInt64)
	stored(t, u, math.MaxInt64, 2)
	grow(t, begin(t, u, limits.Max{Bytes: 10}, -1), 1, limits.ErrQuota)
	grow(t, begin(t, u, limits.Max{Bytes: math.MaxInt64}, -1), math.MaxInt64, limits.ErrQuota)
	r.Commit(math.MinInt64)
	stored(t, u, math.MaxInt64, 3)
}

func TestUsageNeverNegative(t *testing.T) {
	u := limits.NewQuotas().User("ann")
	u.BeginCount().Finish(10, 1)
	remove(u, 20)
	stored(t, u, 0, 0)
	remove(u, 20)
	store(t, u, 5)
	stored(t, u, 5, 1)
	begin(t, u, limits.Max{}, 100).Commit(1)
	stored(t, u, 0, 1)
	u.BeginCount().Finish(-7, -7)
	stored(t, u, 0, 0)
}

// What changes during a count is not lost, whatever the usage was taken for before.
func TestCount(t *testing.T) {
	u := limits.NewQuotas().User("ann")
	store(t, u, 1000) // before the count, which sees it
	first := u.BeginCount()
	r := begin(t, u, limits.Max{}, -1)
	grow(t, r, 30, nil)
	r.Commit(30)
	second := u.BeginCount()
	remove(u, 4)
	begin(t, u, limits.Max{}, -1).Cancel()
	first.Finish(100, 5)
	if u.Counted().IsZero() || !u.Doubtful() {
		t.Error("not known, or not doubtful")
	}
	stored(t, u, 130, 6)
	second.Finish(126, 5)
	stored(t, u, 126, 5)
	if !u.Doubtful() {
		t.Error("something was deleted during the second count")
	}
	u.BeginCount().Finish(3, 3)
	stored(t, u, 3, 3)
	if u.Doubtful() {
		t.Error("nothing has changed")
	}
}

// What was reserved when a count ends stays reserved.
func TestCountKeepsReservations(t *testing.T) {
	u := limits.NewQuotas().User("ann")
	most := limits.Max{Bytes: 100, Files: 2}
	r := begin(t, u, most, -1)
	grow(t, r, 60, nil)
	u.BeginCount().Finish(30, 1)
	grow(t, r, 11, limits.ErrQuota)
	grow(t, r, 10, nil)
	if _, err := u.Touch(fresh()).Begin(most, -1); !errors.Is(err, limits.ErrQuotaFiles) {
		t.Error(err)
	}
}

// Twenty uploads that run together never go over, and fill the quota to the last byte.
func TestQuotaAtOnce(t *testing.T) {
	const most = 1_000_003
	u := limits.NewQuotas().User("ann")
	var g sync.WaitGroup
	for i := range 20 {
		g.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 0))
			r := begin(t, u, limits.Max{Bytes: most}, -1)
			size := int64(0)
			for n := int64(10_000); n > 0; {
				switch err := r.Grow(n); {
				case err == nil:
					size += n
				case errors.Is(err, limits.ErrQuota):
					n /= 2
				default:
					t.Error(err)
					return
				}
				if random.IntN(20) == 0 {
					r.Commit(size)
					if bytes, _ := u.Get(); bytes > most {
						t.Errorf("%d bytes stored", bytes)
					}
					r, size = begin(t, u, limits.Max{Bytes: most}, -1), 0
				}
			}
			r.Commit(size)
		})
	}
	g.Wait()
	if bytes, _ := u.Get(); bytes != most {
		t.Errorf("%d bytes stored, want %d", bytes, most)
	}
}
