package buckettest

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
	"github.com/sluice-ftp/sluice/backends/storefake"
)

// publication is an operation with one request that makes the object k visible.
type publication struct {
	name    string
	request string // that makes it visible
	old     string // what k holds before; "" is nothing
	want    string // what it holds then
	do      func(ctx context.Context, a *bucket.Adapter) error
	from    map[string]string // what else is there; goes: if it succeeds, no longer
	goes    bool
}

// publications are the ways to publish k.
func publications(k *Kind) []publication {
	return slices.Concat(
		puts("small", Write, "new"),
		puts("a page", Write, Content(7, Part-5)),
		puts("in parts", Complete, newBytes),
		[]publication{
			{name: "append small", request: Write, old: "old", want: "oldnew", do: putting("new", backends.PutOptions{Offset: 3})},
			{
				name: "append in parts", request: Complete, old: oldBytes, want: oldBytes[:2*Part] + newBytes,
				do: putting(newBytes, backends.PutOptions{Offset: 2 * Part}),
			},
			{
				name: "append to the end", request: k.AppendsParts, old: large, want: large + "new",
				do: putting("new", backends.PutOptions{Offset: int64(len(large))}),
			},
		},
		copies("small", Copy, k.RenamesSmall, "from"),
		copies("large", k.CopiesLarge, k.RenamesLarge, large),
	)
}

func puts(name, request, content string) []publication {
	return []publication{
		{name: "put " + name, request: request, old: "old", want: content, do: putting(content, backends.PutOptions{})},
		{name: "put " + name + " if absent", request: request, want: content, do: putting(content, backends.PutOptions{IfAbsent: true})},
		{
			name: "put " + name + " if version", request: request, old: "old", want: content,
			do: func(ctx context.Context, a *bucket.Adapter) error {
				k, err := a.Stat(ctx, "k")
				if err != nil {
					return err
				}
				return putting(content, backends.PutOptions{IfVersion: k.Version})(ctx, a)
			},
		},
	}
}

func copies(name, request, renames, content string) []publication {
	from := map[string]string{"from/": "", "from/o": content}
	copying := func(ifAbsent bool) func(ctx context.Context, a *bucket.Adapter) error {
		return func(ctx context.Context, a *bucket.Adapter) error {
			_, err := a.Copy(ctx, "from/o", "k", backends.CopyOptions{IfAbsent: ifAbsent})
			return err
		}
	}
	renaming := func(ifAbsent bool) func(ctx context.Context, a *bucket.Adapter) error {
		return func(ctx context.Context, a *bucket.Adapter) error {
			return a.Rename(ctx, "from/o", "k", backends.RenameOptions{IfAbsent: ifAbsent})
		}
	}
	return []publication{
		{name: "copy " + name, request: request, old: "old", want: content, do: copying(false), from: from},
		{name: "copy " + name + " if absent", request: request, want: content, do: copying(true), from: from},
		{name: "rename " + name, request: renames, old: "old", want: content, do: renaming(false), from: from, goes: true},
		{name: "rename " + name + " if absent", request: renames, want: content, do: renaming(true), from: from, goes: true},
	}
}

// loss is what happens to the answers of the request that publishes.
type loss struct {
	name  string
	fault func(nth int) Fault // of its nth sending
	spoil func(nth int) *answer
	head  func(nth int) Fault // of the nth question for the object after it
}

func first(f Fault) func(int) Fault { return upTo(1, f) }

func upTo(n int, f Fault) func(int) Fault {
	return func(nth int) Fault {
		if nth <= n {
			return f
		}
		return Fault{}
	}
}

// wired is a fault that is the same in all stores.
func wired(f storefake.Fault) Fault { return Fault{Fault: f} }

var (
	before = wired(storefake.Fault{Before: true})
	after  = wired(storefake.Fault{After: true})
)

func instead(a answer) func(int) *answer {
	return func(nth int) *answer {
		if nth == 1 {
			return &a
		}
		return nil
	}
}

const (
	always = 1 << 30
	page   = "<html><body>Sign in to this network</body></html>"
)

