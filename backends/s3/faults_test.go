package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
	"github.com/sluice-ftp/sluice/backends/s3"
	"github.com/sluice-ftp/sluice/backends/s3fake"
)

// TestThrottled: a store that asks to slow down for a minute, from any request on, fails no upload.
func TestThrottled(t *testing.T) {
	for _, code := range []string{"SlowDown", "InternalError"} {
		for _, size := range []int{5, testPart, 3 * testPart} {
			t.Run(fmt.Sprintf("%s, %d bytes", code, size), func(t *testing.T) {
				everywhere(t, func(b *bubble, n int) (done bool) {
					var begun time.Time
					b.store.OnRequest(func(r s3fake.Request) s3fake.Fault {
						if r.Index == n {
							begun = time.Now()
						}
						if r.Index >= n && time.Since(begun) < time.Minute {
							return s3fake.Fault{Code: code}
						}
						return s3fake.Fault{}
					})
					want := content(1, size)
					err := put(b.Context(), b.open(), "k", want, backends.PutOptions{})
					if o, _ := b.store.Object("k"); err != nil || string(o.Data) != want {
						b.Errorf("%d bytes are there, %v", len(o.Data), err)
					}
					return b.store.Count("") < n
				})
			})
		}
	}
}

// TestThrottledForGood: a store that never answers anything else ends an upload, in a bounded time and
// with an error of its own kind.
func TestThrottledForGood(t *testing.T) {
	for _, op := range []string{"ListObjectsV2", "PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"} {
		t.Run(op, func(t *testing.T) {
			inBubble(t, s3fake.Options{}, func(b *bubble) {
				b.store.OnRequest(func(r s3fake.Request) s3fake.Fault {
					if r.Op == op {
						return s3fake.Fault{Code: "SlowDown"}
					}
					return s3fake.Fault{}
				})
				begun := time.Now()
				err := put(b.Context(), b.open(), "k", oldBytes, backends.PutOptions{})
				if backends.KindOf(err) != backends.Unavailable {
					b.Error(err)
				}
				if took := time.Since(begun); took > 15*time.Minute {
					b.Errorf("it took %v", took)
				}
				b.store.OnRequest(nil)
				b.sweep(b.open())
				if left := leftovers(b.store, ""); len(left) > 0 || len(b.store.Keys()) > 0 {
					b.Errorf("left behind: %q, %q", left, b.store.Keys())
				}
			})
		})
	}
}

// TestFlippedBit: content that arrives changed is never published. It is sent again or the upload
// fails as Corrupt.
func TestFlippedBit(t *testing.T) {
	old := content(4, 2*testPart)
	for _, test := range []struct{ size, offset int }{
		{5, 0},
		{testPart - 1, 0},
		{3 * testPart, 0},
		{3 * testPart, len(old)}, // behind two that the store copies
	} {
		for part := range 6 {
			for _, times := range []int{1, 100} {
				t.Run(fmt.Sprintf("%d bytes at %d, part %d, %d times", test.size, test.offset, part, times), func(t *testing.T) {
					inBubble(t, s3fake.Options{}, func(b *bubble) {
						b.store.Put("k", []byte(old), nil)
						n := 0
						b.store.OnRequest(func(r s3fake.Request) s3fake.Fault {
							if r.Key != "k" || r.Op != "PutObject" && r.Op != "UploadPart" || r.Part != part {
								return s3fake.Fault{}
							}
							n++
							return s3fake.Fault{FlipBit: n <= times}
						})
						more := content(1, test.size)
						want := old[:test.offset] + more
						err := put(b.Context(), b.open(), "k", more, backends.PutOptions{Offset: int64(test.offset)})
						switch o, _ := b.store.Object("k"); {
						case err == nil && string(o.Data) != want:
							b.Error("success, and the object is another")
						case err != nil && string(o.Data) != old:
							b.Error("an error, and the object is published:", err)
						case err != nil && backends.KindOf(err) != backends.Corrupt:
							b.Error(err)
						}
						if left := leftovers(b.store, ""); len(left) > 0 {
							b.Errorf("left behind: %q", left)
						}
					})
				})
			}
		}
	}
}

