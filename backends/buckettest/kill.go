package buckettest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
)

// operation is something that a process may be killed in the middle of.
type operation struct {
	name   string
	do     func(ctx context.Context, a *bucket.Adapter) error
	before map[string]string
	after  map[string]string
	// or are the states besides these two in which it may end when it is killed.
	or []map[string]string
}

var (
	oldBytes = Content(1, 2*Part+100)
	newBytes = Content(2, 2*Part+7)
	large    = Content(3, 2*Part)
	tree     = map[string]string{"d/": "", "d/b/c": "C", "d/large": large}
	moved    = map[string]string{"e/": "", "e/b/c": "C", "e/large": large}
	newTime  = time.Unix(1_500_000_000, 0)
)

func putting(content string, o backends.PutOptions) func(ctx context.Context, a *bucket.Adapter) error {
	return func(ctx context.Context, a *bucket.Adapter) error { return Put(ctx, a, "k", content, o) }
}

// operations are the scripted ones. Their key is k wherever there is one.
var operations = []operation{
	{
		name: "put small", do: putting("new", backends.PutOptions{}),
		before: map[string]string{"k": "old"}, after: map[string]string{"k": "new"},
	},
	{
		name: "put in parts", do: putting(newBytes, backends.PutOptions{}),
		before: map[string]string{}, after: map[string]string{"k": newBytes},
	},
	{
		name: "overwrite in parts", do: putting(newBytes, backends.PutOptions{}),
		before: map[string]string{"k": oldBytes}, after: map[string]string{"k": newBytes},
	},
	{
		name: "put in parts if absent", do: putting(newBytes, backends.PutOptions{IfAbsent: true}),
		before: map[string]string{}, after: map[string]string{"k": newBytes},
	},
	{
		name: "append to a small one", do: putting("new", backends.PutOptions{Offset: 3}),
		before: map[string]string{"k": "old"}, after: map[string]string{"k": "oldnew"},
	},
	{
		name: "append in parts", do: putting(newBytes, backends.PutOptions{Offset: int64(len(oldBytes))}),
		before: map[string]string{"k": oldBytes}, after: map[string]string{"k": oldBytes + newBytes},
	},
	{
		name: "append a little in parts", do: putting("new", backends.PutOptions{Offset: int64(len(large))}),
		before: map[string]string{"k": large}, after: map[string]string{"k": large + "new"},
	},
	{
		name: "copy in parts",
		do: func(ctx context.Context, a *bucket.Adapter) error {
			_, err := a.Copy(ctx, "from", "k", backends.CopyOptions{})
			return err
		},
		before: map[string]string{"k": "old", "from": large}, after: map[string]string{"k": large, "from": large},
	},
	{
		name: "rename",
		do: func(ctx context.Context, a *bucket.Adapter) error {
			return a.Rename(ctx, "d/from", "k", backends.RenameOptions{})
		},
		before: map[string]string{"k": "old", "d/": "", "d/from": "from"}, after: map[string]string{"k": "from", "d/": ""},
		or: []map[string]string{{"k": "from", "d/": "", "d/from": "from"}},
	},
	{
		name: "rename a folder",
		do: func(ctx context.Context, a *bucket.Adapter) error {
			return a.Rename(ctx, "d", "e", backends.RenameOptions{})
		},
		before: tree, after: moved,
	},
	{
		// A folder gets its placeholder before its last object goes.
		name:   "remove the last object",
		do:     func(ctx context.Context, a *bucket.Adapter) error { return a.Remove(ctx, "d/k") },
		before: map[string]string{"d/k": "old"}, after: map[string]string{"d/": ""},
		or: []map[string]string{{"d/": "", "d/k": "old"}},
	},
	{
		name:   "mkdir",
		do:     func(ctx context.Context, a *bucket.Adapter) error { return a.Mkdir(ctx, "d/k") },
		before: map[string]string{}, after: map[string]string{"d/k/": ""},
	},
	{
		name:   "rmdir",
		do:     func(ctx context.Context, a *bucket.Adapter) error { return a.Rmdir(ctx, "d/k") },
		before: map[string]string{"d/k/": ""}, after: map[string]string{"d/": ""},
		or: []map[string]string{{"d/": "", "d/k/": ""}},
	},
	{
		name:   "set the time",
		do:     func(ctx context.Context, a *bucket.Adapter) error { return a.SetModTime(ctx, "k", newTime) },
		before: map[string]string{"k": "old"}, after: map[string]string{"k": "old"},
	},
}

// death ends a process at a request: it does not happen, or its answer does not come, and nothing
// comes after it.
type death struct {
	at    int
	after bool
}

func (d death) String() string {
	if d.after {
		return fmt.Sprintf("after request %d", d.at)
	}
	return fmt.Sprintf("before request %d", d.at)
}

// die runs do in a process that dies, and says whether it lived to its end.
func (b *Bubble) die(d death, a *bucket.Adapter, do func(ctx context.Context, a *bucket.Adapter) error) (lived bool, err error) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var mu sync.Mutex
	lived = true
	b.Reset()
	b.OnRequest(func(r Request) Fault {
		if r.Index < d.at {
			return Fault{}
		}
		mu.Lock()
		defer mu.Unlock()
		lived = false
		b.wire.cut.Store(true) // the dead ask for nothing
		cancel()
		var f Fault
		f.Before, f.After = !d.after || r.Index > d.at, d.after && r.Index == d.at
		return f
	})
	err = do(ctx, a)
	synctest.Wait() // what nobody waits for any more is on its way still
	b.OnRequest(nil)
	b.wire.cut.Store(false)
	mu.Lock()
	defer mu.Unlock()
	b.killed = b.killed || !lived
	return lived, err
}

