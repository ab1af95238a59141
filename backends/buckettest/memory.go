package buckettest

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
	"github.com/sluice-ftp/sluice/backends/pages"
	"github.com/sluice-ftp/sluice/backends/storefake"
)

// testRequests holds every method to the requests that it needs, and to the time of those that follow
// one another.
func testRequests(t *testing.T, k *Kind) {
	const trip = time.Second
	for name, do := range map[string]func(ctx context.Context, a *bucket.Adapter) error{
		"put small": func(ctx context.Context, a *bucket.Adapter) error {
			return Put(ctx, a, "new", "small", backends.PutOptions{})
		},
		"put a page": func(ctx context.Context, a *bucket.Adapter) error {
			return Put(ctx, a, "new", oldBytes[:Part-1], backends.PutOptions{})
		},
		"put in parts": func(ctx context.Context, a *bucket.Adapter) error {
			return Put(ctx, a, "new", oldBytes, backends.PutOptions{})
		},
		"stat":             func(ctx context.Context, a *bucket.Adapter) error { _, err := a.Stat(ctx, "d/k"); return err },
		"stat of a folder": func(ctx context.Context, a *bucket.Adapter) error { _, err := a.Stat(ctx, "d"); return err },
		"list": func(ctx context.Context, a *bucket.Adapter) error {
			for _, err := range a.List(ctx, "d", backends.ListOptions{}) {
				if err != nil {
					return err
				}
			}
			return nil
		},
		"open and read": func(ctx context.Context, a *bucket.Adapter) error { _, err := Read(ctx, a, "d/k"); return err },
		"remove":        func(ctx context.Context, a *bucket.Adapter) error { return a.Remove(ctx, "d/k") },
		"mkdir":         func(ctx context.Context, a *bucket.Adapter) error { return a.Mkdir(ctx, "new") },
		"set the time":  func(ctx context.Context, a *bucket.Adapter) error { return a.SetModTime(ctx, "d/k", newTime) },
		"copy": func(ctx context.Context, a *bucket.Adapter) error {
			_, err := a.Copy(ctx, "d/k", "k", backends.CopyOptions{})
			return err
		},
		"rename": func(ctx context.Context, a *bucket.Adapter) error {
			return a.Rename(ctx, "d/k", "d/l", backends.RenameOptions{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			InBubble(t, k, Options{Latency: trip}, func(b *Bubble) {
				b.fill(map[string]string{"d/": "", "d/k": "old"})
				a := b.ready()
				begun := time.Now()
				if err := do(b.Context(), a); err != nil {
					b.Fatal(err)
				}
				took := time.Since(begun)
				var ops []string
				for _, r := range b.Requests() {
					ops = append(ops, r.Op)
				}
				slices.Sort(ops)
				want := k.Requests[name]
				if got := strings.Join(ops, ", "); got != want.requests {
					b.Errorf("requests: %s\nwant:     %s", got, want.requests)
				}
				if took > time.Duration(want.trips)*trip {
					b.Errorf("it took %v, that is more than %d requests one after another", took, want.trips)
				}
			})
		})
	}
}

// budget is for so many parts of 1 MiB, besides the beginnings.
func budget(t testing.TB, parts int64) *pages.Budget {
	t.Helper()
	memory, err := pages.New(max(pages.MinBudget, parts*bigPart/3*4))
	if err != nil {
		t.Fatal(err)
	}
	if held := memory.Parts() - parts*bigPart; held > 0 {
		lease, err := memory.Reserve(t.Context(), held)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(lease.Release)
	}
	return memory
}

// bigPart is a part that does not grow until there are very many.
const bigPart = 1 << 20

// with is an option of Open.
func with(memory *pages.Budget) func(*Setup) {
	return func(s *Setup) {
		s.Part, s.Whole = bigPart, 4*bigPart
		s.Change = func(c *bucket.Config) { c.Memory = memory }
	}
}

// isFree checks that nobody holds any of so many parts.
func isFree(t testing.TB, memory *pages.Budget, parts int64) {
	t.Helper()
	lease := memory.TryReserve(parts * bigPart)
	if lease == nil {
		t.Error("not all memory was given back")
		return
	}
	lease.Release()
}

// slowStore answers late, and keeps no bytes.
var slowStore = Options{Latency: time.Second, Discard: true}

// testPartsAtOnce: while the store is slow and memory is free, more and more parts are on their way.
func testPartsAtOnce(t *testing.T, k *Kind) {
	InBubble(t, k, slowStore, func(b *Bubble) {
		const free = 24
		memory := budget(b, free)
		a := b.Open(with(memory))
		begun := time.Now()
		if _, err := a.Put(b.Context(), "k", io.LimitReader(&endless{}, 120*bigPart), backends.PutOptions{}); err != nil {
			b.Fatal(err)
		}
		if n := b.mostAtOnce(SendPart); n != k.AtOnce {
			b.Errorf("%d parts were on their way at once, not %d", n, k.AtOnce)
		}
		if took := time.Since(begun); took > k.WideTime {
			b.Errorf("120 parts took %v", took)
		}
		isFree(b, memory, free)
	})
}

// testManyUploads: thirty uploads share memory for three parts. All of them come to their end, and
// none is much faster than another.
func testManyUploads(t *testing.T, k *Kind) {
	InBubble(t, k, slowStore, func(b *Bubble) {
		const uploads, free = 30, 3
		memory := budget(b, free)
		a := b.Open(with(memory))
		begun := time.Now()
		var took [uploads]time.Duration
		var writers sync.WaitGroup
		for i := range uploads {
			writers.Go(func() {
				key, bytes := fmt.Sprint("k", i), Content(uint64(i), 2*bigPart+1)
				if err := Put(b.Context(), a, key, bytes, backends.PutOptions{}); err != nil {
					b.Errorf("%s: %v", key, err)
				}
				sum := crc32.Checksum([]byte(bytes), crc32.MakeTable(k.Polynomial))
				if o, _ := b.Object(key); o.CRC != sum || o.Size != int64(len(bytes)) {
					b.Errorf("%s is not what was sent", key)
				}
				took[i] = time.Since(begun)
			})
		}
		writers.Wait()
		if n := b.mostAtOnce(SendPart); n != free {
			b.Errorf("%d parts were on their way at once; there is memory for %d", n, free)
		}
		fastest, slowest := slices.Min(took[:]), slices.Max(took[:])
		if slowest > 3*fastest {
			b.Errorf("the fastest took %v, the slowest %v", fastest, slowest)
		}
		isFree(b, memory, free)
	})
}

// testWideUploads: a few uploads use all the memory there is, and no more.
func testWideUploads(t *testing.T, k *Kind) {
	InBubble(t, k, slowStore, func(b *Bubble) {
		const uploads, free = 4, 20
		memory := budget(b, free)
		a := b.Open(with(memory))
		var writers sync.WaitGroup
		for i := range uploads {
			writers.Go(func() {
				_, err := a.Put(b.Context(), fmt.Sprint("k", i), io.LimitReader(&endless{}, 30*bigPart), backends.PutOptions{})
				if err != nil {
					b.Error(err)
				}
			})
		}
		writers.Wait()
		most := min(free, uploads*k.AtOnce)
		if n := b.mostAtOnce(SendPart); n > most || n < most*3/4 {
			b.Errorf("%d parts were on their way at once; there could be %d", n, most)
		}
		isFree(b, memory, free)
	})
}

// endless never ends, and counts what was read of it.
type endless struct{ sum atomic.Int64 }

// Read implements io.Reader.
func (e *endless) Read(p []byte) (int, error) {
	e.sum.Add(int64(len(p)))
	return len(p), nil
}

// testWaitingUploadEnds: an upload that waits for memory ends when its context does, and reads nothing
// while it waits.
func testWaitingUploadEnds(t *testing.T, k *Kind) {
	for _, test := range []struct {
		name  string
		free  int64 // memory for parts
		first bool  // there are first pages
		most  int64 // bytes that may be read
	}{
		{"for its first part without a page", 0, false, Part - 1},
		{"for its first part", 0, true, Part},
		{"for its next part", 1, true, 2 * bigPart},
	} {
		t.Run(test.name, func(t *testing.T) {
			InBubble(t, k, Options{}, func(b *Bubble) {
				memory := budget(b, test.free)
				if !test.first {
					for lease := memory.TryFirst(); lease != nil; lease = memory.TryFirst() {
						defer lease.Release()
					}
				}
				a := b.Open(with(memory))
				ctx, cancel := context.WithCancel(b.Context())
				r := &endless{}
				done := make(chan error)
				hold := make(chan struct{})
				if test.free == 1 { // its first part is on its way, and someone else comes for the memory
					b.OnRequest(func(q Request) Fault {
						if q.Op == SendPart {
							return wired(storefake.Fault{Stall: hold})
						}
						return Fault{}
					})
				}
				go func() {
					_, err := a.Put(ctx, "k", r, backends.PutOptions{})
					done <- err
				}()
				synctest.Wait()
				if n := r.sum.Load(); n > test.most {
					b.Errorf("%d bytes were read", n)
				}
				begun := time.Now()
				cancel()
				close(hold)
				if err := <-done; !errors.Is(err, context.Canceled) {
					b.Error(err)
				}
				if took := time.Since(begun); took > time.Second {
					b.Errorf("it took %v to end", took)
				}
				b.wantNothingLeft()
				if keys := b.Keys(); len(keys) > 0 {
					b.Errorf("the bucket holds %q", keys)
				}
				isFree(b, memory, test.free)
			})
		})
	}
}

// testEndsWithContext: while nothing was asked that may publish, an upload whose client has gone ends
// before long, also when the store has gone too.
func testEndsWithContext(t *testing.T, k *Kind) {
	for name, hangs := range map[string]bool{"hangs up": false, "hangs": true} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, k, Options{}, func(b *Bubble, n int) (done bool) {
				ctx, cancel := context.WithCancel(b.Context())
				defer cancel()
				var mu sync.Mutex
				var gone time.Time
				publishing := false
				b.OnRequest(func(r Request) Fault {
					mu.Lock()
					defer mu.Unlock()
					publishing = publishing || r.Op == Complete
					if r.Index == n {
						gone = time.Now()
						cancel()
					}
					switch {
					case r.Index < n:
						return Fault{}
					case hangs:
						return wired(storefake.Fault{Stall: b.Context().Done()})
					}
					return before
				})
				_, err := b.Open().Put(ctx, "k", io.LimitReader(&endless{}, 3*Part), backends.PutOptions{})
				b.OnRequest(nil)
				mu.Lock()
				defer mu.Unlock()
				if gone.IsZero() || publishing {
					return true
				}
				if took := time.Since(gone); took > 2*time.Minute {
					b.Errorf("it took %v: %v", took, err)
				}
				return false
			})
		})
	}
}

