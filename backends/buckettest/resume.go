package buckettest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
)

const acme = "acme"

// errLine is what a client's line says when it breaks.
var errLine = errors.New("the line broke")

// cut delivers the beginning of a content and then breaks.
func cut(content string, n int) io.Reader {
	return io.MultiReader(strings.NewReader(content[:n]), broken{})
}

type broken struct{}

// Read implements io.Reader.
func (broken) Read([]byte) (int, error) { return 0, errLine }

// callback is a reader of nothing that calls something before its end.
type callback func()

// Read implements io.Reader.
func (c callback) Read([]byte) (int, error) {
	c()
	return 0, io.EOF
}

// waiting is a reader of nothing that ends when a channel is closed.
type waiting chan struct{}

// Read implements io.Reader.
func (w waiting) Read([]byte) (int, error) {
	<-w
	return 0, io.EOF
}

// Resumable are the options of an upload of acme's that is to be kept.
func Resumable() backends.PutOptions { return backends.PutOptions{Resumable: true, Owner: acme} }

// Continuing are those of one that goes on from what was kept.
func Continuing(p backends.Pending, offset int64) backends.PutOptions {
	o := Resumable()
	o.Continue, o.Offset = p.Version, offset
	return o
}

// Pending returns what is kept, and fails if nothing is.
func (b *Bubble) Pending(a *bucket.Adapter, key string) backends.Pending {
	b.Helper()
	p, err := a.Pending(b.Context(), key, acme)
	if err != nil {
		b.Fatal(err)
	}
	return p
}

func (b *Bubble) wantPending(a *bucket.Adapter, key, owner string, kind backends.Kind) {
	b.Helper()
	if p, err := a.Pending(b.Context(), key, owner); err == nil || backends.KindOf(err) != kind {
		b.Errorf("pending for %s: %+v, %v, want %v", owner, p, err, kind)
	}
}

// WantObject fails unless key holds want, which is nothing at all if it is "", and nothing is left.
func (b *Bubble) WantObject(key, want string) {
	b.Helper()
	o, ok := b.Object(key)
	if !ok && want != "" || string(o.Data) != want {
		b.Errorf("%s has %d bytes, want %d", key, len(o.Data), len(want))
	}
	b.wantNothingLeft()
}

// keep has the beginning of a content kept.
func (b *Bubble) keep(a *bucket.Adapter, key, content string, n int, o backends.PutOptions) {
	b.Helper()
	obj, err := a.Put(b.Context(), key, cut(content, n), o)
	if !errors.Is(err, errLine) {
		b.Fatal(obj, err)
	}
}

// An upload is cut again and again, and each time another process goes on with it.
func testContinued(t *testing.T, k *Kind) {
	for _, variant := range append([]string{""}, k.Continued...) {
		for _, cuts := range [][]int{
			{Part}, {Part + 1}, {2*Part + Part/2}, {4*Part + 3, 4*Part + 4, 7 * Part}, {9*Part + 7},
		} {
			t.Run(fmt.Sprint(called(variant), cuts), func(t *testing.T) {
				InBubble(t, k, Options{Variant: variant}, func(b *Bubble) {
					b.Put("k", []byte("old"), nil)
					b.Pass(time.Second)
					want := Content(5, 9*Part+7)
					o, at := Resumable(), int64(0)
					for _, n := range cuts {
						obj, err := b.Open().Put(b.Context(), "k", cut(want[at:], n-int(at)), o)
						if !errors.Is(err, errLine) || obj.Size != int64(n) {
							b.Fatalf("cut at %d: %d bytes are kept, %v", n, obj.Size, err)
						}
						if old, _ := b.Object("k"); string(old.Data) != "old" {
							b.Errorf("cut at %d: %d bytes are published", n, len(old.Data))
						}
						p := b.Pending(b.Open(), "k")
						if p.Size != obj.Size {
							b.Errorf("%+v, want %d bytes", p, obj.Size)
						}
						o, at = Continuing(p, p.Size), p.Size
					}
					a := b.Open()
					obj, err := a.Put(b.Context(), "k", strings.NewReader(want[at:]), o)
					if err != nil || obj.Size != int64(len(want)) {
						b.Fatal(obj, err)
					}
					b.WantObject("k", want)
					b.wantPending(a, "k", acme, backends.NotExist)
					const records = 10 << 10
					if sent, most := b.Received(), int64(len(want)+len(cuts)*(Part+records)); sent > most {
						b.Errorf("%d bytes were sent, %d at most", sent, most)
					}
					for _, r := range b.Requests() {
						if r.Op == Get && r.Key == "k" {
							b.Error("content was read")
						}
					}
				})
			})
		}
	}
}

