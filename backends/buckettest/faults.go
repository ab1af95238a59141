package buckettest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/storefake"
)

// testThrottled: a store that asks to slow down for a minute, from any request on, fails no upload.
func testThrottled(t *testing.T, k *Kind) {
	for _, code := range []string{k.SlowDown, k.Internal} {
		for _, size := range []int{5, Part, 3 * Part} {
			t.Run(fmt.Sprintf("%s, %d bytes", code, size), func(t *testing.T) {
				everywhere(t, k, Options{}, func(b *Bubble, n int) (done bool) {
					var begun time.Time
					b.OnRequest(func(r Request) Fault {
						if r.Index == n {
							begun = time.Now()
						}
						if r.Index >= n && time.Since(begun) < time.Minute {
							return Fault{Code: code}
						}
						return Fault{}
					})
					want := Content(1, size)
					err := Put(b.Context(), b.Open(), "k", want, backends.PutOptions{})
					if o, _ := b.Object("k"); err != nil || string(o.Data) != want {
						b.Errorf("%d bytes are there, %v", len(o.Data), err)
					}
					return b.Count("") < n
				})
			})
		}
	}
}

// testThrottledForGood: a store that never answers anything else ends an upload, in a bounded time and
// with an error of its own kind.
func testThrottledForGood(t *testing.T, k *Kind) {
	for _, test := range []struct{ op, content string }{
		{List, oldBytes},
		{Write, "small"},
		{Begin, oldBytes},
		{SendPart, oldBytes},
		{Complete, oldBytes},
		{Write, oldBytes}, // its record, if there is one
	} {
		if test.op == Write && test.content == oldBytes && k.Expires {
			continue
		}
		t.Run(fmt.Sprintf("%s of %d bytes", test.op, len(test.content)), func(t *testing.T) {
			InBubble(t, k, Options{}, func(b *Bubble) {
				b.OnRequest(func(r Request) Fault {
					if r.Op == test.op {
						return Fault{Code: k.SlowDown}
					}
					return Fault{}
				})
				begun := time.Now()
				err := Put(b.Context(), b.Open(), "k", test.content, backends.PutOptions{})
				if backends.KindOf(err) != backends.Unavailable {
					b.Error(err)
				}
				if took := time.Since(begun); took > 15*time.Minute {
					b.Errorf("it took %v", took)
				}
				b.OnRequest(nil)
				b.Sweep(b.Open())
				b.wantNothingLeft()
				if keys := b.Keys(); len(keys) > 0 {
					b.Errorf("the bucket holds %q", keys)
				}
			})
		})
	}
}

// testFlippedBit: content that arrives changed is never published. It is sent again or the upload
// fails as Corrupt.
func testFlippedBit(t *testing.T, k *Kind) {
	old := Content(4, 2*Part)
	for _, test := range []struct{ size, offset int }{
		{5, 0},
		{Part - 1, 0},
		{3 * Part, 0},
		{3 * Part, len(old)}, // behind two that the store copies, or joins
	} {
		for part := range 4 {
			for _, times := range []int{1, 100} {
				t.Run(fmt.Sprintf("%d bytes at %d, part %d, %d times", test.size, test.offset, part, times), func(t *testing.T) {
					InBubble(t, k, Options{}, func(b *Bubble) {
						b.Put("k", bytesOf(old), nil)
						n := 0
						b.OnRequest(func(r Request) Fault {
							if strings.HasPrefix(r.Key, ".sluice/v1/uploads/") || r.Part != part {
								return Fault{}
							}
							n++
							return wired(storefake.Fault{FlipBit: n <= times})
						})
						more := Content(1, test.size)
						want := old[:test.offset] + more
						err := Put(b.Context(), b.Open(), "k", more, backends.PutOptions{Offset: int64(test.offset)})
						switch o, _ := b.Object("k"); {
						case err == nil && string(o.Data) != want:
							b.Error("success, and the object is another")
						case err != nil && string(o.Data) != old:
							b.Error("an error, and the object is published:", err)
						case err != nil && backends.KindOf(err) != backends.Corrupt:
							b.Error(err)
						case err == nil && n >= 100 || err != nil && n == 0:
							b.Errorf("%d flipped: %v", n, err)
						}
						b.wantNothingLeft()
					})
				})
			}
		}
	}
}

