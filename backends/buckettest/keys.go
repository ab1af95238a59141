package buckettest

import (
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
)

// names returns what a listing shows, folders with a slash.
func (b *Bubble) names(a *bucket.Adapter, dir string) []string {
	b.Helper()
	var all []string
	for o, err := range a.List(b.Context(), dir, backends.ListOptions{}) {
		if err != nil {
			b.Errorf("list %q: %v", dir, err)
			return nil
		}
		if o.Dir {
			o.Key += "/"
		}
		all = append(all, o.Key)
	}
	return all
}

// testOddKeys takes keys that look like something else to a server, a URL, XML or JSON through all
// methods.
func testOddKeys(t *testing.T, k *Kind) {
	for _, key := range []string{
		"\x01", "a\x1fb", "tab\there", "\x7f", "a b", " a", "a ", "a+b", "a%2Fb", "a%b", "100%", "a?b=c", "a#b", "a&b;c",
		"<Key>", `"quoted"`, "it's", `back\slash`, "ä", "a\u0308", "日本語.csv", "🚰", "\uFFFD", "\uFEFFbom", "a:b", "~", "$a", "=",
		"*", "[a]", "{a}", "|", "^", "`", ".hidden", "...", "a..b", "-", strings.Repeat("x", 255),
	} {
		t.Run(key, func(t *testing.T) {
			InBubble(t, k, Options{}, func(b *Bubble) { b.throughAll(key) })
		})
	}
}

func (b *Bubble) throughAll(key string) {
	a, ctx := b.Open(), b.Context()
	name := "d/" + key
	if err := Put(ctx, a, name, "content", backends.PutOptions{IfAbsent: true}); err != nil {
		b.Fatal(err)
	}
	if o, err := a.Stat(ctx, name); err != nil || o.Key != name || o.Size != 7 {
		b.Errorf("%+v, %v", o, err)
	}
	if all := b.names(a, "d"); !slices.Equal(all, []string{name}) {
		b.Errorf("listed: %q", all)
	}
	if all, err := Read(ctx, a, name); all != "content" || err != nil {
		b.Errorf("%q, %v", all, err)
	}
	if err := a.SetModTime(ctx, name, newTime); err != nil {
		b.Error(err)
	}
	if err := a.Rename(ctx, name, "e/"+key+"/"+key, backends.RenameOptions{}); err != nil {
		b.Error(err)
	}
	if all := b.names(a, "e"); !slices.Equal(all, []string{"e/" + key + "/"}) {
		b.Errorf("listed: %q", all)
	}
	if err := a.Rename(ctx, "e/"+key, "f/"+key, backends.RenameOptions{}); err != nil {
		b.Error(err)
	}
	if _, err := a.Copy(ctx, "f/"+key+"/"+key, "g/"+key, backends.CopyOptions{IfAbsent: true}); err != nil {
		b.Error(err)
	}
	for _, name := range []string{"f/" + key + "/" + key, "g/" + key} {
		if all, err := Read(ctx, a, name); all != "content" || err != nil {
			b.Errorf("%q, %v", all, err)
		}
		if err := a.Remove(ctx, name); err != nil {
			b.Error(err)
		}
	}
	if err := a.Rmdir(ctx, "f/"+key); err != nil {
		b.Error(err)
	}
	if all := b.Keys(); !slices.Equal(all, []string{"d/", "e/", "f/", "g/"}) {
		b.Errorf("the bucket holds %q", all)
	}
}