// What the client sends again is compared, as far as it covers whole parts or what is not a part yet,
// and something else changes nothing. The first part is of Part, the next ones are larger.
func testSentAgain(t *testing.T, k *Kind) {
	const inTail, inParts = Part + 1000, 3*Part + 1000
	for _, test := range []struct {
		kept, offset int
		wrong        int // the byte that is another one, or -1
		refused      bool
	}{
		{inTail, 0, -1, false},
		{inTail, 0, 5, true},
		{inTail, 0, inTail - 1, true},
		{inTail, 1, -1, false},
		{inTail, 1, inTail - 1, true},
		{inTail, Part, Part, true},
		{inTail, Part + 10, -1, false},
		{inTail, Part + 10, inTail - 1, true},
		{inTail, inTail, inTail, false},
		{inParts, 0, -1, false},
		{inParts, 0, 5, true},
		{inParts, Part - 1, 2 * Part, true},
		{inParts, Part, 2 * Part, true},
		{inParts, Part, inParts - 1, true},
		{inParts, Part + 1, -1, false},
	} {
		for _, short := range []bool{false, true} {
			t.Run(fmt.Sprint(test, short), func(t *testing.T) {
				InBubble(t, k, Options{}, func(b *Bubble) {
					want := Content(5, 5*Part)
					b.keep(b.Open(), "k", want, test.kept, Resumable())
					p := b.Pending(b.Open(), "k")
					again := []byte(want[test.offset:])
					if test.wrong >= 0 {
						again[test.wrong-test.offset] ^= 1
					}
					if short {
						again = again[:(test.kept-test.offset)/2]
					}
					refused := test.refused || short && test.offset < test.kept
					err := Put(b.Context(), b.Open(), "k", string(again), Continuing(p, int64(test.offset)))
					if !refused {
						if err != nil {
							b.Error(err)
						}
						b.WantObject("k", want[:test.offset]+string(again))
						return
					}
					if backends.KindOf(err) != backends.Conflict {
						b.Error("something else was taken:", err)
					}
					p = b.Pending(b.Open(), "k")
					if p.Size != int64(test.kept) {
						b.Errorf("%+v", p)
					}
					if err := Put(b.Context(), b.Open(), "k", want[test.kept:], Continuing(p, p.Size)); err != nil {
						b.Error(err)
					}
					b.WantObject("k", want)
				})
			})
		}
	}
}

// Two owners keep uploads to one key, and each goes on with its own.
func testTwoOwners(t *testing.T, k *Kind) {
	InBubble(t, k, Options{}, func(b *Bubble) {
		a := b.Open()
		theirs := Resumable()
		theirs.Owner = "other"
		for _, o := range []backends.PutOptions{Resumable(), theirs} {
			b.keep(a, "k", Content(uint64(len(o.Owner)), 3*Part), 2*Part, o)
		}
		if p, err := a.Pending(b.Context(), "k", "other"); err != nil || p.Size != 2*Part {
			b.Errorf("%+v, %v", p, err)
		}
		p := b.Pending(a, "k")
		want := Content(uint64(len(acme)), 3*Part)
		if err := Put(b.Context(), a, "k", want[p.Size:], Continuing(p, p.Size)); err != nil {
			b.Error(err)
		}
		if !b.holds(want, "k") {
			b.Error("it is not there")
		}
		b.Sweep(a)
		b.WantObject("k", want)
	})
}

