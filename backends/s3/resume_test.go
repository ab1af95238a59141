package s3_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/s3"
	"github.com/sluice-ftp/sluice/backends/s3fake"
)

const acme = "acme"

var errLine = errors.New("the line broke")

// cut delivers the beginning of a content and then breaks.
func cut(content string, n int) io.Reader {
	return io.MultiReader(strings.NewReader(content[:n]), broken{})
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errLine }

// resumable are the options of an upload of acme's that is to be kept.
func resumable() backends.PutOptions { return backends.PutOptions{Resumable: true, Owner: acme} }

// from are those of one that goes on from what was kept.
func from(p backends.Pending, offset int64) backends.PutOptions {
	o := resumable()
	o.Continue, o.Offset = p.Version, offset
	return o
}

// pending returns what is kept, and fails if nothing is.
func (b *bubble) pending(a *s3.Adapter, key string) backends.Pending {
	b.Helper()
	p, err := a.Pending(b.Context(), key, acme)
	if err != nil {
		b.Fatal(err)
	}
	return p
}

func (b *bubble) wantPending(a *s3.Adapter, key, owner string, kind backends.Kind) {
	b.Helper()
	if p, err := a.Pending(b.Context(), key, owner); err == nil || backends.KindOf(err) != kind {
		b.Errorf("pending for %s: %+v, %v, want %v", owner, p, err, kind)
	}
}

func (b *bubble) wantObject(key, want string) {
	b.Helper()
	o, ok := b.store.Object(key)
	if !ok && want != "" || string(o.Data) != want {
		b.Errorf("%s has %d bytes, want %d", key, len(o.Data), len(want))
	}
	if left := leftovers(b.store, ""); len(left) > 0 {
		b.Errorf("left behind: %q", left)
	}
}

// An upload is cut again and again, and each time another process goes on with it.
func TestContinued(t *testing.T) {
	for _, name := range []string{"aws", "minio", "versity", "r2"} {
		for _, cuts := range [][]int{
			{testPart}, {testPart + 1}, {2*testPart + testPart/2}, {4*testPart + 3, 4*testPart + 4, 7 * testPart}, {9*testPart + 7},
		} {
			t.Run(fmt.Sprint(name, cuts), func(t *testing.T) {
				quirks := s3fake.Quirks{NoChecksums: name == "r2", UniformParts: name == "r2"}
				inBubble(t, s3fake.Options{Quirks: quirks}, func(b *bubble) {
					b.store.Put("k", []byte("old"), nil)
					b.pass(time.Second)
					want := content(5, 9*testPart+7)
					o, at := resumable(), int64(0)
					for _, n := range cuts {
						obj, err := b.open(profile(name)).Put(b.Context(), "k", cut(want[at:], n-int(at)), o)
						if !errors.Is(err, errLine) || obj.Size != int64(n) {
							b.Fatalf("cut at %d: %d bytes are kept, %v", n, obj.Size, err)
						}
						if old, _ := b.store.Object("k"); string(old.Data) != "old" {
							b.Errorf("cut at %d: %d bytes are published", n, len(old.Data))
						}
						p := b.pending(b.open(profile(name)), "k")
						if p.Size != obj.Size {
							b.Errorf("%+v, want %d bytes", p, obj.Size)
						}
						o, at = from(p, p.Size), p.Size
					}
					a := b.open(profile(name))
					obj, err := a.Put(b.Context(), "k", strings.NewReader(want[at:]), o)
					if err != nil || obj.Size != int64(len(want)) {
						b.Fatal(obj, err)
					}
					b.wantObject("k", want)
					b.wantPending(a, "k", acme, backends.NotExist)
					const records = 10 << 10
					if sent, most := b.store.Received(), int64(len(want)+len(cuts)*(testPart+records)); sent > most {
						b.Errorf("%d bytes were sent, %d at most", sent, most)
					}
					for _, r := range b.store.Requests() {
						if r.Op == "GetObject" && r.Key == "k" {
							b.Error("content was read")
						}
					}
				})
			})
		}
	}
}