// testRefusedKeys: what is no key is refused before anything is asked.
func testRefusedKeys(t *testing.T, k *Kind) {
	InBubble(t, k, Options{}, func(b *Bubble) {
		const prefix = "pre/"
		a, ctx := b.Open(configured(func(c *bucket.Config) { c.Prefix = prefix })), b.Context()
		for _, key := range []string{
			"a//b", "/a", "a/", "a/../b", "./a", "a\nb", "a\r", "\x00", "\xff", ".sluice", ".sluice/v1/uploads/x",
			strings.Repeat("x", backends.MaxKey-len(prefix)+1),
		} {
			_, statErr := a.Stat(ctx, key)
			_, openErr := a.Open(ctx, key, backends.OpenOptions{})
			_, copyErr := a.Copy(ctx, key, "k", backends.CopyOptions{})
			_, copyToErr := a.Copy(ctx, "k", key, backends.CopyOptions{})
			_, pendingErr := a.Pending(ctx, key, acme)
			var listErr error
			for _, err := range a.List(ctx, key, backends.ListOptions{}) {
				listErr = err
			}
			for verb, err := range map[string]error{
				"stat": statErr, "open": openErr, "copy": copyErr, "copy to": copyToErr, "list": listErr,
				"put": Put(ctx, a, key, "", backends.PutOptions{}), "mkdir": a.Mkdir(ctx, key), "rmdir": a.Rmdir(ctx, key),
				"remove": a.Remove(ctx, key), "rename": a.Rename(ctx, key, "k", backends.RenameOptions{}),
				"rename to": a.Rename(ctx, "k", key, backends.RenameOptions{}), "set the time": a.SetModTime(ctx, key, newTime),
				"pending": pendingErr, "discard": a.Discard(ctx, key, acme),
			} {
				if backends.KindOf(err) != backends.InvalidName {
					b.Errorf("%s %.20q: %v", verb, key, err)
				}
			}
		}
		if n := b.Count(""); n != 0 {
			b.Errorf("%d requests", n)
		}
	})
}

// testLongestKey: 1,024 bytes with the prefix are a key, also in parts, and its folder can be one.
func testLongestKey(t *testing.T, k *Kind) {
	for _, prefix := range []string{"", "pre/fix/"} {
		InBubble(t, k, Options{}, func(b *Bubble) {
			a, ctx := b.Open(configured(func(c *bucket.Config) { c.Prefix = prefix })), b.Context()
			key := strings.Repeat("d/", 300)
			key += strings.Repeat("ü", (backends.MaxKey-len(prefix)-len(key))/2)
			for _, size := range []int{3, 2*Part + 1} {
				want := Content(1, size)
				if err := Put(ctx, a, key, want, backends.PutOptions{}); err != nil {
					b.Fatal(err)
				}
				if all, err := Read(ctx, a, key); all != want || err != nil {
					b.Errorf("%d bytes, %v", len(all), err)
				}
			}
			if o, err := a.Stat(ctx, key); err != nil || o.Key != key {
				b.Errorf("stat: %v", err)
			}
			b.wantNothingLeft()
			if slices.ContainsFunc(b.Keys(), func(key string) bool { return strings.HasPrefix(key, prefix+private) }) {
				b.Errorf("the bucket holds %q", b.Keys())
			}
			// A placeholder would have one byte more.
			if err := a.Mkdir(ctx, strings.Repeat("x", backends.MaxKey-len(prefix))); backends.KindOf(err) != backends.InvalidName {
				b.Errorf("mkdir: %v", err)
			}
			if err := a.Rename(ctx, "d", "dd", backends.RenameOptions{}); backends.KindOf(err) != backends.InvalidName {
				b.Errorf("rename to a longer name: %v", err)
			}
			if o, ok := b.Object(prefix + key); !ok || o.Size != 2*Part+1 {
				b.Error("it is not there any more")
			}
			if err := a.Remove(ctx, key); err != nil {
				b.Error(err)
			}
		})
	}
}