// TestWrongSettings: the first use and Check name what is wrong, and an upload leaves nothing.
func TestWrongSettings(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  func(c *s3.Config)
		kind    backends.Kind
		setting string
	}{
		{"bucket", func(c *s3.Config) { c.Bucket = "another" }, backends.Misconfigured, "bucket"},
		{"region", func(c *s3.Config) { c.Region = "eu-central-1" }, backends.Misconfigured, "region"},
		{"key", func(c *s3.Config) { c.AccessKeyID = "another" }, backends.Misconfigured, "access_key_id"},
		{"secret", func(c *s3.Config) { c.SecretAccessKey = "another" }, backends.Misconfigured, "secret_access_key"},
		{"no TLS there", func(c *s3.Config) { c.Endpoint = "https" + c.Endpoint[len("http"):] }, backends.Misconfigured, "endpoint"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := s3fake.Start(t, s3fake.Options{})
			c := config(t, f)
			test.change(&c)
			var finding *bucket.Finding
			checking, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if err := s3.Check(checking, c); !errors.As(err, &finding) || finding.Setting != test.setting {
				t.Errorf("check: %v", err)
			}
			a := open(t, c)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // to try again is no use
			defer cancel()
			for verb, do := range verbs(ctx, a) {
				if err := do(); backends.KindOf(err) != test.kind {
					t.Errorf("%s: %v", verb, err)
				}
			}
			if len(f.Keys()) > 0 || len(f.Uploads()) > 0 {
				t.Error("something was written")
			}
		})
	}
}

// verbs are all the methods, on things that are not there.
func verbs(ctx context.Context, a *s3.Adapter) map[string]func() error {
	return map[string]func() error{
		"stat": func() error { _, err := a.Stat(ctx, "d/k"); return err },
		"list": func() error {
			for _, err := range a.List(ctx, "", backends.ListOptions{}) {
				return err
			}
			return nil
		},
		"open":         func() error { _, err := get(ctx, a, "d/k"); return err },
		"put":          func() error { return put(ctx, a, "d/k", "small", backends.PutOptions{}) },
		"put in parts": func() error { return put(ctx, a, "d/k", oldBytes, backends.PutOptions{}) },
		"copy":         func() error { _, err := a.Copy(ctx, "d/k", "l", backends.CopyOptions{}); return err },
		"rename":       func() error { return a.Rename(ctx, "d/k", "l", backends.RenameOptions{}) },
		"remove":       func() error { return a.Remove(ctx, "d/k") },
		"mkdir":        func() error { return a.Mkdir(ctx, "d/k") },
		"rmdir":        func() error { return a.Rmdir(ctx, "d/k") },
		"set the time": func() error { return a.SetModTime(ctx, "d/k", newTime) },
	}
}