// What the client sends again is compared, as far as it covers whole parts or what is not a part yet,
// and something else changes nothing. The first part is of testPart, the next ones are larger.
func TestSentAgain(t *testing.T) {
	const inTail, inParts = testPart + 1000, 3*testPart + 1000
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
		{inTail, testPart, testPart, true},
		{inTail, testPart + 10, -1, false},
		{inTail, testPart + 10, inTail - 1, true},
		{inTail, inTail, inTail, false},
		{inParts, 0, -1, false},
		{inParts, 0, 5, true},
		{inParts, testPart - 1, 2 * testPart, true},
		{inParts, testPart, 2 * testPart, true},
		{inParts, testPart, inParts - 1, true},
		{inParts, testPart + 1, -1, false},
	} {
		for _, short := range []bool{false, true} {
			t.Run(fmt.Sprint(test, short), func(t *testing.T) {
				inBubble(t, s3fake.Options{}, func(b *bubble) {
					want := content(5, 5*testPart)
					if _, err := b.open().Put(b.Context(), "k", cut(want, test.kept), resumable()); !errors.Is(err, errLine) {
						b.Fatal(err)
					}
					p := b.pending(b.open(), "k")
					again := []byte(want[test.offset:])
					if test.wrong >= 0 {
						again[test.wrong-test.offset] ^= 1
					}
					if short {
						again = again[:(test.kept-test.offset)/2]
					}
					refused := test.refused || short && test.offset < test.kept
					err := put(b.Context(), b.open(), "k", string(again), from(p, int64(test.offset)))
					if !refused {
						if err != nil {
							b.Error(err)
						}
						b.wantObject("k", want[:test.offset]+string(again))
						return
					}
					if backends.KindOf(err) != backends.Conflict {
						b.Error("something else was taken:", err)
					}
					p = b.pending(b.open(), "k")
					if p.Size != int64(test.kept) {
						b.Errorf("%+v", p)
					}
					if err := put(b.Context(), b.open(), "k", want[test.kept:], from(p, p.Size)); err != nil {
						b.Error(err)
					}
					b.wantObject("k", want)
				})
			})
		}
	}
}

