package limits_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/limits"
)

// Of operations that meet on a file, none takes anything off, and the next count mends that.
func TestTouchesMeet(t *testing.T) {
	for name, keys := range map[string]struct {
		a, b []string
		meet bool
	}{
		"the same":          {[]string{"d/f"}, []string{"d/f"}, true},
		"others":            {[]string{"d/f"}, []string{"d/g"}, false},
		"a longer name":     {[]string{"d/f"}, []string{"d/ff"}, false},
		"the folder":        {[]string{"d/f"}, []string{"d"}, true},
		"the folder, later": {[]string{"d"}, []string{"d/f"}, true},
		"the target":        {[]string{"x", "d"}, []string{"y", "d/e/f"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			u := limits.NewQuotas().User("ann")
			u.BeginCount().Finish(100, 2)
			a, b := u.Touch(keys.a...), u.Touch(keys.b...)
			r, err := a.Begin(limits.Max{}, 50)
			if err != nil {
				t.Fatal(err)
			}
			r.Commit(7)
			b.Removed(50)
			b.End()
			if u.Doubtful() != keys.meet {
				t.Errorf("doubtful is %v", u.Doubtful())
			}
			if keys.meet {
				stored(t, u, 107, 3)
			} else {
				stored(t, u, 7, 1)
			}
			u.BeginCount().Finish(9, 1)
			if u.Doubtful() {
				t.Error("doubtful after a count")
			}
			remove(u, 9)
			stored(t, u, 0, 0)
		})
	}
}

// A file that is deleted while it is counted is not taken off what did not see it.
func TestCountMeetsTouches(t *testing.T) {
	u := limits.NewQuotas().User("ann")
	touch := u.Touch("f")
	u.BeginCount().Finish(5, 1) // without f, which has gone already
	touch.Removed(100)
	touch.End()
	stored(t, u, 5, 1)
	if !u.Doubtful() {
		t.Error("not doubtful")
	}
}

func TestKept(t *testing.T) {
	u := limits.NewQuotas().User("ann")
	most := limits.Max{Bytes: 100}
	u.BeginCount().Finish(40, 1)
	u.Keep("b", 20)
	u.Keep("a", 10)
	u.Keep("a", 30) // it went on, and broke off again
	stored(t, u, 40, 1)
	if diff := cmp.Diff([]string{"a", "b"}, u.Kept()); diff != "" {
		t.Error(diff)
	}
	grow(t, begin(t, u, most, -1), 11, limits.ErrQuota)
	if n := u.Drop("a"); n != 30 {
		t.Errorf("%d bytes were kept", n)
	}
	if n := u.Drop("a"); n != 0 {
		t.Errorf("%d bytes are kept still", n)
	}
	grow(t, begin(t, u, most, -1), 40, nil)
}

// Whatever meets whatever, usage is never below what is stored, and right once it was counted in peace.
func TestQuotaNeverTooLow(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	u := limits.NewQuotas().User("ann")
	files := map[string]int64{}
	names := []string{"a", "b", "c"}
	sizeOf := func(name string) int64 {
		if size, ok := files[name]; ok {
			return size
		}
		return -1
	}
	type op struct {
		name    string
		touch   *limits.Touch
		r       *limits.Reservation // of an upload
		present int64
		size    int64
		done    bool // at the store, not noted yet
	}
	var running []*op
	var count *limits.Count
	var countedBytes, countedFiles int64
	actual := func() (bytes, n int64) {
		for _, size := range files {
			bytes, n = bytes+size, n+1
		}
		return bytes, n
	}
	for step := range 50_000 {
		switch random.IntN(7) {
		case 0, 1: // begins and looks
			if len(running) > 4 {
				break
			}
			o := &op{name: names[random.IntN(len(names))]}
			o.touch = u.Touch(o.name)
			o.present = sizeOf(o.name)
			if random.IntN(2) == 0 {
				var err error
				if o.r, err = o.touch.Begin(limits.Max{}, o.present); err != nil {
					t.Fatal(err)
				}
			}
			running = append(running, o)
		case 2, 3: // the store does it
			for _, o := range running {
				if o.done {
					continue
				}
				if o.r != nil {
					o.size = random.Int64N(100)
					files[o.name] = o.size
				} else if o.present = sizeOf(o.name); o.present >= 0 {
					delete(files, o.name)
				}
				o.done = true
				break
			}
		case 4: // and it is noted
			i := slices.IndexFunc(running, func(o *op) bool { return o.done })
			if i < 0 {
				break
			}
			o := running[i]
			running = slices.Delete(running, i, i+1)
			switch {
			case o.r != nil:
				o.r.Commit(o.size)
			case o.present >= 0:
				o.touch.Removed(o.present)
				o.touch.End()
			default:
				o.touch.End()
			}
		case 5:
			if count == nil {
				count = u.BeginCount()
				countedBytes, countedFiles = actual()
			}
		case 6:
			if count != nil {
				count.Finish(countedBytes, countedFiles)
				count = nil
			}
		}
		if len(running) > 0 || count != nil {
			continue
		}
		bytes, n := actual()
		if b, f := u.Get(); b < bytes || f < n {
			t.Fatalf("seed %d, step %d: %d bytes in %d files, and there are %d in %d", seed, step, b, f, bytes, n)
		}
		if b, f := u.Get(); !u.Doubtful() && step > 0 && !u.Counted().IsZero() && (b != bytes || f != n) {
			t.Fatalf("seed %d, step %d: %d bytes in %d files, without a doubt, and there are %d in %d", seed, step, b, f, bytes, n)
		}
		if random.IntN(10) == 0 {
			u.BeginCount().Finish(bytes, n)
		}
	}
}