// checker compares what is written with what should be.
type checker struct {
	want string
	sum  int
	hook func(sum int) error
}

// Write implements io.Writer.
func (c *checker) Write(p []byte) (int, error) {
	if c.sum+len(p) > len(c.want) || c.want[c.sum:c.sum+len(p)] != string(p) {
		return 0, fmt.Errorf("wrong bytes at %d", c.sum)
	}
	c.sum += len(p)
	if c.hook != nil {
		return len(p), c.hook(c.sum)
	}
	return len(p), nil
}

// rated is a store whose connections are slow.
var rated = Options{Rate: 20 << 20, Latency: 20 * time.Millisecond}

// rough is such a store that keeps no bytes.
var rough = Options{Rate: rated.Rate, Latency: rated.Latency, Discard: true}

// zeros are what it delivers.
var zeros = sync.OnceValue(func() string { return strings.Repeat("\x00", filmSize) })

// filmSize is large enough for several connections.
const filmSize = 52 << 20

// putFilm puts such an object into the store.
func (b *Bubble) putFilm() (film string) {
	if film = zeros(); !b.Options.Discard {
		film = Content(9, filmSize)
	}
	b.Put("film", bytesOf(film), nil)
	return film
}

// openFilm opens it.
func (b *Bubble) openFilm(memory *pages.Budget) backends.Reader {
	b.Helper()
	r, err := b.ready(with(memory)).Open(b.Context(), "film", backends.OpenOptions{})
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// testDownloadWidens: when a connection is the bottleneck, several are used, all for one version.
func testDownloadWidens(t *testing.T, k *Kind) {
	InBubble(t, k, rated, func(b *Bubble) {
		memory := budget(b, 12)
		film := b.putFilm()
		r := b.openFilm(memory)
		begun := time.Now()
		w := &checker{want: film}
		n, err := r.WriteTo(w)
		if err != nil || n != int64(len(film)) || w.sum != len(film) {
			b.Errorf("%d bytes of %d, %v", n, len(film), err)
		}
		if took := time.Since(begun); took > 2*time.Second { // by one connection it is 2.6 s
			b.Errorf("it took %v", took)
		}
		version := r.Object().Version
		for _, q := range b.Requests()[1:] {
			if q.Op != Get || k.Pinned(q) != version || q.Header.Get("Range") == "" {
				b.Errorf("request %d: %s of version %q, Range %q", q.Index, q.Op, k.Pinned(q), q.Header.Get("Range"))
			}
		}
		if o, _ := b.Object("film"); o.Version != version {
			b.Errorf("version %q, not %q", version, o.Version)
		}
		if n := b.mostAtOnce(Get); n < 2 {
			b.Errorf("%d requests at once", n)
		}
		if err := r.Close(); err != nil {
			b.Error(err)
		}
		isFree(b, memory, 12)
	})
}

// testDownloadStaysNarrow: a slow client needs one request, and so does one for which there is no
// memory.
func testDownloadStaysNarrow(t *testing.T, k *Kind) {
	InBubble(t, k, rough, func(b *Bubble) {
		film := b.putFilm()
		for _, test := range []struct {
			name string
			free int64
			hook func(sum int) error
		}{
			{"slow client", 12, func(int) error {
				b.Pass(200 * time.Millisecond)
				return nil
			}},
			{"no memory", 0, nil},
		} {
			r := b.openFilm(budget(b, test.free))
			n, err := r.WriteTo(&checker{want: film, hook: test.hook})
			if err != nil || n != int64(len(film)) {
				b.Errorf("%s: %d bytes of %d, %v", test.name, n, len(film), err)
			}
			if n := b.Count(""); n != 1 {
				b.Errorf("%s: %d requests", test.name, n)
			}
			if err := r.Close(); err != nil {
				b.Error(err)
			}
		}
	})
}

// testDownloadEndsInTheMiddle: whoever ends a wide download gives its memory back.
func testDownloadEndsInTheMiddle(t *testing.T, k *Kind) {
	errGone := errors.New("client has gone")
	InBubble(t, k, rough, func(b *Bubble) {
		film := b.putFilm()
		for _, how := range []string{"client", "close", "store", "overwrite"} {
			memory := budget(b, 12)
			r := b.openFilm(memory)
			hook := func(sum int) error {
				if sum < 40<<20 {
					return nil
				}
				switch how {
				case "client":
					return errGone
				case "close":
					return r.Close()
				case "overwrite":
					b.Put("film", []byte("another"), nil)
				case "store":
					b.OnRequest(func(Request) Fault { return Fault{Status: 403} })
				}
				return nil
			}
			n, err := r.WriteTo(&checker{want: film, hook: hook})
			b.OnRequest(nil)
			switch {
			case err == nil || n == int64(len(film)):
				b.Errorf("%s: %d bytes, and no error", how, n)
			case how == "client" && !errors.Is(err, errGone):
				b.Error(err)
			case how == "overwrite" && backends.KindOf(err) != backends.Conflict:
				b.Error(err)
			}
			if b.mostAtOnce(Get) < 2 {
				b.Errorf("%s: it was not wide", how)
			}
			if err := r.Close(); err != nil {
				b.Error(err)
			}
			isFree(b, memory, 12)
		}
	})
}

// testSmallBudget: the smallest budget is enough for an upload of any size, with what a store has
// outside of tests.
func testSmallBudget(t *testing.T, k *Kind) {
	want := Content(8, 9<<20)
	sum := crc32.Checksum([]byte(want), crc32.MakeTable(k.Polynomial))
	for _, variant := range append([]string{""}, k.Small...) {
		t.Run(called(variant), func(t *testing.T) {
			InBubble(t, k, Options{Variant: variant, Discard: true}, func(b *Bubble) {
				a := b.Open(with(budget(b, 12)), func(s *Setup) { s.Part, s.Whole = 0, 0 })
				defer func() {
					if p := recover(); p != nil {
						b.Error(p)
					}
				}()
				if err := Put(b.Context(), a, "k", want, backends.PutOptions{}); err != nil {
					b.Fatal(err)
				}
				if o, _ := b.Object("k"); o.CRC != sum || o.Size != int64(len(want)) {
					b.Error("it is not what was sent")
				}
			})
		})
	}
}
