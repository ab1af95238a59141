package limits_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ftp/sluice/limits"
)

const (
	kB = 1000
	mB = 1000 * kB
)

var errOver = errors.New("the test is over")

// mover is a client that moves as much as it may, in chunks.
type mover struct {
	user  string
	dir   limits.Direction
	rate  int64
	chunk int
	// pause is what each chunk takes by itself.
	pause time.Duration
	// want is the bytes per second that it gets.
	want float64
}

// move moves for d, and returns the bytes per second of each.
func move(t *testing.T, b *limits.Bandwidth, d time.Duration, movers []mover) []float64 {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), d, errOver)
	defer cancel()
	moved := make([]float64, len(movers))
	var g sync.WaitGroup
	for i, m := range movers {
		g.Go(func() {
			transfer := b.Transfer(m.user, m.dir, m.rate)
			defer transfer.Done()
			for {
				if m.pause > 0 {
					<-time.After(m.pause)
				}
				if err := transfer.Wait(ctx, m.chunk); err != nil {
					if !errors.Is(err, errOver) {
						t.Error(err)
					}
					return
				}
				moved[i] += float64(m.chunk)
			}
		})
	}
	g.Wait()
	for i := range moved {
		moved[i] /= d.Seconds()
	}
	return moved
}

// The bandwidth is shared as it should be, within 5 %.
func TestBandwidthShared(t *testing.T) {
	const k, m = 1 << 10, 1 << 20
	up, down := limits.Up, limits.Down
	for name, c := range map[string]struct {
		up, down int64
		movers   []mover
	}{
		"one transfer": {0, 0, []mover{{"ann", up, mB, 32 * k, 0, mB}}},
		"two of a user, small and large chunks": {0, 0, []mover{
			{"ann", up, mB, 4 * k, 0, mB / 2}, {"ann", up, mB, m, 0, mB / 2},
		}},
		"odd chunks": {0, 0, []mover{
			{"ann", up, mB, 77, 0, mB / 3}, {"ann", up, mB, 51_001, 0, mB / 3}, {"ann", up, mB, 99_999, 0, mB / 3},
		}},
		"other users and directions apart": {0, 0, []mover{
			{"ann", up, mB, 4 * k, 0, mB / 2},
			{"ann", up, mB, m, 0, mB / 2},
			{"ben", up, 3 * mB, m, 0, 3 * mB},
			{"ann", down, 2 * mB, 4 * k, 0, 2 * mB},
		}},
		"total, by transfers": {mB, 0, []mover{
			{"ann", up, 0, 4 * k, 0, mB / 4},
			{"ann", up, 0, m, 0, mB / 4},
			{"ann", up, 0, 64 * k, 0, mB / 4},
			{"ben", up, 0, 300 * k, 0, mB / 4},
			{"ben", down, 5 * mB, 64 * k, 0, 5 * mB},
		}},
		"total of the other direction": {0, 100 * kB, []mover{
			{"ann", down, 0, 4 * k, 0, 50 * kB},
			{"ben", down, 0, 256 * k, 0, 50 * kB},
			{"ben", up, mB, 64 * k, 0, mB},
		}},
		"what a user may not take others do": {3 * mB, 0, []mover{
			{"ann", up, mB, 4 * k, 0, mB / 2}, {"ann", up, mB, m, 0, mB / 2}, {"ben", up, 0, 64 * k, 0, 2 * mB},
		}},
		"total below the users' limits": {3 * mB, 0, []mover{
			{"ann", up, 5 * mB, 4 * k, 0, mB}, {"ann", up, 5 * mB, m, 0, mB}, {"ben", up, 2 * mB, 64 * k, 0, mB},
		}},
		"what a slow one leaves others take": {0, 0, []mover{
			{"ann", up, mB, 20 * kB, 200 * time.Millisecond, 88 * kB}, {"ann", up, mB, 64 * k, 0, 912 * kB},
		}},
		"slow":      {0, 0, []mover{{"ann", up, 3 * kB, 4 * k, 0, 1.5 * kB}, {"ann", up, 3 * kB, 100, 0, 1.5 * kB}}},
		"very fast": {0, 0, []mover{{"ann", up, 1000 * mB, m, 0, 500 * mB}, {"ann", up, 1000 * mB, 256 * k, 0, 500 * mB}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := limits.NewBandwidth(c.up, c.down)
				d := 200 * time.Second
				switch c.movers[0].want {
				case 1.5 * kB: // what passes at once is a minute's worth
					d = 4000 * time.Second
				case 500 * mB:
					d = 5 * time.Second
				}
				for i, got := range move(t, b, d, c.movers) {
					if want := c.movers[i].want; math.Abs(got-want) > want/20 {
						t.Errorf("%d of %s: %.0f bytes per second, want %.0f", i, c.movers[i].user, got, want)
					}
				}
			})
		})
	}
}