// testObjectBesideFolder has an object and a folder of one name, as others may write them. What is
// done to one of them never touches the other.
func testObjectBesideFolder(t *testing.T, k *Kind) {
	both := []string{"a", "a/b"}
	for _, test := range []struct {
		name string
		do   func(b *Bubble, a *bucket.Adapter) error
		kind backends.Kind // of the error; below 0: none
		keys []string      // afterwards
	}{
		{"stat", func(b *Bubble, a *bucket.Adapter) error {
			o, err := a.Stat(b.Context(), "a")
			if o.Dir || o.Size != 3 {
				b.Errorf("%+v", o)
			}
			return err
		}, -1, both},
		{"list the root", func(b *Bubble, a *bucket.Adapter) error {
			if all := b.names(a, ""); !slices.Equal(all, []string{"a", "a/"}) {
				b.Errorf("%q", all)
			}
			return nil
		}, -1, both},
		{"list", func(b *Bubble, a *bucket.Adapter) error {
			if all := b.names(a, "a"); !slices.Equal(all, []string{"a/b"}) {
				b.Errorf("%q", all)
			}
			return nil
		}, -1, both},
		{"open", func(b *Bubble, a *bucket.Adapter) error {
			all, err := Read(b.Context(), a, "a")
			if all != "one" {
				b.Errorf("%q", all)
			}
			return err
		}, -1, both},
		{"open below", func(b *Bubble, a *bucket.Adapter) error {
			all, err := Read(b.Context(), a, "a/b")
			if all != "other" {
				b.Errorf("%q", all)
			}
			return err
		}, -1, both},
		{"put", func(b *Bubble, a *bucket.Adapter) error {
			return Put(b.Context(), a, "a", "new", backends.PutOptions{})
		}, backends.IsDir, both},
		{"remove", func(b *Bubble, a *bucket.Adapter) error { return a.Remove(b.Context(), "a") }, -1, []string{"a/b"}},
		{"remove below", func(b *Bubble, a *bucket.Adapter) error { return a.Remove(b.Context(), "a/b") }, -1, []string{"a", "a/"}},
		{"rmdir", func(b *Bubble, a *bucket.Adapter) error { return a.Rmdir(b.Context(), "a") }, backends.NotEmpty, both},
		{"mkdir", func(b *Bubble, a *bucket.Adapter) error { return a.Mkdir(b.Context(), "a") }, backends.Exist, both},
		{"rename", func(b *Bubble, a *bucket.Adapter) error {
			return a.Rename(b.Context(), "a", "c", backends.RenameOptions{})
		}, -1, []string{"a/b", "c"}},
		{"rename to itself", func(b *Bubble, a *bucket.Adapter) error {
			return ignoring(a.Rename(b.Context(), "a", "a", backends.RenameOptions{}))
		}, -1, both},
		{"rename below", func(b *Bubble, a *bucket.Adapter) error {
			return a.Rename(b.Context(), "a/b", "c", backends.RenameOptions{})
		}, -1, []string{"a", "a/", "c"}},
		{"rename onto itself below", func(b *Bubble, a *bucket.Adapter) error {
			return ignoring(a.Rename(b.Context(), "a", "a/b", backends.RenameOptions{IfAbsent: true}))
		}, -1, both},
		{"copy", func(b *Bubble, a *bucket.Adapter) error {
			_, err := a.Copy(b.Context(), "a", "c", backends.CopyOptions{})
			return err
		}, -1, []string{"a", "a/b", "c"}},
		{"set the time", func(b *Bubble, a *bucket.Adapter) error { return a.SetModTime(b.Context(), "a", newTime) }, -1, both},
	} {
		t.Run(test.name, func(t *testing.T) {
			InBubble(t, k, Options{}, func(b *Bubble) {
				b.fill(map[string]string{"a": "one", "a/b": "other"})
				err := test.do(b, b.Open())
				if (err == nil) != (test.kind < 0) || err != nil && backends.KindOf(err) != test.kind {
					b.Error(err)
				}
				if all := b.Keys(); !slices.Equal(all, test.keys) {
					b.Errorf("the bucket holds %q", all)
				}
				for _, key := range b.Keys() {
					o, _ := b.Object(key)
					if want := map[string]string{"a": "one", "a/b": "other"}[key]; want != "" && string(o.Data) != want {
						b.Errorf("%s holds %q", key, o.Data)
					}
				}
			})
		})
	}
}

