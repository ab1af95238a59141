package s3_test

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/s3"
	"github.com/sluice-ftp/sluice/backends/s3fake"
)

// publication is an operation with one request that makes the object k visible.
type publication struct {
	name    string
	request string // that makes it visible
	old     string // what k holds before; "" is nothing
	want    string // what it holds then
	do      func(ctx context.Context, a *s3.Adapter) error
}

// publications are the ways to publish k.
var publications = slices.Concat(
	puts("small", "PutObject", "new"),
	puts("a page", "PutObject", content(7, testPart-5)),
	puts("in parts", "CompleteMultipartUpload", newBytes),
	[]publication{
		{"append small", "PutObject", "old", "oldnew", appending(3, "new")},
		{"append in parts", "CompleteMultipartUpload", oldBytes, oldBytes[:2*testPart] + newBytes, appending(2*testPart, newBytes)},
	},
	copies("small", "CopyObject", "from"),
	copies("large", "CompleteMultipartUpload", large),
)

func puts(name, request, content string) []publication {
	do := func(o backends.PutOptions) func(ctx context.Context, a *s3.Adapter) error {
		return func(ctx context.Context, a *s3.Adapter) error { return put(ctx, a, "k", content, o) }
	}
	return []publication{
		{"put " + name, request, "old", content, do(backends.PutOptions{})},
		{"put " + name + " if absent", request, "", content, do(backends.PutOptions{IfAbsent: true})},
		{"put " + name + " if version", request, "old", content, func(ctx context.Context, a *s3.Adapter) error {
			k, err := a.Stat(ctx, "k")
			if err != nil {
				return err
			}
			return do(backends.PutOptions{IfVersion: k.Version})(ctx, a)
		}},
	}
}

func appending(offset int64, content string) func(ctx context.Context, a *s3.Adapter) error {
	return func(ctx context.Context, a *s3.Adapter) error {
		return put(ctx, a, "k", content, backends.PutOptions{Offset: offset})
	}
}

func copies(name, request, content string) []publication {
	return []publication{
		{"copy " + name, request, "old", content, func(ctx context.Context, a *s3.Adapter) error {
			_, err := a.Copy(ctx, "from/"+name, "k", backends.CopyOptions{})
			return err
		}},
		{"copy " + name + " if absent", request, "", content, func(ctx context.Context, a *s3.Adapter) error {
			_, err := a.Copy(ctx, "from/"+name, "k", backends.CopyOptions{IfAbsent: true})
			return err
		}},
		{"rename " + name, request, "old", content, func(ctx context.Context, a *s3.Adapter) error {
			return a.Rename(ctx, "from/"+name, "k", backends.RenameOptions{})
		}},
	}
}

// loss is what happens to the answers of the request that publishes.
type loss struct {
	name  string
	fault func(nth int) s3fake.Fault // of its nth sending
	spoil func(nth int) *answer
	head  func(nth int) s3fake.Fault // of the nth HEAD after it
}

func first(f s3fake.Fault) func(int) s3fake.Fault { return upTo(1, f) }

func upTo(n int, f s3fake.Fault) func(int) s3fake.Fault {
	return func(nth int) s3fake.Fault {
		if nth <= n {
			return f
		}
		return s3fake.Fault{}
	}
}

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
	oops   = "<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"
)