// testNobodyListens: an endpoint that is not there may come back.
func testNobodyListens(t *testing.T, k *Kind) {
	InBubble(t, k, Options{}, func(b *Bubble) {
		a := b.Open(func(s *Setup) {
			s.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }
		})
		for verb, do := range Verbs(b.Context(), a) {
			begun := time.Now()
			if err := do(); backends.KindOf(err) != backends.Unavailable {
				b.Errorf("%s: %v", verb, err)
			}
			if took := time.Since(begun); verb != "put" && verb != "put in parts" && took > time.Minute {
				b.Errorf("%s took %v", verb, took)
			}
		}
	})
}

// readers are the two ways to read.
var readers = map[string]func(r backends.Reader) ([]byte, error){
	"Read": func(r backends.Reader) ([]byte, error) { return io.ReadAll(struct{ io.Reader }{r}) },
	"WriteTo": func(r backends.Reader) ([]byte, error) {
		var all bytes.Buffer
		_, err := r.WriteTo(&all)
		return all.Bytes(), err
	},
}

// testBrokenBody: whatever a store does to a body, it is delivered whole or with an error.
func testBrokenBody(t *testing.T, k *Kind) {
	cutting := func(n int64) Fault { return wired(storefake.Fault{CutBody: n}) }
	never := func() <-chan struct{} { return make(chan struct{}) }
	for _, test := range []struct {
		name  string
		size  int
		fault func(b *Bubble, nth int) Fault // of the nth request to read
		kind  backends.Kind
		whole bool
	}{
		{"cut after every byte", 300, func(*Bubble, int) Fault { return cutting(1) }, 0, true},
		{"cut after every 7 bytes", 3000, func(*Bubble, int) Fault { return cutting(7) }, 0, true},
		{"cut after every 100,000 bytes", 3 * Part, func(*Bubble, int) Fault { return cutting(100_000) }, 0, true},
		{"cut once before the last byte", 3000, func(_ *Bubble, nth int) Fault {
			return map[int]Fault{1: cutting(2999)}[nth]
		}, 0, true},
		{"cut, then refused", 3000, func(_ *Bubble, nth int) Fault {
			return map[bool]Fault{true: cutting(10), false: {Status: http.StatusForbidden}}[nth == 1]
		}, backends.Permission, false},
		{"cut, then unavailable", 3000, func(_ *Bubble, nth int) Fault {
			return map[bool]Fault{true: cutting(10), false: before}[nth == 1]
		}, backends.Unavailable, false},
		{"cut, then slow for a while", 3000, func(_ *Bubble, nth int) Fault {
			return map[int]Fault{1: cutting(10), 2: {Code: k.SlowDown}, 3: before}[nth]
		}, 0, true},
		{"cut and overwritten", 3000, func(b *Bubble, nth int) Fault {
			if nth == 2 {
				b.Put("k", []byte("another"), nil)
			}
			return cutting(10)
		}, backends.Conflict, false},
		{"cut and removed", 3000, func(b *Bubble, nth int) Fault {
			if nth == 2 {
				b.Remove("k")
			}
			return cutting(10)
		}, backends.Conflict, false},
		{"stalled once", 3000, func(_ *Bubble, nth int) Fault {
			if nth == 1 {
				return wired(storefake.Fault{StallBody: never()})
			}
			return Fault{}
		}, 0, true},
		{"always stalled", 3000, func(*Bubble, int) Fault {
			return wired(storefake.Fault{StallBody: never()})
		}, backends.Unavailable, false},
		{"stalled before it begins", 3000, func(*Bubble, int) Fault {
			return wired(storefake.Fault{Stall: never()})
		}, backends.Unavailable, false},
	} {
		for name, read := range readers {
			t.Run(test.name+" "+name, func(t *testing.T) {
				InBubble(t, k, Options{}, func(b *Bubble) {
					want := Content(1, test.size)
					b.Put("k", bytesOf(want), nil)
					n := 0
					b.OnRequest(func(r Request) Fault {
						if r.Op != Get {
							return Fault{}
						}
						n++
						return test.fault(b, n)
					})
					begun := time.Now()
					var all []byte
					r, err := b.Open().Open(b.Context(), "k", backends.OpenOptions{})
					if err == nil {
						defer r.Close()
						all, err = read(r)
					}
					switch {
					case test.whole && (err != nil || string(all) != want):
						b.Errorf("%d bytes of %d, %v", len(all), len(want), err)
					case !test.whole && (err == nil || backends.KindOf(err) != test.kind):
						b.Errorf("%d bytes of %d, %v", len(all), len(want), err)
					case string(all) != want[:len(all)]:
						b.Error("wrong bytes")
					}
					if took := time.Since(begun); took > 10*time.Minute {
						b.Errorf("it took %v", took)
					}
				})
			})
		}
	}
}