func losses(k *Kind) []loss {
	cut := func(n int64) func(int) Fault { return first(wired(storefake.Fault{CutBody: n})) }
	return []loss{
		{name: "answer lost", fault: first(after)},
		{name: "answer lost twice", fault: upTo(2, after)},
		{name: "every answer lost", fault: upTo(always, after)},
		{name: "request lost", fault: first(before)},
		{name: "every request lost", fault: upTo(always, before)},
		{name: "500", fault: first(Fault{Status: 500})},
		{name: "503", fault: first(Fault{Status: 503})},
		{name: "403", fault: first(Fault{Status: 403})},
		{name: "409", fault: first(Fault{Status: 409})},
		{name: "500 after the effect", spoil: instead(answer{status: 500, body: k.Oops, effect: true})},
		{name: "502 of a proxy after the effect", spoil: instead(answer{status: 502, body: page, effect: true})},
		{name: "200 with an error", spoil: instead(answer{status: 200, body: k.Oops})},
		{name: "200 with an error after the effect", spoil: instead(answer{status: 200, body: k.Oops, effect: true})},
		{name: "200 of somebody else", spoil: instead(answer{status: 200, body: page})},
		{name: "200 of somebody else after the effect", spoil: instead(answer{status: 200, body: page, effect: true})},
		{name: "200 and nothing", spoil: instead(answer{status: 200})},
		{name: "200 and nothing after the effect", spoil: instead(answer{status: 200, effect: true})},
		{name: "204", spoil: instead(answer{status: http.StatusNoContent})},
		{name: "302", spoil: instead(answer{status: http.StatusFound})},
		{name: "answer cut at 1", fault: cut(1)},
		{name: "answer cut at 39", fault: cut(39)},
		{name: "answer cut at 120", fault: cut(120)},
		{name: "answer lost and HEAD fails", fault: first(after), head: upTo(3, Fault{Status: 503})},
		{name: "answer lost and HEAD fails for a minute", fault: first(after), head: upTo(14, Fault{Status: 503})},
		{name: "request lost and HEAD fails", fault: first(before), head: upTo(3, before)},
		{name: "late answer", fault: first(wired(storefake.Fault{Delay: 20 * time.Minute}))},
	}
}

// testLostReply loses the answers to the request that publishes, in every way. An operation succeeds
// exactly when its object is there.
func testLostReply(t *testing.T, k *Kind) {
	for _, variant := range append([]string{""}, k.Lost...) {
		for _, p := range publications(k) {
			if variant != "" && !strings.HasPrefix(p.name, "put in parts") {
				continue // the same there
			}
			t.Run(called(variant)+"/"+p.name, func(t *testing.T) {
				t.Parallel()
				for _, l := range losses(k) {
					t.Run(l.name, func(t *testing.T) {
						InBubble(t, k, Options{Variant: variant}, func(b *Bubble) { b.lose(p, l) })
					})
				}
			})
		}
	}
}

func (b *Bubble) lose(p publication, l loss) {
	b.fill(p.from)
	if p.old != "" {
		b.fill(map[string]string{"k": p.old})
	}
	a := b.Open(copyingInParts)
	sent := b.losing(l, func(r Request) bool { return r.Op == p.request && r.Key == "k" })
	err := p.do(b.Context(), a)
	if *sent == 0 {
		b.Errorf("no %s was sent", p.request)
	}
	b.losing(loss{}, nil)
	object, there := b.Object("k")
	switch {
	case err == nil && string(object.Data) != p.want:
		b.Error("success, and the object is not there")
	case err != nil && string(object.Data) == p.want:
		b.Error("the object is there, and:", err)
	case err != nil && (string(object.Data) != p.old || there != (p.old != "")):
		b.Error("neither the old object nor the new one")
	}
	for key, content := range p.from {
		if content == "" {
			continue
		}
		_, there := b.Object(key)
		switch {
		case p.goes && err == nil && there:
			b.Errorf("%s is there still", key)
		case !there && (!p.goes || string(object.Data) != content):
			b.Errorf("%s is lost", key)
		}
	}
	if left := b.Leftovers(); len(left) > 0 { // which is seldom, and to look takes longer than the rest
		b.Sweep(a)
		b.wantNothingLeft()
	}
}