var losses = []loss{
	{name: "answer lost", fault: first(s3fake.Fault{After: true})},
	{name: "answer lost twice", fault: upTo(2, s3fake.Fault{After: true})},
	{name: "every answer lost", fault: upTo(always, s3fake.Fault{After: true})},
	{name: "request lost", fault: first(s3fake.Fault{Before: true})},
	{name: "every request lost", fault: upTo(always, s3fake.Fault{Before: true})},
	{name: "500", fault: first(s3fake.Fault{Status: 500})},
	{name: "503", fault: first(s3fake.Fault{Status: 503})},
	{name: "403", fault: first(s3fake.Fault{Status: 403})},
	{name: "409", fault: first(s3fake.Fault{Code: "ConditionalRequestConflict"})},
	{name: "500 after the effect", spoil: instead(answer{status: 500, body: oops, effect: true})},
	{name: "502 of a proxy after the effect", spoil: instead(answer{status: 502, body: page, effect: true})},
	{name: "200 with an error", spoil: instead(answer{status: 200, body: oops})},
	{name: "200 with an error after the effect", spoil: instead(answer{status: 200, body: oops, effect: true})},
	{name: "200 of somebody else", spoil: instead(answer{status: 200, body: page})},
	{name: "200 of somebody else after the effect", spoil: instead(answer{status: 200, body: page, effect: true})},
	{name: "200 and nothing", spoil: instead(answer{status: 200})},
	{name: "200 and nothing after the effect", spoil: instead(answer{status: 200, effect: true})},
	{name: "204", spoil: instead(answer{status: 204})},
	{name: "302", spoil: instead(answer{status: 302})},
	{name: "answer cut at 1", fault: first(s3fake.Fault{CutBody: 1})},
	{name: "answer cut at 39", fault: first(s3fake.Fault{CutBody: 39})},
	{name: "answer cut at 120", fault: first(s3fake.Fault{CutBody: 120})},
	{
		name: "answer lost and HEAD fails", fault: first(s3fake.Fault{After: true}),
		head: upTo(3, s3fake.Fault{Status: 503}),
	},
	{
		name: "answer lost and HEAD fails for a minute", fault: first(s3fake.Fault{After: true}),
		head: upTo(14, s3fake.Fault{Status: 503}),
	},
	{
		name: "request lost and HEAD fails", fault: first(s3fake.Fault{Before: true}),
		head: upTo(3, s3fake.Fault{Before: true}),
	},
	{name: "late answer", fault: first(s3fake.Fault{Delay: 20 * time.Minute})},
}

// TestLostReply loses the answers to the request that publishes, in every way. An operation succeeds
// exactly when its object is there.
func TestLostReply(t *testing.T) {
	for _, server := range []string{"aws", "minio"} {
		for _, p := range publications {
			if server != "aws" && !strings.HasPrefix(p.name, "put in parts") {
				continue // the same there
			}
			t.Run(server+"/"+p.name, func(t *testing.T) {
				t.Parallel()
				for _, l := range losses {
					t.Run(l.name, func(t *testing.T) {
						inBubble(t, s3fake.Options{Quirks: quirks[server]}, func(b *bubble) { b.lose(server, p, l) })
					})
				}
			})
		}
	}
}

func (b *bubble) lose(server string, p publication, l loss) {
	b.fill(map[string]string{"from/": "", "from/small": "from", "from/large": large})
	if p.old != "" {
		b.fill(map[string]string{"k": p.old})
	}
	a := b.open(profile(server))
	a.SetSizes(testPart, testPart, testPart)
	b.losing(l, func(op, key string) bool { return op == p.request && key == "k" })
	err := p.do(b.Context(), a)
	b.losing(loss{}, nil)
	object, there := b.store.Object("k")
	switch content := string(object.Data); {
	case err == nil && content != p.want:
		b.Error("success, and the object is not there")
	case err != nil && content == p.want:
		b.Error("the object is there, and:", err)
	case err != nil && (content != p.old || there != (p.old != "")):
		b.Error("neither the old object nor the new one")
	}
	b.sweep(a)
	if left := leftovers(b.store, ""); len(left) > 0 {
		b.Errorf("left behind: %q", left)
	}
}

// losing loses answers to the requests that publish says are to publish something.
func (b *bubble) losing(l loss, publish func(op, key string) bool) {
	b.store.OnRequest(nil)
	b.spoiling(nil)
	if publish == nil {
		return
	}
	var sent, spoiled, heads int // each in one goroutine at a time
	var published string
	b.store.OnRequest(func(r s3fake.Request) s3fake.Fault {
		switch {
		case publish(r.Op, r.Key) && l.fault != nil:
			sent++
			published = r.Key
			return l.fault(sent)
		case r.Op == "HeadObject" && r.Key == published && l.head != nil:
			heads++
			return l.head(heads)
		}
		return s3fake.Fault{}
	})
	if l.spoil != nil {
		b.spoiling(func(op, key string) *answer {
			if !publish(op, key) {
				return nil
			}
			spoiled++
			return l.spoil(spoiled)
		})
	}
}