// reading spoils the answers to requests to read.
func (b *Bubble) reading(nth func(n int) *answer) (count *int) {
	count = new(int)
	b.spoiling(func(r Request) *answer {
		if r.Op != Get {
			return nil
		}
		*count++
		a := nth(*count)
		if a != nil {
			a.header = maps.Clone(b.Kind.ReadHeader)
		}
		return a
	})
	return count
}

// testEmptyBodies: bodies that break before their first byte end as an error, soon and after few
// requests.
func testEmptyBodies(t *testing.T, k *Kind) {
	for name, read := range readers {
		t.Run(name, func(t *testing.T) {
			InBubble(t, k, Options{}, func(b *Bubble) {
				b.Put("k", []byte("content"), nil)
				n := b.reading(func(int) *answer { return &answer{status: http.StatusPartialContent, length: 7} })
				r, err := b.Open().Open(b.Context(), "k", backends.OpenOptions{})
				if err != nil {
					b.Fatal(err)
				}
				defer r.Close()
				if all, err := read(r); backends.KindOf(err) != backends.Unavailable || err == nil {
					b.Errorf("%q, %v", all, err)
				}
				if *n > 10 {
					b.Errorf("%d requests", *n)
				}
			})
		})
	}
}

// testRangeIgnored: bytes from the wrong place are never taken for those that were asked for.
func testRangeIgnored(t *testing.T, k *Kind) {
	for _, cut := range []bool{false, true} {
		for name, read := range readers {
			t.Run(fmt.Sprint(name, cut), func(t *testing.T) {
				InBubble(t, k, Options{}, func(b *Bubble) {
					const want = "0123456789"
					b.Put("k", bytesOf(want), nil)
					b.reading(func(n int) *answer {
						switch {
						case n > 10:
							return &answer{status: http.StatusForbidden}
						case cut && n == 1:
							return &answer{status: 200, body: want[:4], length: len(want)}
						}
						return &answer{status: 200, body: want}
					})
					o := backends.OpenOptions{}
					if !cut {
						o.Offset = 4
					}
					r, err := b.Open().Open(b.Context(), "k", o)
					if err != nil {
						if cut {
							b.Error(err)
						}
						return
					}
					defer r.Close()
					if all, err := read(r); string(all) != want[o.Offset:] && err == nil || len(all) > len(want) {
						b.Errorf("%d bytes, %.20q, %v", len(all), all, err)
					}
				})
			})
		}
	}
}

// testNoLength: an object of unknown length cannot be told from half of it.
func testNoLength(t *testing.T, k *Kind) {
	InBubble(t, k, Options{}, func(b *Bubble) {
		b.Put("k", []byte("content"), nil)
		b.reading(func(int) *answer { return &answer{status: 200, body: "content", length: -1} })
		_, err := b.Open().Open(b.Context(), "k", backends.OpenOptions{})
		if backends.KindOf(err) != backends.Unavailable || !strings.Contains(err.Error(), "how long") {
			b.Error(err)
		}
	})
}

// testCloseEndsRead: Close ends a Read and a WriteTo that wait for the store.
func testCloseEndsRead(t *testing.T, k *Kind) {
	for name, read := range readers {
		t.Run(name, func(t *testing.T) {
			InBubble(t, k, Options{}, func(b *Bubble) {
				b.Put("k", bytesOf(oldBytes), nil)
				never := make(chan struct{})
				b.OnRequest(func(r Request) Fault {
					if r.Op != Get {
						return Fault{}
					}
					return wired(storefake.Fault{StallBody: never})
				})
				r, err := b.Open().Open(b.Context(), "k", backends.OpenOptions{})
				if err != nil {
					b.Fatal(err)
				}
				done := make(chan error)
				go func() {
					_, err := read(r)
					done <- err
				}()
				synctest.Wait()
				begun := time.Now()
				if err := r.Close(); err != nil {
					b.Error(err)
				}
				if err := <-done; err == nil {
					b.Error("no error")
				}
				if took := time.Since(begun); took > time.Second {
					b.Errorf("it took %v", took)
				}
			})
		})
	}
}

// watcher notes each request and how often it was sent before.
type watcher struct {
	http.RoundTripper
	note func(r *http.Request)
}

// RoundTrip implements http.RoundTripper.
func (w watcher) RoundTrip(r *http.Request) (*http.Response, error) {
	w.note(r)
	return w.RoundTripper.RoundTrip(r)
}
