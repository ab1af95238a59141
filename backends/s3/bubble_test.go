package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/s3"
	"github.com/sluice-ftp/sluice/backends/s3fake"
)

// bubble is a bucket with a clock and a network of its own: retries that take minutes take no time,
// and a day passes when everybody waits for it.
type bubble struct {
	*testing.T
	store *s3fake.Server
	wire  *wire
	date  func() time.Time // the store's clock, if it is another one

	mu     sync.Mutex
	spoil  func(op, key string) *answer
	atOnce map[string]int // requests that are being answered, by their name and by name and key
	most   map[string]int // the most of them ever
}

// answer is what a client gets instead of the store's.
type answer struct {
	status int
	body   string
	effect bool // the store does what it was asked all the same
	length int  // what it says of body's, if that is not true
}

// inBubble runs do in a bubble of testing/synctest. All that it opens is closed at its end.
func inBubble(t *testing.T, o s3fake.Options, do func(b *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if o.Quirks.MinPartSize == 0 {
			o.Quirks.MinPartSize = testPart
		}
		b := &bubble{
			T: t, store: s3fake.New(o), wire: &wire{conns: make(chan net.Conn), closed: make(chan struct{})},
			atOnce: map[string]int{}, most: map[string]int{},
		}
		server := &http.Server{Handler: b} //nolint:gosec // in memory
		var running sync.WaitGroup
		running.Go(func() {
			if err := server.Serve(b.wire); !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
		})
		t.Cleanup(func() {
			_ = server.Close()
			b.store.Close()
			running.Wait()
			b.pass(time.Second) // net/http lingers on some connections
		})
		do(b)
	})
}

// ServeHTTP lets something between the store and its clients.
func (b *bubble) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op, key := operationOf(r), strings.TrimPrefix(r.URL.Path, "/bucket/")
	spoil := b.enter(op, op+" "+key)
	defer b.leave(op, op+" "+key)
	if b.date != nil {
		w.Header().Set("Date", b.date().UTC().Format(http.TimeFormat))
	}
	var a *answer
	if spoil != nil {
		a = spoil(op, key)
	}
	switch {
	case a == nil:
		b.store.ServeHTTP(w, r)
		return
	case a.effect:
		b.store.ServeHTTP(&unheard{header: http.Header{}}, r)
	default:
		_, _ = io.Copy(io.Discard, r.Body)
	}
	if a.length != 0 {
		w.Header().Set("Content-Length", strconv.Itoa(a.length))
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

func (b *bubble) enter(names ...string) func(op, key string) *answer {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range names {
		b.atOnce[name]++
		b.most[name] = max(b.most[name], b.atOnce[name])
	}
	return b.spoil
}

func (b *bubble) leave(names ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range names {
		b.atOnce[name]--
	}
}

// mostAtOnce returns the most requests of a name that were answered at once.
func (b *bubble) mostAtOnce(name string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.most[name]
}

// operationOf names the requests that are spoiled or counted.
func operationOf(r *http.Request) string {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodPost && q.Has("uploadId"):
		return "CompleteMultipartUpload"
	case r.Method == http.MethodPut && q.Has("uploadId"):
		return "UploadPart"
	case r.Method == http.MethodPut && r.Header.Get("X-Amz-Copy-Source") != "":
		return "CopyObject"
	case r.Method == http.MethodPut:
		return "PutObject"
	}
	return r.Method
}

// spoiling sets what is answered instead of the store's own answers.
func (b *bubble) spoiling(f func(op, key string) *answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spoil = f
}

// unheard is an answer that nobody gets.
type unheard struct{ header http.Header }

func (u *unheard) Header() http.Header         { return u.header }
func (u *unheard) Write(p []byte) (int, error) { return len(p), nil }
func (u *unheard) WriteHeader(int)             {}

// open opens the bucket as another process would.
func (b *bubble) open(change ...func(*s3.Config)) *s3.Adapter {
	b.Helper()
	c := config(b, b.store)
	c.Endpoint = "http://127.0.0.1"
	for _, change := range change {
		change(&c)
	}
	a := open(b, c)
	a.Dial(b.wire.dial)
	return a
}

// profile is an option of open.
func profile(name string) func(*s3.Config) {
	return func(c *s3.Config) { c.Profile, _ = s3.ProfileByName(name) }
}

// pass lets time go by.
func (b *bubble) pass(d time.Duration) { <-time.After(d) }

// contents is all that is in the bucket, without what is ours.
func (b *bubble) contents() map[string]string {
	all := map[string]string{}
	for _, key := range b.store.Keys() {
		if o, ok := b.store.Object(key); ok && !strings.HasPrefix(key, ".sluice/") {
			all[key] = string(o.Data)
		}
	}
	return all
}

// wire is a network in memory. It is blocked as channels are, which synctest can see.
type wire struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
	// cut: nobody gets a connection, and the error is one that nobody tries again.
	cut atomic.Bool
}

func (w *wire) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if w.cut.Load() {
		return nil, &net.DNSError{IsNotFound: true}
	}
	client, server := net.Pipe()
	select {
	case w.conns <- server:
		return client, nil
	case <-w.closed:
	case <-ctx.Done():
	}
	return nil, errors.Join(client.Close(), server.Close(), ctx.Err(), net.ErrClosed)
}

func (w *wire) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}

func (w *wire) Close() error {
	w.once.Do(func() { close(w.closed) })
	return nil
}

func (w *wire) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// content is so many bytes that no other seed has.
func content(seed uint64, n int) string {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = r.Read(b)
	return string(b)
}

// put writes an object as a client would.
func put(ctx context.Context, a *s3.Adapter, key, content string, o backends.PutOptions) error {
	_, err := a.Put(ctx, key, bytes.NewReader([]byte(content)), o)
	return err
}

// get reads an object to its end.
func get(ctx context.Context, a *s3.Adapter, key string) (string, error) {
	r, err := a.Open(ctx, key, backends.OpenOptions{})
	if err != nil {
		return "", err
	}
	defer r.Close()
	all, err := io.ReadAll(r)
	return string(all), err
}

// describe says in short what a bucket holds.
func describe(all map[string]string) string {
	var s []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		s = append(s, fmt.Sprintf("%s (%d bytes, %.8x)", key, len(all[key]), all[key]))
	}
	return "{" + strings.Join(s, ", ") + "}"
}

func newReadSeeker(s string) io.ReadSeeker { return strings.NewReader(s) }
