package limits_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sluice-ftp/sluice/limits"
)

func TestSessions(t *testing.T) {
	var s limits.Sessions
	start := func(user string, most int, want bool) func() {
		t.Helper()
		release, ok := s.Acquire(user, most)
		if ok != want || (release != nil) != want {
			t.Fatalf("%s of at most %d: %v", user, most, ok)
		}
		return release
	}
	first := start("ann", 2, true)
	second := start("ann", 2, true)
	start("ann", 2, false)
	ben := start("ben", 1, true)
	third := start("ann", 0, true) // no limit, but counted
	start("ann", 3, false)
	fourth := start("ann", 4, true)
	fourth()
	third()
	third()
	start("ann", 2, false) // the second release of the third did nothing
	first()
	first = start("ann", 2, true)
	for _, release := range []func(){first, second, ben} {
		release()
	}
	if n := limits.OpenOf(&s); n != 0 {
		t.Errorf("%d users are left", n)
	}
}

func TestSessionsAtOnce(t *testing.T) {
	var s limits.Sessions
	var granted atomic.Int64
	var g sync.WaitGroup
	for range 50 {
		g.Go(func() {
			if _, ok := s.Acquire("ann", 7); ok {
				granted.Add(1)
			}
		})
	}
	g.Wait()
	if n := granted.Load(); n != 7 {
		t.Errorf("%d sessions at once, want 7", n)
	}
}