// TestNobodyListens: an endpoint that is not there may come back.
func TestNobodyListens(t *testing.T) {
	inBubble(t, s3fake.Options{}, func(b *bubble) {
		a := b.open()
		a.Dial(func(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED })
		for verb, do := range verbs(b.Context(), a) {
			begun := time.Now()
			if err := do(); backends.KindOf(err) != backends.Unavailable {
				b.Errorf("%s: %v", verb, err)
			}
			if took := time.Since(begun); verb != "put" && verb != "put in parts" && took > time.Minute {
				b.Errorf("%s took %v", verb, took)
			}
		}
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := config(t, s3fake.New(s3fake.Options{}))
	c.Endpoint = "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	var finding *bucket.Finding
	if err := s3.Check(ctx, c); !errors.As(err, &finding) || finding.Setting != "endpoint" ||
		backends.KindOf(err) != backends.Unavailable {
		t.Errorf("check: %v", err)
	}
}

// TestWrongClock: a clock that is an hour wrong is corrected by the store's answer, or named.
func TestWrongClock(t *testing.T) {
	for _, ahead := range []time.Duration{-time.Hour, time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			inBubble(t, s3fake.Options{}, func(b *bubble) {
				skewed := func() time.Time { return time.Now().Add(ahead) }
				f := s3fake.New(s3fake.Options{Now: skewed})
				b.store = f // the one that is asked
				b.date = skewed
				for verb, do := range verbs(b.Context(), b.open()) {
					if err := do(); backends.KindOf(err) == backends.Misconfigured {
						b.Errorf("%s: %v", verb, err)
					}
				}
				f.Close()
			})
		})
	}
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

// TestBrokenBody: whatever a store does to a body, it is delivered whole or with an error.
func TestBrokenBody(t *testing.T) {
	never := func(b *bubble) <-chan struct{} { return make(chan struct{}) }
	for _, test := range []struct {
		name  string
		size  int
		fault func(b *bubble, nth int) s3fake.Fault // of the nth GET
		kind  backends.Kind
		whole bool
	}{
		{"cut after every byte", 300, func(*bubble, int) s3fake.Fault { return s3fake.Fault{CutBody: 1} }, 0, true},
		{"cut after every 7 bytes", 3000, func(*bubble, int) s3fake.Fault { return s3fake.Fault{CutBody: 7} }, 0, true},
		{"cut after every 100,000 bytes", 3 * testPart, func(*bubble, int) s3fake.Fault { return s3fake.Fault{CutBody: 100_000} }, 0, true},
		{"cut once before the last byte", 3000, func(_ *bubble, nth int) s3fake.Fault {
			return map[int]s3fake.Fault{1: {CutBody: 2999}}[nth]
		}, 0, true},
		{"cut, then refused", 3000, func(_ *bubble, nth int) s3fake.Fault {
			return map[bool]s3fake.Fault{true: {CutBody: 10}, false: {Status: 403}}[nth == 1]
		}, backends.Permission, false},
		{"cut, then unavailable", 3000, func(_ *bubble, nth int) s3fake.Fault {
			return map[bool]s3fake.Fault{true: {CutBody: 10}, false: {Before: true}}[nth == 1]
		}, backends.Unavailable, false},
		{"cut, then slow for a while", 3000, func(_ *bubble, nth int) s3fake.Fault {
			return map[int]s3fake.Fault{1: {CutBody: 10}, 2: {Code: "SlowDown"}, 3: {Before: true}}[nth]
		}, 0, true},
		{"cut and overwritten", 3000, func(b *bubble, nth int) s3fake.Fault {
			if nth == 2 {
				b.store.Put("k", []byte("another"), nil)
			}
			return s3fake.Fault{CutBody: 10}
		}, backends.Conflict, false},
		{"cut and removed", 3000, func(b *bubble, nth int) s3fake.Fault {
			if nth == 2 {
				b.store.Remove("k")
			}
			return s3fake.Fault{CutBody: 10}
		}, backends.Conflict, false},
		{"stalled once", 3000, func(b *bubble, nth int) s3fake.Fault {
			if nth == 1 {
				return s3fake.Fault{StallBody: never(b)}
			}
			return s3fake.Fault{}
		}, 0, true},
		{"always stalled", 3000, func(b *bubble, _ int) s3fake.Fault {
			return s3fake.Fault{StallBody: never(b)}
		}, backends.Unavailable, false},
		{"stalled before it begins", 3000, func(b *bubble, _ int) s3fake.Fault {
			return s3fake.Fault{Stall: never(b)}
		}, backends.Unavailable, false},
	} {
		for name, read := range readers {
			t.Run(test.name+" "+name, func(t *testing.T) {
				inBubble(t, s3fake.Options{}, func(b *bubble) {
					want := content(1, test.size)
					b.store.Put("k", []byte(want), nil)
					n := 0
					b.store.OnRequest(func(r s3fake.Request) s3fake.Fault {
						if r.Op != "GetObject" {
							return s3fake.Fault{}
						}
						n++
						return test.fault(b, n)
					})
					begun := time.Now()
					var all []byte
					r, err := b.open().Open(b.Context(), "k", backends.OpenOptions{})
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

// TestEmptyBodies: bodies that break before their first byte end as an error, soon and after few
// requests.
func TestEmptyBodies(t *testing.T) {
	for name, read := range readers {
		t.Run(name, func(t *testing.T) {
			inBubble(t, s3fake.Options{}, func(b *bubble) {
				b.store.Put("k", []byte("content"), nil)
				n := 0
				b.spoiling(func(op, _ string) *answer {
					n++
					return &answer{status: 206, length: 7}
				})
				r, err := b.open().Open(b.Context(), "k", backends.OpenOptions{})
				if err != nil {
					b.Fatal(err)
				}
				defer r.Close()
				if all, err := read(r); backends.KindOf(err) != backends.Unavailable || err == nil {
					b.Errorf("%q, %v", all, err)
				}
				if n > 10 {
					b.Errorf("%d requests", n)
				}
			})
		})
	}
}

// TestRangeIgnored: bytes from the wrong place are never taken for those that were asked for.
func TestRangeIgnored(t *testing.T) {
	for _, cut := range []bool{false, true} {
		for name, read := range readers {
			t.Run(fmt.Sprint(name, cut), func(t *testing.T) {
				inBubble(t, s3fake.Options{}, func(b *bubble) {
					const want = "0123456789"
					b.store.Put("k", []byte(want), nil)
					n := 0
					b.spoiling(func(op, _ string) *answer {
						switch n++; {
						case n > 10:
							return &answer{status: 403}
						case cut && n == 1:
							return &answer{status: 200, body: want[:4], length: len(want)}
						}
						return &answer{status: 200, body: want}
					})
					o := backends.OpenOptions{}
					if !cut {
						o.Offset = 4
					}
					r, err := b.open().Open(b.Context(), "k", o)
					if err != nil {
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

// TestCloseEndsRead: Close ends a Read and a WriteTo that wait for the store.
func TestCloseEndsRead(t *testing.T) {
	for name, read := range readers {
		t.Run(name, func(t *testing.T) {
			inBubble(t, s3fake.Options{}, func(b *bubble) {
				b.store.Put("k", []byte(oldBytes), nil)
				never := make(chan struct{})
				b.store.OnRequest(func(s3fake.Request) s3fake.Fault { return s3fake.Fault{StallBody: never} })
				r, err := b.open().Open(b.Context(), "k", backends.OpenOptions{})
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