// Small chunks do not wait long behind large ones: for two pieces at the most.
func TestBandwidthWaitsAreShort(t *testing.T) {
	for rate, most := range map[int64]time.Duration{mB: 101 * time.Millisecond, 100 * mB: 2 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			b := limits.NewBandwidth(0, 0)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			var g sync.WaitGroup
			g.Go(func() {
				transfer := b.Transfer("ann", limits.Up, rate)
				defer transfer.Done()
				for transfer.Wait(ctx, 16<<20) == nil {
				}
			})
			transfer := b.Transfer("ann", limits.Up, rate)
			defer transfer.Done()
			for {
				began := time.Now()
				if transfer.Wait(ctx, 4<<10) != nil {
					break
				}
				if waited := time.Since(began); waited > most {
					t.Fatalf("at %d B/s 4 KiB waited for %v", rate, waited)
				}
			}
			g.Wait()
		})
	}
}

// took returns how long f takes.
func took(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}

func within(t *testing.T, what string, got, least, most time.Duration) {
	t.Helper()
	if got < least || got > most {
		t.Errorf("%s took %v, want %v to %v", what, got, least, most)
	}
}

// The newest rate holds for transfers that run, also for one that waits.
func TestBandwidthRateChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := limits.NewBandwidth(0, 0)
		transfer := b.Transfer("ann", limits.Up, 0)
		defer transfer.Done()
		wait := func(n int) func() {
			return func() {
				if err := transfer.Wait(t.Context(), n); err != nil {
					t.Error(err)
				}
			}
		}
		change := func(rate int64) { t.Cleanup(b.Transfer("ann", limits.Up, rate).Done) }
		within(t, "no limit", took(wait(1<<30)), 0, 0)
		change(mB)
		within(t, "1 MB/s", took(wait(10*mB)), 9900*time.Millisecond, 10*time.Second)
		change(5 * mB)
		within(t, "5 MB/s", took(wait(10*mB)), 1900*time.Millisecond, 2050*time.Millisecond)

		change(1)
		done := make(chan time.Duration, 1)
		go func() { done <- took(wait(10 * mB)) }()
		<-time.After(500 * time.Millisecond) // the first byte takes a second
		change(10 * mB)
		within(t, "1 B/s, then 10 MB/s", <-done, 1400*time.Millisecond, 1550*time.Millisecond)

		change(1)
		go func() { done <- took(wait(10 * mB)) }()
		<-time.After(500 * time.Millisecond)
		change(0)
		within(t, "1 B/s, then no limit", <-done, 500*time.Millisecond, 500*time.Millisecond)
		b.Transfer("ann", limits.Down, 1).Done()
		b.Transfer("ben", limits.Up, 1).Done()
		within(t, "no limit", took(wait(1<<30)), 0, 0)
	})
}

// What the time before a change allows is what the rate before it allowed.
func TestBandwidthRateRises(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := limits.NewBandwidth(0, 0)
		transfer := b.Transfer("ann", limits.Up, kB)
		defer transfer.Done()
		_ = transfer.Wait(t.Context(), 100*kB)
		<-time.After(10 * time.Second)
		b.Transfer("ann", limits.Up, 10*mB).Done()
		within(t, "1 MB", took(func() { _ = transfer.Wait(t.Context(), mB) }), 95*time.Millisecond, 110*time.Millisecond)
	})
}

