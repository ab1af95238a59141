package gcs_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
	"github.com/sluice-ftp/sluice/backends/buckettest"
	"github.com/sluice-ftp/sluice/backends/gcs"
)

// between is a fake with something before it.
type between struct {
	fake
	serve func(w http.ResponseWriter, r *http.Request, next http.Handler)
}

// ServeHTTP implements http.Handler.
func (b between) ServeHTTP(w http.ResponseWriter, r *http.Request) { b.serve(w, r, b.fake) }

// before has serve stand before the fake of a bubble.
func before(t *testing.T, serve func(w http.ResponseWriter, r *http.Request, next http.Handler), do func(b *buckettest.Bubble)) {
	t.Helper()
	k := kind
	k.New = func(o buckettest.Options) buckettest.Fake { return between{kind.New(o).(fake), serve} }
	k.Open = func(t testing.TB, s buckettest.Setup) *bucket.Adapter {
		s.Part = 4 * testPart // so that one is of more than a granule
		return opened(t, s).Adapter
	}
	buckettest.InBubble(t, &k, buckettest.Options{}, do)
}

// isChunk says whether a request brings bytes that others follow, and from where to where.
func isChunk(r *http.Request) (from, to int64, ok bool) {
	n, _ := fmt.Sscanf(r.Header.Get("Content-Range"), "bytes %d-%d/*", &from, &to)
	return from, to + 1, n == 2 && strings.HasSuffix(r.Header.Get("Content-Range"), "/*")
}

// resumeAt answers that a session has so many bytes.
func resumeAt(w http.ResponseWriter, n int64) {
	if n > 0 {
		w.Header().Set("Range", fmt.Sprintf("bytes=0-%d", n-1))
	}
	w.WriteHeader(http.StatusPermanentRedirect)
}

