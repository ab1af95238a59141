package buckettest

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
	"github.com/sluice-ftp/sluice/backends/storefake"
)

// One of many that want to go on does, and the others are told to wait.
func testTakeover(t *testing.T, k *Kind) {
	InBubble(t, k, Options{}, func(b *Bubble) {
		want := Content(5, 5*Part)
		b.keep(b.Open(), "k", want, 3*Part, Resumable())
		p := b.Pending(b.Open(), "k")
		b.OnRequest(func(r Request) Fault {
			if r.Op == Get {
				return wired(storefake.Fault{Delay: time.Second}) // all see the same
			}
			return Fault{}
		})
		const sessions = 8
		errs := make([]error, sessions)
		var wg sync.WaitGroup
		for i := range errs {
			a := b.Open()
			wg.Go(func() { errs[i] = Put(b.Context(), a, "k", want[p.Size:], Continuing(p, p.Size)) })
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
		b.WantObject("k", want)
	})
}

// Nobody else sees what is kept, or goes on with it, or drops it.
func testAnotherOwner(t *testing.T, k *Kind) {
	InBubble(t, k, Options{}, func(b *Bubble) {
		a := b.Open()
		b.keep(a, "k", Content(5, 5*Part), 3*Part, Resumable())
		p := b.Pending(a, "k")
		b.wantPending(a, "k", "other", backends.NotExist)
		b.wantPending(a, "k2", acme, backends.NotExist)
		theirs := Continuing(p, p.Size)
		theirs.Owner = "other"
		if err := Put(b.Context(), a, "k", "x", theirs); backends.KindOf(err) != backends.Busy {
			b.Error(err)
		}
		if err := a.Discard(b.Context(), "k", "other"); err != nil {
			b.Error(err)
		}
		theirs = Resumable()
		theirs.Owner = "other"
		if err := Put(b.Context(), a, "k", newBytes, theirs); err != nil {
			b.Error(err)
		}
		if !b.holds(newBytes, "k") {
			b.Error("the other's upload is not there")
		}
		b.wantPending(a, "k", acme, backends.NotExist) // what is there is newer
		b.Sweep(a)
		b.WantObject("k", newBytes)
	})
}

const renewals = 20 * time.Second

// While a process writes, or may, nobody takes its upload; when it has gone for long it is fenced.
func testZombie(t *testing.T, k *Kind) {
	InBubble(t, k, Options{}, func(b *Bubble) {
		want := Content(5, 6*Part)
		zombie, other := b.Open(), b.Open()
		wake, died := make(chan struct{}), make(chan error)
		go func() {
			r := io.MultiReader(strings.NewReader(want[:Part+Part/2]), waiting(wake), strings.NewReader(want[Part+Part/2:]))
			_, err := zombie.Put(b.Context(), "k", r, Resumable())
			died <- err
		}()
		for range 10 { // it renews its lease
			b.Pass(renewals)
			b.wantPending(other, "k", acme, backends.Busy)
			if err := Put(b.Context(), other, "k", newBytes, Resumable()); backends.KindOf(err) != backends.Busy {
				b.Fatal(err)
			}
			if err := other.Discard(b.Context(), "k", acme); backends.KindOf(err) != backends.Busy {
				b.Fatal(err)
			}
		}
		b.OnRequest(func(r Request) Fault {
			if r.Op == Write && strings.HasPrefix(r.Key, private) {
				return before
			}
			return Fault{}
		})
		b.Pass(2 * time.Minute)
		b.OnRequest(nil)
		p := b.Pending(other, "k")
		if p.Size != Part { // the next part is not full
			b.Errorf("%+v", p)
		}
		if err := Put(b.Context(), other, "k", want[p.Size:4*Part]+want[:Part], Continuing(p, p.Size)); err != nil {
			b.Fatal(err)
		}
		b.Pass(time.Minute)
		b.Reset()
		close(wake)
		if err := <-died; backends.KindOf(err) != backends.Fenced {
			b.Error("the zombie:", err)
		}
		for _, r := range b.Requests() {
			b.Errorf("the zombie sent a request: %s %s", r.Op, r.Key)
		}
		b.WantObject("k", want[:4*Part]+want[:Part])
	})
}

// A process that slept comes to its end while another one writes what it took over. It is told so, and
// nothing is published but what the other one has.
func testZombieAtItsEnd(t *testing.T, k *Kind) {
	InBubble(t, k, Options{}, func(b *Bubble) {
		want := Content(5, 6*Part)
		zombie, other := b.Open(), b.Open()
		wake, died := make(chan struct{}), make(chan error)
		go func() {
			r := io.MultiReader(strings.NewReader(want[:Part+Part/2]), waiting(wake))
			_, err := zombie.Put(b.Context(), "k", r, Resumable())
			died <- err
		}()
		b.Pass(renewals)
		b.OnRequest(func(r Request) Fault {
			if r.Op == Write && strings.HasPrefix(r.Key, private) {
				return Fault{Code: k.Denied} // which is not tried again
			}
			return Fault{}
		})
		b.Pass(2*time.Minute + renewals/2) // between two of its attempts
		b.OnRequest(nil)
		p := b.Pending(other, "k")
		awake := callback(func() {
			close(wake)
			if err := <-died; backends.KindOf(err) != backends.Fenced {
				b.Error("the zombie:", err)
			}
			if o, ok := b.Object("k"); ok {
				b.Errorf("%d bytes are published", len(o.Data))
			}
		})
		r := io.MultiReader(strings.NewReader(want[p.Size:4*Part]), awake, strings.NewReader(want[4*Part:]))
		if _, err := other.Put(b.Context(), "k", r, Continuing(p, p.Size)); err != nil {
			b.Error(err)
		}
		b.WantObject("k", want)
	})
}

// DieSending sends a content, waits for a while, in which what is on its way arrives, and kills the
// process then. When it returns nobody takes that for alive any more.
func (b *Bubble) DieSending(a *bucket.Adapter, key, content string, while time.Duration) {
	b.Helper()
	ctx, kill := context.WithCancel(b.Context())
	r := io.MultiReader(strings.NewReader(content), callback(func() {
		b.Pass(while)
		b.wire.cut.Store(true)
		b.OnRequest(func(Request) Fault { return before })
		kill()
	}), broken{})
	if _, err := a.Put(ctx, key, r, Resumable()); err == nil {
		b.Fatal("it lived")
	}
	synctest.Wait()
	b.killed = true
	b.wire.cut.Store(false)
	b.OnRequest(nil)
	b.Pass(2 * time.Minute)
}

// What a process had on its way when it was killed arrives when another one has taken over. Where it
// is in one row with what that one sends, other bytes are the end of the upload, and are never
// published.
func testLatePart(t *testing.T, k *Kind) {
	want := Content(5, 20*Part)
	for name, theirs := range map[string]func(kept int64) string{
		"the same bytes": func(kept int64) string { return want[kept : kept+2*Part] },
		"other bytes":    func(int64) string { return newBytes[:2*Part] },
	} {
		for _, when := range []int64{0, 6 * Part} { // before the new process sends anything, and after much
			t.Run(fmt.Sprintf("%s at %d", name, when), func(t *testing.T) {
				InBubble(t, k, Options{}, func(b *Bubble) {
					b.Put("k", []byte("old"), nil)
					b.DieSending(b.Open(), "k", want[:6*Part], time.Minute) // in which its lease tells what has arrived
					a := b.Open()
					p := b.Pending(a, "k")
					late := callback(func() { k.Late(b, b.Uploads()[0], p.Size, theirs(p.Size)) })
					cut := p.Size + when
					again := io.MultiReader(strings.NewReader(want[p.Size:cut]), late, strings.NewReader(want[cut:]))
					_, err := a.Put(b.Context(), "k", again, Continuing(p, p.Size))
					switch {
					case err == nil:
						b.WantObject("k", want)
					case k.Serial && name == "other bytes" && backends.KindOf(err) == backends.Corrupt:
						if !b.holds("old", "k") {
							b.Error("something else is published")
						}
						b.Sweep(b.Open())
						b.wantNothingLeft()
					default:
						b.Error(err)
					}
				})
			})
		}
	}
}