// One of many that want to go on does, and the others are told to wait.
func TestTakeover(t *testing.T) {
	inBubble(t, s3fake.Options{}, func(b *bubble) {
		want := content(5, 5*testPart)
		if _, err := b.open().Put(b.Context(), "k", cut(want, 3*testPart), resumable()); !errors.Is(err, errLine) {
			b.Fatal(err)
		}
		p := b.pending(b.open(), "k")
		b.store.OnRequest(func(r s3fake.Request) s3fake.Fault {
			return map[bool]s3fake.Fault{true: {Delay: time.Second}}[r.Op == "GetObject"] // all see the same
		})
		const sessions = 8
		errs := make([]error, sessions)
		var wg sync.WaitGroup
		for i := range errs {
			a := b.open()
			wg.Go(func() { errs[i] = put(b.Context(), a, "k", want[p.Size:], from(p, p.Size)) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			switch {
			case err == nil:
				won++
			case backends.KindOf(err) != backends.Busy:
				b.Error(err)
			}
		}
		if won != 1 {
			b.Errorf("%d went on: %v", won, errs)
		}
		b.wantObject("k", want)
	})
}

// Nobody else sees what is kept, or goes on with it, or drops it.
func TestAnotherOwner(t *testing.T) {
	inBubble(t, s3fake.Options{}, func(b *bubble) {
		want := content(5, 5*testPart)
		a := b.open()
		if _, err := a.Put(b.Context(), "k", cut(want, 3*testPart), resumable()); !errors.Is(err, errLine) {
			b.Fatal(err)
		}
		p := b.pending(a, "k")
		b.wantPending(a, "k", "other", backends.NotExist)
		b.wantPending(a, "k2", acme, backends.NotExist)
		theirs := from(p, p.Size)
		theirs.Owner = "other"
		if err := put(b.Context(), a, "k", "x", theirs); backends.KindOf(err) != backends.Busy {
			b.Error(err)
		}
		if err := a.Discard(b.Context(), "k", "other"); err != nil {
			b.Error(err)
		}
		theirs = resumable()
		theirs.Owner = "other"
		if err := put(b.Context(), a, "k", newBytes, theirs); err != nil {
			b.Error(err)
		}
		if got, _ := b.store.Object("k"); string(got.Data) != newBytes {
			b.Error("the other's upload is not there")
		}
		b.wantPending(a, "k", acme, backends.NotExist) // what is there is newer
		b.sweep(a)
		b.wantObject("k", newBytes)
	})
}

// While a process writes, or may, nobody takes its upload; when it has gone for long it is fenced.
func TestZombie(t *testing.T) {
	inBubble(t, s3fake.Options{}, func(b *bubble) {
		want := content(5, 6*testPart)
		zombie, other := b.open(), b.open()
		wake, died := make(chan struct{}), make(chan error)
		go func() {
			r := io.MultiReader(strings.NewReader(want[:3*testPart]), waiting(wake), strings.NewReader(want[3*testPart:]))
			_, err := zombie.Put(b.Context(), "k", r, resumable())
			died <- err
		}()
		for range 10 { // it renews its lease
			b.pass(renewals)
			b.wantPending(other, "k", acme, backends.Busy)
			if err := put(b.Context(), other, "k", newBytes, resumable()); backends.KindOf(err) != backends.Busy {
				b.Fatal(err)
			}
			if err := other.Discard(b.Context(), "k", acme); backends.KindOf(err) != backends.Busy {
				b.Fatal(err)
			}
		}
		b.store.OnRequest(func(r s3fake.Request) s3fake.Fault {
			return s3fake.Fault{Before: r.Op == "PutObject" && strings.HasPrefix(r.Key, ".sluice/")}
		})
		b.pass(2 * time.Minute)
		b.store.OnRequest(nil)
		p := b.pending(other, "k")
		if p.Size != testPart { // the next part is not full
			b.Errorf("%+v", p)
		}
		if err := put(b.Context(), other, "k", want[p.Size:4*testPart]+want[:testPart], from(p, p.Size)); err != nil {
			b.Fatal(err)
		}
		b.pass(time.Minute)
		b.store.Reset()
		close(wake)
		if err := <-died; backends.KindOf(err) != backends.Fenced {
			b.Error("the zombie:", err)
		}
		if n := len(b.store.Requests()); n > 0 {
			b.Errorf("the zombie sent %d requests", n)
		}
		b.wantObject("k", want[:4*testPart]+want[:testPart])
	})
}

const renewals = 20 * time.Second

// waiting is a reader of nothing that ends when a channel is closed.
type waiting chan struct{}

func (w waiting) Read([]byte) (int, error) {
	<-w
	return 0, io.EOF
}

// A part that a process had on its way when it was killed arrives when another one has taken over.
func TestLatePart(t *testing.T) {
	inBubble(t, s3fake.Options{}, func(b *bubble) {
		want := content(5, 20*testPart)
		lived, err := b.die(death{at: 7}, b.open(), func(ctx context.Context, a *s3.Adapter) error {
			return put(ctx, a, "k", want, resumable())
		})
		if lived {
			b.Fatal(err)
		}
		b.pass(2 * time.Minute)
		a := b.open()
		p := b.pending(a, "k")
		late := callback(func() {
			u := b.store.Uploads()[0]
			for number := range int32(10) {
				if _, err := a.Client().UploadPart(b.Context(), &sdk.UploadPartInput{
					Bucket: aws.String("bucket"), Key: &u.Key, UploadId: &u.ID, PartNumber: aws.Int32(number + p2(p)),
					Body: newReadSeeker(newBytes[:testPart]),
				}); err != nil {
					b.Error(err)
				}
			}
		})
		cut := p.Size + 6*testPart
		r := io.MultiReader(strings.NewReader(want[p.Size:cut]), late, strings.NewReader(want[cut:]))
		if _, err := a.Put(b.Context(), "k", r, from(p, p.Size)); err != nil {
			b.Fatal(err)
		}
		b.wantObject("k", want)
	})
}

// p2 is the number of the part behind what is kept: the first is of testPart, one follows if there is more.
func p2(p backends.Pending) int32 {
	if p.Size > testPart {
		return 3
	}
	return 2
}

// callback is a reader of nothing that calls something before its end.
type callback func()

func (c callback) Read([]byte) (int, error) {
	c()
	return 0, io.EOF
}

// Two owners keep uploads to one key, and each goes on with its own.
func TestTwoOwners(t *testing.T) {
	inBubble(t, s3fake.Options{}, func(b *bubble) {
		a := b.open()
		theirs := resumable()
		theirs.Owner = "other"
		for _, o := range []backends.PutOptions{resumable(), theirs} {
			if _, err := a.Put(b.Context(), "k", cut(content(uint64(len(o.Owner)), 3*testPart), 2*testPart), o); !errors.Is(err, errLine) {
				b.Fatal(err)
			}
		}
		if p, err := a.Pending(b.Context(), "k", "other"); err != nil || p.Size != 2*testPart {
			b.Errorf("%+v, %v", p, err)
		}
		p := b.pending(a, "k")
		want := content(uint64(len(acme)), 3*testPart)
		if err := put(b.Context(), a, "k", want[p.Size:], from(p, p.Size)); err != nil {
			b.Error(err)
		}
		if got, _ := b.store.Object("k"); string(got.Data) != want {
			b.Errorf("%d bytes", len(got.Data))
		}
		b.sweep(a)
		b.wantObject("k", want)
	})
}

// A version that was gone on with, and parked again, is no longer the one to go on from.
func TestStaleVersion(t *testing.T) {
	inBubble(t, s3fake.Options{}, func(b *bubble) {
		a, want := b.open(), content(5, 6*testPart)
		if _, err := a.Put(b.Context(), "k", cut(want, 2*testPart), resumable()); !errors.Is(err, errLine) {
			b.Fatal(err)
		}
		stale := b.pending(a, "k")
		if _, err := a.Put(b.Context(), "k", cut(want[stale.Size:], testPart), from(stale, stale.Size)); !errors.Is(err, errLine) {
			b.Fatal(err)
		}
		if err := put(b.Context(), a, "k", want[stale.Size:], from(stale, stale.Size)); backends.KindOf(err) != backends.Busy {
			b.Error(err)
		}
		p := b.pending(a, "k")
		if err := put(b.Context(), a, "k", want[p.Size:], from(p, p.Size)); err != nil {
			b.Error(err)
		}
		b.wantObject("k", want)
	})
}

// Whatever comes to the key after the upload broke off counts, and the kept is dropped in time.
func TestKeptIsOlder(t *testing.T) {
	inBubble(t, s3fake.Options{}, func(b *bubble) {
		a := b.open()
		if _, err := a.Put(b.Context(), "k", cut(newBytes, 2*testPart), resumable()); !errors.Is(err, errLine) {
			b.Fatal(err)
		}
		b.pass(time.Second)
		if err := put(b.Context(), a, "k", "small", resumable()); err != nil {
			b.Fatal(err)
		}
		b.wantPending(a, "k", acme, backends.NotExist)
		b.sweep(a)
		b.wantObject("k", "small")
	})
}

// A large upload from the beginning drops what was kept before.
func TestStartedAfresh(t *testing.T) {
	inBubble(t, s3fake.Options{}, func(b *bubble) {
		a := b.open()
		for range 3 {
			if _, err := a.Put(b.Context(), "k", cut(oldBytes, 2*testPart), resumable()); !errors.Is(err, errLine) {
				b.Fatal(err)
			}
		}
		if n := len(b.store.Uploads()); n != 1 {
			b.Errorf("%d uploads are open", n)
		}
		if err := put(b.Context(), a, "k", newBytes, resumable()); err != nil {
			b.Fatal(err)
		}
		b.wantObject("k", newBytes)
	})
}

func TestDiscard(t *testing.T) {
	inBubble(t, s3fake.Options{}, func(b *bubble) {
		a := b.open()
		if err := a.Discard(b.Context(), "k", acme); err != nil {
			b.Error(err)
		}
		if _, err := a.Put(b.Context(), "k", cut(newBytes, 2*testPart), resumable()); !errors.Is(err, errLine) {
			b.Fatal(err)
		}
		if err := a.Discard(b.Context(), "k", acme); err != nil {
			b.Error(err)
		}
		b.wantPending(a, "k", acme, backends.NotExist)
		b.wantObject("k", "")
	})
}

// Little is not kept, nor what the store has refused or what nobody asked to keep.
func TestNotKept(t *testing.T) {
	for name, test := range map[string]struct {
		r    io.Reader
		o    backends.PutOptions
		busy bool // the store takes no parts
	}{
		"nothing sent":  {strings.NewReader(newBytes), resumable(), true},
		"little":        {cut(newBytes, testPart-1), resumable(), false},
		"not resumable": {cut(newBytes, 2*testPart), backends.PutOptions{}, false},
		"too large":     {strings.NewReader(newBytes), backends.PutOptions{Resumable: true, Owner: acme, MaxSize: 2 * testPart}, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, s3fake.Options{}, func(b *bubble) {
				a := b.open()
				b.store.OnRequest(func(r s3fake.Request) s3fake.Fault {
					return map[bool]s3fake.Fault{true: {Code: "SlowDown"}}[test.busy && r.Op == "UploadPart"]
				})
				obj, err := a.Put(b.Context(), "k", test.r, test.o)
				if err == nil || obj.Size != 0 {
					b.Error(obj, err)
				}
				b.wantPending(a, "k", acme, backends.NotExist)
				b.wantObject("k", "")
			})
		})
	}
}

