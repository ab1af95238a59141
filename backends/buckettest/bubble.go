package buckettest

import (
	"context"
	"errors"
	"io"
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

	"github.com/sluice-ftp/sluice/backends/bucket"
)

// Bubble is a bucket with a clock and a network of its own: retries that take minutes take no time,
// and a day passes when everybody waits for it.
type Bubble struct {
	*testing.T
	Fake
	Kind *Kind
	// Endpoint is where the fake is for those who reach it by Dial.
	Endpoint string

	// Options are those of the fake.
	Options Options
	wire    *wire
	killed  bool // a process was

	mu        sync.Mutex
	each      func(Request) Fault
	spoil     func(r Request) *answer
	exchanges map[string]*exchange // that are going on, by their tag
	tags      int
	atOnce    map[string]int // requests that are being answered, by what they are for
	most      map[string]int // the most of them ever
}

// answer is what a client gets instead of the store's.
type answer struct {
	status int
	header http.Header
	body   string
	effect bool // the store does what it was asked all the same
	length int  // what it says of body's, if that is not true; below 0 it says nothing
}

// InBubble runs do in a bubble of testing/synctest. All that it opens is closed at its end.
func InBubble(t *testing.T, k *Kind, o Options, do func(b *Bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &Bubble{
			T: t, Fake: k.New(o), Kind: k, Endpoint: "http://127.0.0.1",
			Options: o, wire: &wire{conns: make(chan net.Conn), closed: make(chan struct{})},
			exchanges: map[string]*exchange{}, atOnce: map[string]int{}, most: map[string]int{},
		}
		b.Fake.OnRequest(b.arrive)
		server := &http.Server{Handler: b} //nolint:gosec // in memory
		var running sync.WaitGroup
		running.Go(func() {
			if err := server.Serve(b.wire); !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
		})
		t.Cleanup(func() {
			_ = server.Close()
			b.Close()
			running.Wait()
			b.Pass(time.Second) // net/http lingers on some connections
		})
		do(b)
	})
}

// tag is a header by which a fault finds the exchange that it is for.
const tag = "Bubble"

// exchange is a request that is being answered. What the store says is not heard if there is something
// to be heard instead.
type exchange struct {
	http.ResponseWriter
	instead *answer
	op      string
}

// Header implements http.ResponseWriter.
func (x *exchange) Header() http.Header {
	if x.instead != nil {
		return http.Header{}
	}
	return x.ResponseWriter.Header()
}

// Write implements http.ResponseWriter.
func (x *exchange) Write(p []byte) (int, error) {
	if x.instead != nil {
		return len(p), nil
	}
	return x.ResponseWriter.Write(p)
}

// WriteHeader implements http.ResponseWriter.
func (x *exchange) WriteHeader(status int) {
	if x.instead == nil {
		x.ResponseWriter.WriteHeader(status)
	}
}

// Flush implements http.Flusher.
func (x *exchange) Flush() {
	if x.instead == nil {
		x.ResponseWriter.(http.Flusher).Flush()
	}
}

// ServeHTTP lets something between the store and its clients.
func (b *Bubble) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{ResponseWriter: w}
	b.mu.Lock()
	b.tags++
	name := strconv.Itoa(b.tags)
	b.exchanges[name] = x
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.exchanges, name)
		b.atOnce[x.op]--
	}()
	r.Header.Set(tag, name)
	b.Fake.ServeHTTP(x, r)
	if a := x.instead; a != nil {
		for name, values := range a.header {
			w.Header()[name] = values
		}
		if a.length > 0 {
			w.Header().Set("Content-Length", strconv.Itoa(a.length))
		}
		w.WriteHeader(a.status)
		if a.length < 0 {
			w.(http.Flusher).Flush() // before net/http can know it
		}
		_, _ = io.WriteString(w, a.body)
	}
}