// losing loses answers to the requests that are to publish something, and counts them.
func (b *Bubble) losing(l loss, publish func(r Request) bool) (sent *int) {
	sent = new(int)
	b.OnRequest(nil)
	b.spoiling(nil)
	if publish == nil {
		return sent
	}
	var spoiled, heads int // each in one goroutine at a time
	var published string
	b.OnRequest(func(r Request) Fault {
		switch {
		case publish(r):
			*sent++
			published = r.Key
			if l.fault != nil {
				return l.fault(*sent)
			}
		case r.Op == Head && r.Key == published && l.head != nil:
			heads++
			return l.head(heads)
		}
		return Fault{}
	})
	if l.spoil != nil {
		b.spoiling(func(r Request) *answer {
			if !publish(r) {
				return nil
			}
			spoiled++
			a := l.spoil(spoiled)
			if a != nil && !a.effect {
				*sent++ // the fault is not asked
			}
			return a
		})
	}
	return sent
}

// testLostReplyOfAnIntent loses answers to the request that announces the renaming of a folder.
func testLostReplyOfAnIntent(t *testing.T, k *Kind) {
	for _, l := range losses(k) {
		t.Run(l.name, func(t *testing.T) {
			InBubble(t, k, Options{}, func(b *Bubble) {
				b.fill(tree)
				a := b.Open()
				sent := b.losing(l, func(r Request) bool {
					return r.Op == Write && strings.HasPrefix(r.Key, ".sluice/v1/renames/") && !b.announced(r.Key)
				})
				err := a.Rename(b.Context(), "d", "e", backends.RenameOptions{})
				if *sent == 0 {
					b.Error("nothing was announced")
				}
				b.losing(loss{}, nil)
				all := b.contents()
				if (err == nil) != b.same(all, moved) || (err != nil) != b.same(all, tree) {
					b.Errorf("rename: %v, and the bucket holds %s", err, describe(all))
				}
				// What was refused must not happen by itself a day later.
				b.Sweep(a)
				if later := b.contents(); describe(later) != describe(all) {
					b.Errorf("rename: %v; later the bucket holds %s", err, describe(later))
				}
			})
		})
	}
}

// announced: the intent has gone so far that everything was copied.
func (b *Bubble) announced(name string) bool {
	o, _ := b.Object(name)
	return bytes.Contains(o.Data, []byte(`"copied":true`)) || b.holds("C", "e/b/c")
}

// testLostRepliesOfTwo has two clients write one key that is not to be replaced, and loses answers of
// both. Exactly one is told that it succeeded, and its object is the one that is there.
func testLostRepliesOfTwo(t *testing.T, k *Kind) {
	faults := []Fault{{}, after, before, {Status: 500}}
	for _, request := range []string{Write, Complete} {
		for _, variant := range append([]string{""}, k.Lost...) {
			for i := range len(faults) * len(faults) {
				t.Run(request+" "+called(variant), func(t *testing.T) {
					InBubble(t, k, Options{Variant: variant}, func(b *Bubble) {
						b.loseTwo(request, faults[i%len(faults)], faults[i/len(faults)])
					})
				})
			}
		}
	}
}

func (b *Bubble) loseTwo(request string, one, other Fault) {
	contents := [2]string{"one", "other"}
	if request != Write {
		contents = [2]string{oldBytes, newBytes}
	}
	var sent int
	b.OnRequest(func(r Request) Fault {
		if r.Op != request || r.Key != "k" {
			return Fault{}
		}
		sent++
		switch sent {
		case 1:
			return one
		case 2:
			return other
		}
		return Fault{}
	})
	var errs [2]error
	var writers sync.WaitGroup
	for i := range errs {
		a := b.Open()
		writers.Go(func() { errs[i] = Put(b.Context(), a, "k", contents[i], backends.PutOptions{IfAbsent: true}) })
	}
	writers.Wait()
	if sent < len(errs) {
		b.Errorf("%d were sent", sent)
	}
	object, _ := b.Object("k")
	if (errs[0] == nil) == (errs[1] == nil) {
		b.Fatalf("%+v, %+v: one %v, other %v", one, other, errs[0], errs[1])
	}
	for i, err := range errs {
		switch {
		case err == nil && string(object.Data) != contents[i]:
			b.Errorf("%+v, %+v: the other's object is there", one, other)
		case err != nil && backends.KindOf(err) != backends.Exist:
			b.Errorf("%+v, %+v: %v", one, other, err)
		}
	}
	if left := b.Leftovers(); len(left) > 0 {
		b.Sweep(b.Open())
		b.wantNothingLeft()
	}
}