// The process is killed at every request, and another one goes on, or begins again if nothing is kept.
func TestKilledAndContinued(t *testing.T) {
	want := content(5, 4*testPart+9)
	for at := 0; ; at++ {
		lived := false
		for _, after := range []bool{false, true} {
			d := death{at: at, after: after}
			t.Run(d.String(), func(t *testing.T) {
				inBubble(t, s3fake.Options{}, func(b *bubble) {
					b.store.Put("k", []byte("old"), nil)
					b.pass(time.Second)
					var err error
					lived, err = b.die(d, b.open(), func(ctx context.Context, a *s3.Adapter) error {
						return put(ctx, a, "k", want, resumable())
					})
					if lived {
						if err != nil {
							b.Error(err)
						}
						return
					}
					b.pass(2 * time.Minute)
					a := b.open()
					o, offset := resumable(), int64(0)
					p, err := a.Pending(b.Context(), "k", acme)
					switch {
					case err == nil:
						o, offset = from(p, p.Size), p.Size
					case backends.KindOf(err) != backends.NotExist:
						b.Fatal(err)
					}
					if err := put(b.Context(), a, "k", want[offset:], o); err != nil {
						b.Fatalf("from %d: %v", offset, err)
					}
					b.sweep(a)
					b.wantObject("k", want)
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

// Where the store lists no checksums of the parts that a killed process left, what is sent again takes
// their place, and the rest stays.
func TestSentAgainWithoutChecksums(t *testing.T) {
	const partSize = testPart
	want := content(5, 5*partSize+9)
	for _, offset := range []int{0, 10, partSize, partSize + 1, 3 * partSize} {
		t.Run(fmt.Sprint(offset), func(t *testing.T) {
			inBubble(t, s3fake.Options{Quirks: s3fake.Quirks{NoChecksums: true, UniformParts: true}}, func(b *bubble) {
				ctx, kill := context.WithCancel(b.Context())
				r := io.MultiReader(strings.NewReader(want[:4*partSize+1]), callback(func() {
					b.pass(time.Second) // what is on its way arrives
					b.wire.cut.Store(true)
					b.store.OnRequest(func(s3fake.Request) s3fake.Fault { return s3fake.Fault{Before: true} })
					kill()
				}), broken{})
				if _, err := b.open(profile("r2")).Put(ctx, "k", r, resumable()); err == nil {
					b.Fatal("it lived")
				}
				b.wire.cut.Store(false)
				b.store.OnRequest(nil)
				b.pass(2 * time.Minute)
				a := b.open(profile("r2"))
				p := b.pending(a, "k")
				if p.Size < 3*partSize {
					b.Fatalf("%+v", p)
				}
				b.store.Reset()
				if err := put(b.Context(), a, "k", want[offset:], from(p, int64(offset))); err != nil {
					b.Fatal(err)
				}
				b.wantObject("k", want)
				stays := (offset + partSize - 1) / partSize * partSize
				if sent, most := b.store.Received(), int64(len(want)-stays+4096); sent > most {
					b.Errorf("%d bytes were sent, %d at most", sent, most)
				}
			})
		})
	}
}

// What it costs to be able to go on.
func TestResumableCost(t *testing.T) {
	for name, test := range map[string]struct{ size, most int }{
		"small":    {testPart - 1, 2},             // the question for a folder, the object
		"in parts": {4 * testPart, 1 + 2 + 4 + 3}, // the question, the upload's two, four parts, and three more
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, s3fake.Options{}, func(b *bubble) {
				if err := put(b.Context(), b.open(), "k", content(5, test.size), resumable()); err != nil {
					b.Fatal(err)
				}
				if n := len(b.store.Requests()); n > test.most {
					b.Errorf("%d requests, want %d", n, test.most)
				}
				// Over a slow line it is one more for each 20 s.
				b.store.Reset()
				const pause, pauses = 5 * time.Minute, 5 * time.Minute / renewals
				want := content(5, test.size)
				r := io.MultiReader(strings.NewReader(want[:test.size/2]), callback(func() { b.pass(pause) }), strings.NewReader(want[test.size/2:]))
				if _, err := b.open().Put(b.Context(), "k", r, resumable()); err != nil {
					b.Fatal(err)
				}
				b.wantObject("k", want)
				most := test.most
				if test.size >= testPart {
					most += int(pauses)
				}
				if n := len(b.store.Requests()); n > most {
					b.Errorf("%d requests with a pause of %v, want %d", n, pause, most)
				}
			})
		})
	}
}