// arrive says what goes wrong with a request, which the fake knows by now.
func (b *Bubble) arrive(r Request) Fault {
	b.mu.Lock()
	x, each, spoil := b.exchanges[r.Header.Get(tag)], b.each, b.spoil
	x.op = r.Op
	b.atOnce[r.Op]++
	b.most[r.Op] = max(b.most[r.Op], b.atOnce[r.Op])
	b.mu.Unlock()
	if spoil != nil {
		if x.instead = spoil(r); x.instead != nil && !x.instead.effect {
			var f Fault
			f.Status, f.Delay = http.StatusTeapot, b.Options.Latency // which nobody hears
			return f
		}
	}
	var f Fault
	if each != nil {
		f = each(r)
	}
	if r.Op == Login { // for which others wait at a mutex, and then no time goes by
		f.Stall, f.StallBody, f.Delay = nil, nil, 0
	} else {
		f.Delay += b.Options.Latency
	}
	return f
}

// OnRequest sets what goes wrong; nil is nothing. It is called for one request after another.
func (b *Bubble) OnRequest(each func(r Request) Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.each = each
}

// spoiling sets what is answered instead of the store's own answers.
func (b *Bubble) spoiling(f func(r Request) *answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spoil = f
}

// mostAtOnce returns the most requests for something that were answered at once.
func (b *Bubble) mostAtOnce(op string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.most[op]
}

// Setup is for an adapter with small parts.
func (b *Bubble) Setup() Setup {
	return Setup{Fake: b.Fake, Options: b.Options, Endpoint: b.Endpoint, Dial: b.wire.dial, Part: Part, Whole: 4 * Part}
}

// Open opens the bucket as another process would.
func (b *Bubble) Open(change ...func(*Setup)) *bucket.Adapter {
	b.Helper()
	s := b.Setup()
	for _, change := range change {
		change(&s)
	}
	return b.Kind.Open(b, s)
}

// configured is an option of Open.
func configured(change func(c *bucket.Config)) func(*Setup) {
	return func(s *Setup) { s.Change = change }
}

// Pass lets time go by.
func (b *Bubble) Pass(d time.Duration) { <-time.After(d) }

// fill puts objects into the bucket, as we would have written them.
func (b *Bubble) fill(all map[string]string) {
	for key, content := range all {
		b.Put(key, bytesOf(content), map[string]string{bucket.MetaToken: "token of " + key})
	}
}

// contents is all that is in the bucket, without what is ours.
func (b *Bubble) contents() map[string][]byte {
	all := map[string][]byte{}
	for _, key := range b.Keys() {
		if strings.HasPrefix(key, private) {
			continue
		}
		if o, ok := b.Object(key); ok {
			all[key] = o.Data
		}
	}
	return all
}

// private is what names begin with of what is ours.
const private = ".sluice/"

// Leftovers are open uploads, and what is ours in the bucket. What the store forgets by itself is none
// if a process was killed.
func (b *Bubble) Leftovers() []string {
	var left []string
	if !b.killed || !b.Kind.Expires {
		for _, u := range b.Uploads() {
			left = append(left, "upload of "+u.Key)
		}
	}
	for _, key := range b.Keys() {
		if strings.HasPrefix(key, private) {
			left = append(left, key)
		}
	}
	slices.Sort(left)
	return left
}

// wantNothingLeft fails if anything is left behind.
func (b *Bubble) wantNothingLeft() {
	b.Helper()
	if left := b.Leftovers(); len(left) > 0 {
		b.Errorf("left behind: %q", left)
	}
}

// holds says whether any of the keys has this content.
func (b *Bubble) holds(content string, keys ...string) bool {
	for _, key := range keys {
		if o, ok := b.Object(key); ok && string(o.Data) == content {
			return true
		}
	}
	return false
}

// everywhere does something at every request in turn, until there was none with that number.
func everywhere(t *testing.T, k *Kind, o Options, do func(b *Bubble, n int) (done bool)) {
	const most = 100
	for n, done := 1, false; !done; n++ {
		if n > most {
			t.Fatal("it does not end")
		}
		t.Run("request "+strconv.Itoa(n), func(t *testing.T) {
			InBubble(t, k, o, func(b *Bubble) { done = do(b, n) })
		})
	}
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

// Accept implements net.Listener.
func (w *wire) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (w *wire) Close() error {
	w.once.Do(func() { close(w.closed) })
	return nil
}

// Addr implements net.Listener.
func (w *wire) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