// After a pause, however long, passes at once what 100 ms allow, or 64 KiB.
func TestBandwidthBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for rate, burst := range map[int64]int64{10 * mB: mB, 100 * kB: 64 << 10, 10: 64 << 10} {
			transfer := limits.NewBandwidth(rate, 0).Transfer("ann", limits.Up, 0)
			for range 3 {
				rest := 10 * rate
				d := took(func() { _ = transfer.Wait(t.Context(), int(burst*9/10)) })
				within(t, "nine tenths of what passes at once", d, 0, 0)
				d = took(func() { _ = transfer.Wait(t.Context(), int(burst/10+rest)) })
				within(t, "the rest", d, 9800*time.Millisecond, 10100*time.Millisecond)
				<-time.After(24 * time.Hour)
			}
			transfer.Done()
		}
	})
}

// Who ends each transfer and begins another gets no more than who does not, and no less; be it the
// user or the total that is limited.
func TestBandwidthReconnecting(t *testing.T) {
	for total, user := range map[int64]int64{0: 10 * kB, 10 * kB: 0} {
		synctest.Test(t, func(t *testing.T) {
			b := limits.NewBandwidth(total, 0)
			elapsed := took(func() {
				for range 1000 {
					transfer := b.Transfer("ann", limits.Up, user)
					if err := transfer.Wait(t.Context(), 300); err != nil {
						t.Error(err)
					}
					transfer.Done()
					transfer.Done()
				}
			})
			const burst = 64 << 10
			want := time.Second * (300*kB - burst) / (10 * kB)
			within(t, "300 kB at 10 kB/s", elapsed, want, want+50*time.Millisecond)
		})
	}
}

// Nor does one who breaks off when he has moved something and would have to wait.
func TestBandwidthBreakingOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := limits.NewBandwidth(mB, 0)
		ended, cancel := context.WithCancelCause(t.Context())
		cancel(errOver)
		for range 50 {
			transfer := b.Transfer("ann", limits.Up, mB)
			_ = transfer.Wait(ended, mB)
			transfer.Done()
		}
		others := b.Transfer("ben", limits.Up, 0)
		defer others.Done()
		within(t, "another user's 1 MB", took(func() { _ = others.Wait(t.Context(), mB) }), 0, time.Second)
		transfer := b.Transfer("ann", limits.Up, mB)
		defer transfer.Done()
		within(t, "what he owes", took(func() { _ = transfer.Wait(t.Context(), 1) }), 48*time.Second, 50*time.Second)
	})
}

// More owed than there will ever be time for is waited for all the same, and let go with the limit.
func TestBandwidthOwesTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := limits.NewBandwidth(0, 0)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		transfer := b.Transfer("ann", limits.Up, 1)
		_ = transfer.Wait(ended, math.MaxInt)
		transfer.Done()
		transfer = b.Transfer("ann", limits.Up, 1)
		defer transfer.Done()
		done := make(chan time.Duration, 1)
		go func() { done <- took(func() { _ = transfer.Wait(t.Context(), 1) }) }()
		<-time.After(10 * time.Hour)
		b.Transfer("ann", limits.Up, 0).Done()
		within(t, "what will not be paid", <-done, 10*time.Hour, 10*time.Hour)
	})
}

// A wait ends with its context: that of the one who is next, and of those behind him.
func TestBandwidthContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := limits.NewBandwidth(100*kB, 0)
		ctx, cancel := context.WithCancelCause(t.Context())
		var g sync.WaitGroup
		for range 3 {
			for _, user := range []string{"ann", "ben"} {
				g.Go(func() {
					transfer := b.Transfer(user, limits.Up, 40*kB)
					defer transfer.Done()
					began := time.Now()
					if err := transfer.Wait(ctx, 100*mB); !errors.Is(err, errOver) {
						t.Error(err)
					}
					if d := time.Since(began); d != 10010*time.Millisecond {
						t.Errorf("%s: ended after %v", user, d)
					}
				})
			}
		}
		<-time.After(10010 * time.Millisecond)
		cancel(errOver)
		g.Wait()
		transfer := b.Transfer("cid", limits.Up, 0)
		defer transfer.Done()
		if err := transfer.Wait(ctx, 100*mB); !errors.Is(err, errOver) {
			t.Errorf("a context that had ended: %v", err)
		}
		transfer = b.Transfer("dan", limits.Up, 0)
		defer transfer.Done()
		within(t, "500 kB after others broke off", took(func() { _ = transfer.Wait(t.Context(), 500*kB) }),
			4*time.Second, 5*time.Second)
	})
}

