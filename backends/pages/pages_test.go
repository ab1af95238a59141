package pages_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/sluice-ftp/sluice/backends/pages"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newBudget(t *testing.T) *pages.Budget {
	t.Helper()
	b, err := pages.New(pages.MinBudget)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTooSmall(t *testing.T) {
	if _, err := pages.New(pages.MinBudget - 1); err == nil {
		t.Error("a budget below the least was taken")
	}
	if _, err := newBudget(t).Reserve(t.Context(), pages.MinBudget); err == nil {
		t.Error("more than the whole budget was promised")
	}
}

// However many begin, a part can be reserved; and the other way round.
func TestBeginningsAndPartsApart(t *testing.T) {
	b := newBudget(t)
	firsts := 0
	for b.TryFirst() != nil {
		firsts++
	}
	if firsts != pages.MinBudget/pages.Size/4 {
		t.Errorf("%d first pages, want a quarter", firsts)
	}
	if b.TryReserve(b.Parts()) == nil {
		t.Error("first pages took from the parts")
	}
	if b.TryReserve(1) != nil {
		t.Error("more was reserved than there is")
	}
}

func TestLease(t *testing.T) {
	b := newBudget(t)
	first := b.TryFirst()
	first.Page(0)[0] = 7
	part := b.TryReserve(2*pages.Size - 1)
	part.Adopt(first)
	if got := part.Page(0)[0]; got != 7 {
		t.Errorf("the adopted page begins with %d", got)
	}
	part.Page(1)[0] = 8
	if part.Bytes() != 2*pages.Size {
		t.Errorf("room for %d bytes", part.Bytes())
	}
	first.Release() // nothing left to give back twice
	part.Release()
	part.Release()
	if whole := b.TryReserve(b.Parts()); whole == nil {
		t.Error("not everything came back")
	}
}

// A page that was used comes back before a new one is made, and Trim gives up the idle ones only. A
// new one is empty.
func TestTrim(t *testing.T) {
	b := newBudget(t)
	l := b.TryReserve(2 * pages.Size)
	l.Page(0)[0], l.Page(1)[0] = 1, 2
	l.Release()
	b.Trim()
	b.Trim() // nobody wanted the two in between
	l = b.TryReserve(2 * pages.Size)
	if l.Page(0)[0] != 0 || l.Page(1)[0] != 0 {
		t.Error("an idle page survived two trims")
	}
	l.Page(1)[0] = 3
	l.Release()
	for range 2 {
		b.Trim()
		l = b.TryReserve(pages.Size)
		if l.Page(0)[0] != 3 {
			t.Error("a page in use since the last trim was given up")
		}
		l.Release()
	}
}

// Who comes first is served first, also when a small wish could be granted earlier.
func TestFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(t)
		all := b.TryReserve(b.Parts() - pages.Size)
		var mu sync.Mutex
		var order []string
		var wg sync.WaitGroup
		ask := func(name string, bytes int64) {
			wg.Go(func() {
				l, err := b.Reserve(t.Context(), bytes)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, name)
				mu.Unlock()
				l.Release()
			})
			synctest.Wait()
		}
		ask("large", b.Parts())
		ask("small", 1)
		if b.TryReserve(1) != nil {
			t.Error("someone jumped the queue")
		}
		all.Release()
		wg.Wait()
		if order[0] != "large" {
			t.Errorf("served in the order %q", order)
		}
	})
}

func TestCancelled(t *testing.T) {
	b := newBudget(t)
	all := b.TryReserve(b.Parts())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Reserve(ctx, 1); err == nil {
		t.Error("a wait went on after its context")
	}
	all.Release()
	if b.TryReserve(b.Parts()) == nil {
		t.Error("a wait that was given up holds something")
	}
}