// What a session says that it has is believed, and the rest is sent again.
func TestSessionTakesLess(t *testing.T) {
	before(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if from, to, ok := isChunk(r); ok && to-from > testPart {
			r.Body = io.NopCloser(io.LimitReader(r.Body, testPart))
			r.ContentLength = testPart
			r.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/*", from, from+testPart-1))
		}
		next.ServeHTTP(w, r)
	}, func(b *buckettest.Bubble) {
		want := buckettest.Content(1, 9*testPart+5)
		if err := buckettest.Put(b.Context(), b.Open(), "k", want, backends.PutOptions{}); err != nil {
			b.Error(err)
		}
		b.WantObject("k", want)
		chunks := 0
		for _, r := range b.Requests() {
			if r.Op == buckettest.SendPart {
				chunks++
			}
		}
		if chunks != 8 {
			b.Errorf("%d chunks", chunks)
		}
	})
}

// A session that takes nothing, or has lost what it had, ends the upload in a bounded time, and nothing
// is published.
func TestSessionsThatFail(t *testing.T) {
	for _, test := range []struct {
		name  string
		serve func(w http.ResponseWriter, r *http.Request, next http.Handler)
		kind  backends.Kind
	}{
		{"takes nothing", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if _, _, ok := isChunk(r); ok {
				_, _ = io.Copy(io.Discard, r.Body)
				resumeAt(w, 0)
				return
			}
			next.ServeHTTP(w, r)
		}, backends.Unavailable},
		{"forgets", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if from, _, ok := isChunk(r); ok && from > 0 {
				_, _ = io.Copy(io.Discard, r.Body)
				resumeAt(w, testPart)
				return
			}
			next.ServeHTTP(w, r)
		}, backends.Unavailable},
		{"has forgotten at the end", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method == http.MethodPut && !strings.HasSuffix(r.Header.Get("Content-Range"), "/*") {
				_, _ = io.Copy(io.Discard, r.Body)
				resumeAt(w, testPart)
				return
			}
			next.ServeHTTP(w, r)
		}, backends.Unavailable},
		{"names no session", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(without{w, "Location"}, r)
		}, backends.Unavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			before(t, test.serve, func(b *buckettest.Bubble) {
				b.Put("k", []byte("old"), nil)
				begun := time.Now()
				err := buckettest.Put(b.Context(), b.Open(), "k", buckettest.Content(1, 9*testPart), backends.PutOptions{})
				if kind := backends.KindOf(err); err == nil || kind != test.kind && kind != backends.Corrupt {
					b.Error(err)
				}
				if took := time.Since(begun); took > 15*time.Minute {
					b.Errorf("it took %v", took)
				}
				if o, _ := b.Object("k"); string(o.Data) != "old" {
					b.Errorf("%d bytes are published", len(o.Data))
				}
				if left := b.Leftovers(); test.name != "names no session" && len(left) > 0 {
					b.Errorf("left behind: %q", left)
				}
			})
		})
	}
}

// without leaves a header out.
type without struct {
	http.ResponseWriter
	name string
}

// WriteHeader implements http.ResponseWriter.
func (w without) WriteHeader(status int) {
	w.Header().Del(w.name)
	w.ResponseWriter.WriteHeader(status)
}

// Flush implements http.Flusher.
func (w without) Flush() { w.ResponseWriter.(http.Flusher).Flush() }

// After a lost answer a session is asked what it has, and is sent no more than it has not.
func TestSessionIsAsked(t *testing.T) {
	for _, op := range []string{buckettest.SendPart, buckettest.Complete} {
		t.Run(op, func(t *testing.T) {
			buckettest.InBubble(t, &kind, buckettest.Options{}, func(b *buckettest.Bubble) {
				lost, asked := 0, 0
				b.OnRequest(func(r buckettest.Request) (f buckettest.Fault) {
					switch {
					case r.Op == op && lost == 0:
						lost++
						f.After = true
					case r.Op == buckettest.Status:
						asked++
					}
					return f
				})
				want := buckettest.Content(1, 3*testPart)
				obj, err := b.Open().Put(b.Context(), "k", strings.NewReader(want), backends.PutOptions{})
				if err != nil {
					b.Fatal(err)
				}
				b.WantObject("k", want)
				if o, _ := b.Object("k"); o.Version != obj.Version {
					b.Errorf("version %s, not %s", obj.Version, o.Version)
				}
				if n := b.Received(); n != int64(len(want)) {
					b.Errorf("%d bytes were sent", n)
				}
				if op == buckettest.SendPart && asked != 1 || lost != 1 {
					b.Errorf("lost %d, asked %d times", lost, asked)
				}
			})
		})
	}
}

// A session that is not there any more ends an upload. What was kept of one is dropped with it, and the
// client begins again.
func TestSessionIsGone(t *testing.T) {
	for _, status := range []int{http.StatusNotFound, http.StatusGone, 499} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			buckettest.InBubble(t, &kind, buckettest.Options{}, func(b *buckettest.Bubble) {
				want := buckettest.Content(1, 5*testPart)
				a := b.Open()
				cut := io.MultiReader(strings.NewReader(want[:3*testPart]), failing{})
				if _, err := a.Put(b.Context(), "k", cut, buckettest.Resumable()); err == nil {
					b.Fatal("no error")
				}
				p := b.Pending(a, "k")
				b.OnRequest(func(r buckettest.Request) (f buckettest.Fault) {
					switch r.Op {
					case buckettest.SendPart, buckettest.Complete, buckettest.Status, buckettest.Abort:
						f.Status = status
					}
					return f
				})
				if err := buckettest.Put(b.Context(), a, "k", want[p.Size:], buckettest.Continuing(p, p.Size)); err == nil {
					b.Error("no error")
				}
				b.OnRequest(nil)
				if p, err := a.Pending(b.Context(), "k", "acme"); backends.KindOf(err) != backends.NotExist {
					b.Errorf("%+v, %v", p, err)
				}
				if err := buckettest.Put(b.Context(), a, "k", want, buckettest.Resumable()); err != nil {
					b.Error(err)
				}
				if o, _ := b.Object("k"); string(o.Data) != want {
					b.Errorf("%d bytes", len(o.Data))
				}
			})
		})
	}
}

// failing is a reader that fails.
type failing struct{}

// Read implements io.Reader.
func (failing) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

var uploadID = regexp.MustCompile(`"upload_id":"[^"]+"`)

// A session is a credential. The record has it sealed, and only for its object.
func TestSessionIsSealed(t *testing.T) {
	buckettest.InBubble(t, &kind, buckettest.Options{}, func(b *buckettest.Bubble) {
		want := buckettest.Content(1, 5*testPart)
		a := b.Open()
		for _, key := range []string{"k", "other"} {
			if _, err := a.Put(b.Context(), key, io.MultiReader(strings.NewReader(want[:2*testPart]), failing{}), buckettest.Resumable()); err == nil {
				b.Fatal("no error")
			}
		}
		records := map[string][]byte{}
		for _, key := range b.Keys() {
			o, _ := b.Object(key)
			records[key] = o.Data
			for _, u := range b.Uploads() {
				if bytes.Contains(o.Data, []byte(u.ID)) || bytes.Contains(o.Data, []byte("upload_id=")) {
					b.Errorf("%s has a session: %s", key, o.Data)
				}
			}
		}
		if len(records) != 2 {
			b.Fatalf("%d records", len(records))
		}
		// Who can write below .sluice/ can put one's session into the other's record, and gains nothing.
		var ids []string
		for _, record := range records {
			ids = append(ids, uploadID.FindString(string(record)))
		}
		for key, record := range records {
			own := uploadID.FindString(string(record))
			b.Put(key, bytes.Replace(record, []byte(own), []byte(ids[slices.Index(ids, own)^1]), 1), nil)
		}
		for _, key := range []string{"k", "other"} {
			p, err := a.Pending(b.Context(), key, "acme")
			if err == nil {
				err = buckettest.Put(b.Context(), a, key, want[p.Size:], buckettest.Continuing(p, p.Size))
			}
			if err == nil {
				b.Error("no error")
			}
		}
		for _, key := range b.Keys() {
			if !strings.HasPrefix(key, ".sluice/") {
				b.Errorf("%s is published", key)
			}
		}
		without := opened(b, b.Setup(), func(c *gcs.Config) { c.SessionKey = nil })
		_, err := without.Pending(b.Context(), "k", "acme")
		if without.Capabilities().Resume || backends.KindOf(err) != backends.Unsupported {
			b.Errorf("without a key: %v", err)
		}
	})
}

// The token goes to the store, and not to where a session is said to be.
func TestTokenStaysAtTheStore(t *testing.T) {
	var elsewhere, told atomic.Int32
	before(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasPrefix(r.Host, "elsewhere") {
			elsewhere.Add(1)
			if r.Header.Get("Authorization") != "" {
				told.Add(1)
			}
		}
		next.ServeHTTP(redirecting{w}, r)
	}, func(b *buckettest.Bubble) {
		want := buckettest.Content(1, 9*testPart)
		if err := buckettest.Put(b.Context(), b.Open(), "k", want, backends.PutOptions{}); err != nil {
			b.Error(err)
		}
		if elsewhere.Load() == 0 || told.Load() > 0 {
			b.Errorf("%d requests elsewhere, %d with the token", elsewhere.Load(), told.Load())
		}
	})
}

// redirecting says that sessions are elsewhere.
type redirecting struct{ http.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w redirecting) WriteHeader(status int) {
	if u, err := url.Parse(w.Header().Get("Location")); err == nil && u.Host != "" {
		u.Host = "elsewhere"
		w.Header().Set("Location", u.String())
	}
	w.ResponseWriter.WriteHeader(status)
}

// Flush implements http.Flusher.
func (w redirecting) Flush() { w.ResponseWriter.(http.Flusher).Flush() }