// TestErrorMeansNothing has the store refuse everything from any request on. Whatever is answered with
// an error has had no effect, but for the renaming of an object, which may leave both, and for the
// placeholder of a folder.
func TestErrorMeansNothing(t *testing.T) {
	for _, op := range operations {
		if op.name == "rename a folder" {
			continue // that is finished later
		}
		t.Run(op.name, func(t *testing.T) {
			everywhere(t, func(b *bubble, n int) (done bool) {
				b.fill(op.before)
				a := b.open()
				a.SetSizes(testPart, testPart, testPart)
				b.store.OnRequest(func(r s3fake.Request) s3fake.Fault {
					if r.Index >= n {
						return s3fake.Fault{Code: "AccessDenied"}
					}
					return s3fake.Fault{}
				})
				err := op.do(b.Context(), a)
				want := op.before
				if err == nil {
					want = op.after
				}
				all := b.contents()
				or := err != nil && slices.ContainsFunc(op.or, func(m map[string]string) bool { return maps.Equal(all, m) })
				if !maps.Equal(all, want) && !or {
					b.Errorf("%v, and the bucket holds %s", err, describe(all))
				}
				return b.store.Count("") < n
			})
		})
	}
}

// TestLostReplyOfAnIntent loses answers to the request that announces the renaming of a folder.
func TestLostReplyOfAnIntent(t *testing.T) {
	for _, l := range losses {
		t.Run(l.name, func(t *testing.T) {
			inBubble(t, s3fake.Options{}, func(b *bubble) {
				b.fill(tree)
				a := b.open()
				b.losing(l, func(op, key string) bool {
					return op == "PutObject" && strings.HasPrefix(key, ".sluice/v1/renames/") && !announced(b, key)
				})
				err := a.Rename(b.Context(), "d", "e", backends.RenameOptions{})
				b.losing(loss{}, nil)
				all := b.contents()
				if (err == nil) != (describe(all) == describe(moved)) || (err != nil) != (describe(all) == describe(tree)) {
					b.Errorf("rename: %v, and the bucket holds %s", err, describe(all))
				}
				// What was refused must not happen by itself a day later.
				b.sweep(a)
				if later := b.contents(); describe(later) != describe(all) {
					b.Errorf("rename: %v; later the bucket holds %s", err, describe(later))
				}
			})
		})
	}
}

// announced: the intent has gone so far that everything was copied.
func announced(b *bubble, name string) bool {
	o, _ := b.store.Object(name)
	return bytes.Contains(o.Data, []byte(`"copied":true`)) || b.holds("C", "e/b/c")
}

// TestLostRepliesOfTwo has two clients write one key that is not to be replaced, and loses answers of
// both. Exactly one is told that it succeeded, and its object is the one that is there.
func TestLostRepliesOfTwo(t *testing.T) {
	faults := []s3fake.Fault{{}, {After: true}, {Before: true}, {Status: 500}}
	for _, request := range []string{"PutObject", "CompleteMultipartUpload"} {
		for _, server := range []string{"aws", "minio"} {
			for i := range len(faults) * len(faults) {
				t.Run(request+" "+server, func(t *testing.T) {
					inBubble(t, s3fake.Options{Quirks: quirks[server]}, func(b *bubble) {
						b.loseTwo(server, request, faults[i%len(faults)], faults[i/len(faults)])
					})
				})
			}
		}
	}
}

func (b *bubble) loseTwo(server, request string, one, other s3fake.Fault) {
	contents := [2]string{"one", "other"}
	if request != "PutObject" {
		contents = [2]string{oldBytes, newBytes}
	}
	var sent int
	b.store.OnRequest(func(r s3fake.Request) s3fake.Fault {
		if r.Op != request || r.Key != "k" {
			return s3fake.Fault{}
		}
		sent++
		switch sent {
		case 1:
			return one
		case 2:
			return other
		}
		return s3fake.Fault{}
	})
	var errs [2]error
	var writers sync.WaitGroup
	for i := range errs {
		a := b.open(profile(server))
		writers.Go(func() { errs[i] = put(b.Context(), a, "k", contents[i], backends.PutOptions{IfAbsent: true}) })
	}
	writers.Wait()
	object, _ := b.store.Object("k")
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
	if left := leftovers(b.store, ""); len(left) > 0 {
		b.sweep(b.open(profile(server)))
		if left = leftovers(b.store, ""); len(left) > 0 {
			b.Errorf("left behind: %q", left)
		}
	}
}