// Sweep does what a process does later that is not killed, until nothing changes any more.
func (b *Bubble) Sweep(a *bucket.Adapter) {
	b.Helper()
	b.Pass(a.StaleAfter + 15*time.Minute)
	for range 3 {
		keys, uploads := b.Keys(), b.Uploads()
		if err := a.Sweep(b.Context()); err != nil {
			b.Error("sweep:", err)
		}
		if slices.Equal(keys, b.Keys()) && len(uploads) == len(b.Uploads()) {
			return
		}
	}
	b.Error("there is something to sweep again and again")
}

// testKill kills a process at every request of every operation. Afterwards each key holds the old
// object or the complete new one, and when the time has come nothing of ours is left and nothing of
// others' was touched.
func testKill(t *testing.T, k *Kind) {
	for _, variant := range append([]string{""}, slices.Concat(k.Killed, k.KilledInParts)...) {
		for _, op := range operations {
			if slices.Contains(k.KilledInParts, variant) && !strings.HasSuffix(op.name, "in parts") {
				continue // the same there
			}
			t.Run(called(variant)+"/"+op.name, func(t *testing.T) {
				t.Parallel()
				killEverywhere(t, k, variant, op)
			})
		}
	}
}

func killEverywhere(t *testing.T, k *Kind, variant string, op operation) {
	const most = 100 // requests of one operation
	for _, after := range []bool{false, true} {
		for n := 1; ; n++ {
			if n > most {
				t.Fatal("the operation does not end")
			}
			d := death{n, after}
			lived := false
			InBubble(t, k, Options{Variant: variant}, func(b *Bubble) { lived = b.kill(d, op) })
			if t.Failed() {
				t.Fatal("killed ", d)
			}
			if lived {
				break
			}
		}
	}
}

// kill kills a process in the middle of op, and looks at what it left.
func (b *Bubble) kill(d death, op operation) (lived bool) {
	b.fill(op.before)
	a := b.Open(copyingInParts)
	if b.Kind.Stranger != nil && !d.after { // which is often enough
		b.Kind.Stranger(b)
	}
	foreign := b.Uploads()
	lived, err := b.die(d, a, op.do)
	if lived && err != nil {
		b.Error(err)
	}
	states := append(slices.Clone(op.or), op.before, op.after)
	if err == nil {
		states = states[len(states)-1:]
	}
	b.Sweep(b.Open())
	all := b.contents()
	if !slices.ContainsFunc(states, func(s map[string]string) bool { return b.same(all, s) }) {
		b.Errorf("%v (err %v): the bucket holds %s", d, err, describe(all))
	}
	for _, key := range b.Keys() {
		if _, outside := all[key]; !outside {
			b.Error("left behind:", key)
		}
	}
	if left := b.Uploads(); !slices.Equal(left, foreign) && (lived || !b.Kind.Expires) {
		b.Errorf("open uploads: %q, those of others were %q", left, foreign)
	}
	return lived
}

// copyingInParts is an option of Open.
func copyingInParts(s *Setup) { s.Whole = Part }

// testKillSweep kills the process that renames a folder, and then the one that finishes it, at every
// request of both.
func testKillSweep(t *testing.T, k *Kind) {
	before := map[string]string{"d/": "", "d/a": "A"}
	after := map[string]string{"e/": "", "e/a": "A"}
	const most = 50
	for first := 5; first < most; first += 3 { // before that there is nothing to finish
		lived := false
		t.Run(fmt.Sprintf("request %d", first), func(t *testing.T) {
			everywhere(t, k, Options{}, func(b *Bubble, n int) (done bool) {
				b.fill(before)
				lived, _ = b.die(death{at: first, after: n%2 == 0}, b.Open(), func(ctx context.Context, a *bucket.Adapter) error {
					return a.Rename(ctx, "d", "e", backends.RenameOptions{})
				})
				a := b.Open()
				b.Pass(a.StaleAfter + time.Minute)
				swept, _ := b.die(death{at: n, after: first%2 == 1}, a, func(ctx context.Context, a *bucket.Adapter) error { return a.Sweep(ctx) })
				b.Sweep(b.Open())
				if all := b.contents(); !b.same(all, before) && !b.same(all, after) {
					b.Errorf("the bucket holds %s", describe(all))
				}
				b.wantNothingLeft()
				return swept
			})
		})
		if lived {
			return
		}
	}
	t.Error("the rename does not end")
}

// testErrorMeansNothing has the store refuse everything from any request on. Whatever is answered with
// an error has had no effect, but for the renaming of an object, which may leave both, and for the
// placeholder of a folder.
func testErrorMeansNothing(t *testing.T, k *Kind) {
	for _, op := range operations {
		if op.name == "rename a folder" {
			continue // that is finished later
		}
		t.Run(op.name, func(t *testing.T) {
			everywhere(t, k, Options{}, func(b *Bubble, n int) (done bool) {
				b.fill(op.before)
				a := b.Open(copyingInParts)
				b.OnRequest(func(r Request) Fault {
					if r.Index >= n {
						return Fault{Code: k.Denied}
					}
					return Fault{}
				})
				err := op.do(b.Context(), a)
				want := op.before
				if err == nil {
					want = op.after
				}
				all := b.contents()
				or := err != nil && slices.ContainsFunc(op.or, func(m map[string]string) bool { return b.same(all, m) })
				if !b.same(all, want) && !or {
					b.Errorf("%v, and the bucket holds %s", err, describe(all))
				}
				return b.Count("") < n
			})
		})
	}
}