// A version that was gone on with, and parked again, is no longer the one to go on from.
func testStaleVersion(t *testing.T, k *Kind) {
	InBubble(t, k, Options{}, func(b *Bubble) {
		a, want := b.Open(), Content(5, 6*Part)
		b.keep(a, "k", want, 2*Part, Resumable())
		stale := b.Pending(a, "k")
		b.keep(a, "k", want[stale.Size:], Part, Continuing(stale, stale.Size))
		if err := Put(b.Context(), a, "k", want[stale.Size:], Continuing(stale, stale.Size)); backends.KindOf(err) != backends.Busy {
			b.Error(err)
		}
		p := b.Pending(a, "k")
		if err := Put(b.Context(), a, "k", want[p.Size:], Continuing(p, p.Size)); err != nil {
			b.Error(err)
		}
		b.WantObject("k", want)
	})
}

// Whatever comes to the key after the upload broke off counts, and the kept is dropped in time.
func testKeptIsOlder(t *testing.T, k *Kind) {
	InBubble(t, k, Options{}, func(b *Bubble) {
		a := b.Open()
		b.keep(a, "k", newBytes, 2*Part, Resumable())
		b.Pass(time.Second)
		if err := Put(b.Context(), a, "k", "small", Resumable()); err != nil {
			b.Fatal(err)
		}
		b.wantPending(a, "k", acme, backends.NotExist)
		b.Sweep(a)
		b.WantObject("k", "small")
	})
}

// A large upload from the beginning drops what was kept before.
func testStartedAfresh(t *testing.T, k *Kind) {
	InBubble(t, k, Options{}, func(b *Bubble) {
		a := b.Open()
		for range 3 {
			b.keep(a, "k", oldBytes, 2*Part, Resumable())
		}
		if n := len(b.Uploads()); n != 1 {
			b.Errorf("%d uploads are open", n)
		}
		if err := Put(b.Context(), a, "k", newBytes, Resumable()); err != nil {
			b.Fatal(err)
		}
		b.WantObject("k", newBytes)
	})
}

func testDiscard(t *testing.T, k *Kind) {
	InBubble(t, k, Options{}, func(b *Bubble) {
		a := b.Open()
		if err := a.Discard(b.Context(), "k", acme); err != nil {
			b.Error(err)
		}
		b.keep(a, "k", newBytes, 2*Part, Resumable())
		if err := a.Discard(b.Context(), "k", acme); err != nil {
			b.Error(err)
		}
		b.wantPending(a, "k", acme, backends.NotExist)
		b.WantObject("k", "")
	})
}

// Little is not kept, nor what the store has refused or what nobody asked to keep.
func testNotKept(t *testing.T, k *Kind) {
	for name, test := range map[string]struct {
		r    io.Reader
		o    backends.PutOptions
		busy bool // the store takes no parts
	}{
		"nothing sent":  {strings.NewReader(newBytes), Resumable(), true},
		"little":        {cut(newBytes, Part-1), Resumable(), false},
		"not resumable": {cut(newBytes, 2*Part), backends.PutOptions{}, false},
		"too large":     {strings.NewReader(newBytes), backends.PutOptions{Resumable: true, Owner: acme, MaxSize: 2 * Part}, false},
	} {
		t.Run(name, func(t *testing.T) {
			InBubble(t, k, Options{}, func(b *Bubble) {
				a := b.Open()
				b.OnRequest(func(r Request) Fault {
					if test.busy && r.Op == SendPart {
						return Fault{Code: k.SlowDown}
					}
					return Fault{}
				})
				obj, err := a.Put(b.Context(), "k", test.r, test.o)
				if err == nil || obj.Size != 0 {
					b.Error(obj, err)
				}
				b.wantPending(a, "k", acme, backends.NotExist)
				b.WantObject("k", "")
			})
		})
	}
}