// A user who has gone leaves nothing but what is needed to hold him to his limit.
func TestBandwidthForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := limits.NewBandwidth(0, 0)
		for i := range 10_000 {
			transfer := b.Transfer(numbered(i).String(), limits.Up, 100*mB)
			if err := transfer.Wait(t.Context(), 70_000); err != nil {
				t.Error(err)
			}
			transfer.Done()
			<-time.After(time.Millisecond) // what it lacked takes 0.7 of it
			if n := limits.Limited(b); n > 20 {
				t.Fatalf("%d users are kept", n)
			}
		}
		b = limits.NewBandwidth(0, 0)
		first, second := b.Transfer("ann", limits.Up, 0), b.Transfer("ann", limits.Up, 0)
		first.Done()
		first.Done()
		if n := limits.Limited(b); n != 1 {
			t.Errorf("%d users are kept, want the one who is here", n)
		}
		second.Done()
		if n := limits.Limited(b); n != 0 {
			t.Errorf("%d users are kept", n)
		}
	})
}

func TestBandwidthNothingToWaitFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended, cancel := context.WithCancelCause(t.Context())
		cancel(errOver)
		transfer := limits.NewBandwidth(0, 0).Transfer("ann", limits.Up, mB)
		defer transfer.Done()
		for _, n := range []int{0, -1, -10 * mB} {
			if err := transfer.Wait(ended, n); err != nil {
				t.Errorf("%d bytes: %v", n, err)
			}
		}
		for range 100 { // however much there is, and nobody else who wants it
			if err := transfer.Wait(ended, 1); !errors.Is(err, errOver) {
				t.Fatalf("a context that had ended: %v", err)
			}
		}
		within(t, "2 MB", took(func() { _ = transfer.Wait(t.Context(), 2*mB) }), 1900*time.Millisecond, 2*time.Second)
	})
}

func TestBandwidthUnlimitedAllocatesNothing(t *testing.T) {
	b := limits.NewBandwidth(0, -1)
	up, down := b.Transfer("ann", limits.Up, 0), b.Transfer("ann", limits.Down, -1)
	defer up.Done()
	defer down.Done()
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() { _, _ = up.Wait(ctx, 1<<20), down.Wait(ctx, 1<<20) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Transfers that come, go and change each other's rate at the same time end, all of them.
func TestBandwidthAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := limits.NewBandwidth(50*mB, 0)
		var g sync.WaitGroup
		for i := range 20 {
			g.Go(func() {
				for j := range 20 {
					transfer := b.Transfer([]string{"ann", "ben"}[i%2], limits.Up, int64(i*j%7)*mB)
					var inner sync.WaitGroup
					for range 2 {
						inner.Go(func() {
							if err := transfer.Wait(t.Context(), 100*kB); err != nil {
								t.Error(err)
							}
						})
					}
					inner.Wait()
					transfer.Done()
				}
			})
		}
		g.Wait()
	})
}

func BenchmarkWaitUnlimited(b *testing.B) {
	transfer := limits.NewBandwidth(0, 0).Transfer("ann", limits.Up, 0)
	defer transfer.Done()
	ctx := b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_ = transfer.Wait(ctx, 64<<10)
		}
	})
}

func BenchmarkWaitLimited(b *testing.B) {
	transfer := limits.NewBandwidth(1<<50, 0).Transfer("ann", limits.Up, 1<<50)
	defer transfer.Done()
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		_ = transfer.Wait(ctx, 64<<10)
	}
}