// ignoring takes any answer that says that a name is taken for none.
func ignoring(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// testKeysOfOthers: what others wrote and no client could name is not shown, breaks nothing, and goes
// along with its folder.
func testKeysOfOthers(t *testing.T, k *Kind) {
	InBubble(t, k, Options{PageSize: 2}, func(b *Bubble) {
		odd := []string{"d//x", "d/../y", "d/./z", "d/end/"}
		if !k.NoLines {
			odd = append(odd, "d/a\nb", "d/line\r")
		}
		for _, key := range odd {
			b.Put(key, []byte("odd"), nil)
		}
		b.Put("d/good", []byte("good"), nil)
		a := b.Open()
		if all := b.names(a, "d"); !slices.Equal(all, []string{"d/end/", "d/good"}) {
			b.Errorf("listed: %q", all)
		}
		if err := a.Rmdir(b.Context(), "d"); backends.KindOf(err) != backends.NotEmpty {
			b.Error(err)
		}
		if err := a.Rename(b.Context(), "d", "e", backends.RenameOptions{}); err != nil {
			b.Error(err)
		}
		for _, key := range append(odd, "d/good") {
			moved := "e" + key[1:]
			if _, ok := b.Object(moved); !ok {
				b.Errorf("%q is not there", moved)
			}
		}
		if n := len(b.Keys()); n != len(odd)+1 {
			b.Errorf("the bucket holds %q", b.Keys())
		}
	})
}

// testAppendReadsLittle: what the store can copy or join is not read, and little is.
func testAppendReadsLittle(t *testing.T, k *Kind) {
	for _, test := range k.Appends {
		t.Run(test.Name, func(t *testing.T) {
			InBubble(t, k, Options{Variant: test.Variant}, func(b *Bubble) {
				a := b.Open()
				old, more := Content(1, int(test.Size)), Content(2, Part)
				b.Put("k", bytesOf(old), nil)
				b.Reset()
				obj, err := a.Put(b.Context(), "k", strings.NewReader(more), backends.PutOptions{Offset: test.Offset})
				if err != nil {
					b.Fatal(err)
				}
				o, _ := b.Object("k")
				if string(o.Data) != old[:test.Offset]+more || obj.Version != o.Version || obj.Size != o.Size {
					b.Errorf("%d bytes, %+v", o.Size, obj)
				}
				var times int
				var ranges []string
				for _, r := range b.Requests() {
					switch r.Op {
					case CopyPart, Compose:
						times++
						if r.Op != test.Op {
							b.Errorf("a %s", r.Op)
						}
					case Get:
						ranges = append(ranges, r.Header.Get("Range"))
					}
				}
				if times != test.Times || (len(ranges) == 1) != test.Read || len(ranges) > 1 {
					b.Errorf("%d of %q, read %q", times, test.Op, ranges)
				}
			})
		})
	}
}

// testAppendSourceChanges: an object that is another one before an upload has gone on from it is a
// conflict, and stays. Where its pieces are copied while the content comes the client hears of it early.
func testAppendSourceChanges(t *testing.T, k *Kind) {
	InBubble(t, k, Options{}, func(b *Bubble) {
		b.Put("k", bytesOf(oldBytes), nil)
		b.OnRequest(func(r Request) Fault {
			if r.Op == Begin {
				b.Put("k", bytesOf(large), nil)
			}
			return Fault{}
		})
		err := Put(b.Context(), b.Open(), "k", strings.Repeat("x", 40*Part), backends.PutOptions{Offset: int64(len(oldBytes))})
		if backends.KindOf(err) != backends.Conflict {
			b.Error(err)
		}
		b.WantObject("k", large)
		for _, r := range b.Requests() {
			if r.Op == Complete && k.AppendsParts == Complete {
				b.Error("it was sent to its end")
			}
		}
	})
}

// testTransportIsWatched: whoever is put around the transport sees every request, and which of them
// are repeated.
func testTransportIsWatched(t *testing.T, k *Kind) {
	InBubble(t, k, Options{}, func(b *Bubble) {
		var seen, puts []string // one request after the other
		a := b.Open(configured(func(c *bucket.Config) {
			c.Transport = func(next http.RoundTripper) http.RoundTripper {
				return watcher{next, func(r *http.Request) {
					again := ""
					if backends.Attempt(r.Context()) > 0 {
						again = " again"
					}
					b.mu.Lock()
					defer b.mu.Unlock()
					seen = append(seen, r.Method+again)
				}}
			}
		}))
		refused := 0
		b.OnRequest(func(r Request) Fault {
			if r.Op == Write {
				b.mu.Lock()
				defer b.mu.Unlock()
				puts = append(puts, seen[len(seen)-1])
				if refused++; refused < 3 {
					return Fault{Code: k.SlowDown}
				}
			}
			return Fault{}
		})
		if err := Put(b.Context(), a, "o", "content", backends.PutOptions{}); err != nil {
			b.Fatal(err)
		}
		if err := a.Remove(b.Context(), "o"); err != nil {
			b.Fatal(err)
		}
		// A folder's placeholder may be among the last.
		method := strings.Fields(puts[0])[0]
		if diff := cmp.Diff([]string{method, method + " again", method + " again"}, puts[:3]); diff != "" {
			b.Errorf("%q: %s", seen, diff)
		}
		// A question that is not needed any more may be withdrawn before it has left.
		sent := 0
		for _, r := range b.Requests() {
			if r.Op != Login {
				sent++
			}
		}
		if len(seen) < sent {
			b.Errorf("%d requests were watched, %d came: %q", len(seen), sent, seen)
		}
	})
}