// The process is killed at every request, and another one goes on, or begins again if nothing is kept.
func testKilledAndContinued(t *testing.T, k *Kind) {
	want := Content(5, 4*Part+9)
	for at := 0; ; at++ {
		lived := false
		for _, after := range []bool{false, true} {
			d := death{at: at, after: after}
			t.Run(d.String(), func(t *testing.T) {
				InBubble(t, k, Options{}, func(b *Bubble) {
					b.Put("k", []byte("old"), nil)
					b.Pass(time.Second)
					var err error
					lived, err = b.die(d, b.Open(), func(ctx context.Context, a *bucket.Adapter) error {
						return Put(ctx, a, "k", want, Resumable())
					})
					if lived {
						if err != nil {
							b.Error(err)
						}
						return
					}
					b.Pass(2 * time.Minute)
					a := b.Open()
					o, offset := Resumable(), int64(0)
					p, err := a.Pending(b.Context(), "k", acme)
					switch {
					case err == nil:
						o, offset = Continuing(p, p.Size), p.Size
					case backends.KindOf(err) != backends.NotExist:
						b.Fatal(err)
					}
					if err := Put(b.Context(), a, "k", want[offset:], o); err != nil {
						b.Fatalf("from %d: %v", offset, err)
					}
					b.Sweep(a)
					b.WantObject("k", want)
				})
			})
		}
		if lived {
			if at < 8 {
				t.Errorf("only %d requests", at)
			}
			return
		}
	}
}

// What it costs to be able to go on.
func testResumableCost(t *testing.T, k *Kind) {
	for name, test := range map[string]struct{ size, most int }{
		"small":    {Part - 1, 2},             // the question for a folder, the object
		"in parts": {4 * Part, 1 + 2 + 2 + 3}, // the question, the upload's two, two parts, and three more
	} {
		t.Run(name, func(t *testing.T) {
			InBubble(t, k, Options{}, func(b *Bubble) {
				a := b.ready()
				if err := Put(b.Context(), a, "k", Content(5, test.size), Resumable()); err != nil {
					b.Fatal(err)
				}
				if k.Serial && test.size >= Part {
					test.most++ // parts that are not grown
				}
				if n := len(b.Requests()); n > test.most {
					b.Errorf("%d requests, want %d", n, test.most)
				}
				// Over a slow line it is one more for each 20 s.
				const pause, pauses = 5 * time.Minute, 5 * time.Minute / renewals
				want := Content(5, test.size)
				r := io.MultiReader(strings.NewReader(want[:test.size/2]), callback(func() { b.Pass(pause) }), strings.NewReader(want[test.size/2:]))
				a = b.ready()
				if _, err := a.Put(b.Context(), "k", r, Resumable()); err != nil {
					b.Fatal(err)
				}
				b.WantObject("k", want)
				most := test.most
				if test.size >= Part {
					most += int(pauses)
				}
				if k.Serial && test.size >= Part {
					most++ // what has arrived first is noted at once
				}
				if n := len(b.Requests()); n > most {
					b.Errorf("%d requests with a pause of %v, want %d", n, pause, most)
				}
			})
		})
	}
}

// ready opens the bucket with credentials that are there already, and forgets the requests so far.
func (b *Bubble) ready(change ...func(*Setup)) *bucket.Adapter {
	b.Helper()
	a := b.Open(change...)
	if _, err := Read(b.Context(), a, "ready?"); backends.KindOf(err) != backends.NotExist {
		b.Fatal(err)
	}
	b.Reset()
	return a
}

// A sweep tells what there is of uploads that may go on.
func testSweepTellsWhatIsKept(t *testing.T, k *Kind) {
	InBubble(t, k, Options{}, func(b *Bubble) {
		var told []backends.Kept
		a := b.Open(configured(func(c *bucket.Config) { c.Kept = func(k backends.Kept) { told = append(told, k) } }))
		if err := a.Sweep(b.Context()); err != nil {
			b.Fatal(err)
		}
		for _, key := range []string{"one", "two"} {
			b.keep(a, key, newBytes, 2*Part, Resumable())
			b.Pass(time.Minute)
		}
		if err := a.Sweep(b.Context()); err != nil {
			b.Fatal(err)
		}
		if len(told) != 2 || told[0].Uploads != 0 || !told[0].Oldest.IsZero() || told[1].Uploads != 2 ||
			time.Since(told[1].Oldest).Round(time.Minute) != 2*time.Minute {
			b.Errorf("told %+v", told)
		}
		b.OnRequest(func(Request) Fault { return Fault{Code: k.Denied} })
		if err := a.Sweep(b.Context()); err == nil || len(told) != 2 {
			b.Errorf("a store that tells nothing: %v, told %d times", err, len(told))
		}
	})
}
