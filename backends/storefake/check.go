package storefake

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Rig is a fake as CheckFaults sees it.
type Rig struct {
	Fake interface {
		http.Handler
		URL() string
		Close()
		Count(op string) int
		Sent() int64
		Keys() []string
		Put(key string, data []byte, metadata map[string]string)
	}

	// Put, Get and Delete make requests about the key "k", with the content of what is put. Nothing
	// repeats them.
	Put         func(data string) *http.Request
	Get, Delete func() *http.Request
}

// CheckFaults tests what goes wrong in the same way with every fake. faultOf makes a fault of a
// fake's own kind, open starts a fake.
func CheckFaults[R, F any](t *testing.T, faultOf func(Fault) F,
	open func(t testing.TB, latency time.Duration, rate int64) (*Front[R, F], Rig),
) {
	begin := func(t *testing.T, latency time.Duration, rate int64) *rig {
		front, r := open(t, latency, rate)
		return newRig(t, r, func(each func() Fault) {
			if each == nil {
				front.OnRequest(nil)
			} else {
				front.OnRequest(func(R) F { return faultOf(each()) })
			}
		})
	}
	for name, check := range map[string]func(*rig){
		"BeforeAndAfter": (*rig).beforeAndAfter,
		"CloseEndsDelay": (*rig).closeEndsDelay,
		"CutBody":        (*rig).cutBody,
		"Delay":          (*rig).delay,
		"Stall":          (*rig).stall,
		"StallBody":      (*rig).stallBody,
		"StallEnds":      (*rig).stallEnds,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(begin(t, 0, 0))
		})
	}
	t.Run("Latency", func(t *testing.T) {
		t.Parallel()
		begin(t, 50*time.Millisecond, 0).takes(50*time.Millisecond, "v")
	})
	t.Run("Rate", func(t *testing.T) {
		t.Parallel()
		begin(t, 0, 100000).takes(280*time.Millisecond, strings.Repeat("0123456789", 3000))
	})
}

type rig struct {
	Rig
	t         *testing.T
	client    *http.Client
	onRequest func(func() Fault) // nil is nothing
}

func newRig(t *testing.T, r Rig, onRequest func(func() Fault)) *rig {
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &rig{r, t, &http.Client{Transport: transport}, onRequest}
}

// once sets the fault of the next request.
func (r *rig) once(f Fault) {
	r.onRequest(func() Fault {
		r.onRequest(nil)
		return f
	})
}

// send sends a request; an error is a broken connection.
func (r *rig) send(req *http.Request) (string, error) {
	_, _, body, err := Send(r.client, req)
	return body, err
}

// sending sends a request beside the test.
func (r *rig) sending(req *http.Request) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := r.send(req)
		done <- err
	}()
	return done
}

// holds looks at what is stored.
func (r *rig) holds(data string) {
	r.t.Helper()
	if got, err := r.send(r.Get()); err != nil || got != data {
		r.t.Errorf("there are %d bytes, %v", len(got), err)
	}
}

// emptied waits until nothing is stored.
func (r *rig) emptied() {
	r.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); len(r.Fake.Keys()) > 0; runtime.Gosched() {
		if time.Now().After(deadline) {
			r.t.Fatal("no effect")
		}
	}
}

func (r *rig) beforeAndAfter() {
	put := func(f Fault) {
		r.t.Helper()
		r.once(f)
		if _, err := r.send(r.Put("v")); err == nil {
			r.t.Errorf("%+v: answered", f)
		}
	}
	put(Fault{Before: true})
	if len(r.Fake.Keys()) != 0 {
		r.t.Error("closed before and stored")
	}
	put(Fault{After: true})
	if n := r.Fake.Count(""); n != 2 {
		r.t.Errorf("%d requests, want 2: somebody repeats them", n)
	}
	r.holds("v")
}

func (r *rig) cutBody() {
	data := strings.Repeat("0123456789", 100000)
	r.Fake.Put("k", []byte(data), nil)
	for _, n := range []int{1, 999, 999999} {
		r.once(Fault{CutBody: int64(n)})
		got, err := r.send(r.Get())
		if !errors.Is(err, io.ErrUnexpectedEOF) || got != data[:n] {
			r.t.Errorf("cut at %d: %d bytes, %v", n, len(got), err)
		}
	}
	if r.Fake.Sent() != 1+999+999999 {
		r.t.Errorf("sent %d", r.Fake.Sent())
	}
}

func (r *rig) stall() {
	release, stalled := make(chan struct{}), make(chan struct{})
	r.onRequest(func() Fault {
		r.onRequest(nil)
		close(stalled)
		return Fault{Stall: release}
	})
	put := r.sending(r.Put("v"))
	<-stalled
	if _, err := r.send(r.Get()); err != nil || len(r.Fake.Keys()) != 0 { // others go on
		r.t.Errorf("%v, keys %q", err, r.Fake.Keys())
	}
	close(release)
	if err := <-put; err != nil {
		r.t.Errorf("released: %v", err)
	}
	r.holds("v")
}

func (r *rig) stallEnds() {
	stalled := make(chan struct{}, 2)
	r.onRequest(func() Fault {
		stalled <- struct{}{}
		return Fault{Stall: make(chan struct{})}
	})
	ctx, cancel := context.WithCancel(r.t.Context())
	gone := r.sending(r.Get().WithContext(ctx))
	<-stalled
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		r.t.Errorf("the client's end: %v", err)
	}
	gone = r.sending(r.Put("v")) // as long as its body is unread nobody sees that its connection is closed
	<-stalled
	r.Fake.Close() // returns only when both requests have
	if err := <-gone; err == nil {
		r.t.Error("answered by a closed server")
	}
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
			r.t.Error("served by a closed server")
		}
	}()
	r.Fake.ServeHTTP(httptest.NewRecorder(), r.Get())
}

func (r *rig) stallBody() {
	data := strings.Repeat("0123456789", 1000)
	r.Fake.Put("k", []byte(data), nil)
	release := make(chan struct{})
	r.once(Fault{StallBody: release})
	resp, err := r.client.Do(r.Get())
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	half := make([]byte, len(data)/2)
	if _, err := io.ReadFull(resp.Body, half); err != nil {
		r.t.Fatal(err)
	}
	if r.Fake.Sent() != int64(len(half)) {
		r.t.Errorf("sent %d, want half", r.Fake.Sent())
	}
	close(release)
	rest, err := io.ReadAll(resp.Body)
	if err != nil || string(half)+string(rest) != data {
		r.t.Errorf("%d and %d bytes: %v", len(half), len(rest), err)
	}
}

func (r *rig) closeEndsDelay() {
	r.Fake.Put("k", []byte("v"), nil)
	r.once(Fault{Delay: time.Hour})
	gone := r.sending(r.Delete())
	r.emptied()
	r.Fake.Close()
	if err := <-gone; err == nil {
		r.t.Error("answered by a closed server")
	}
}

// delay: the effect is there before the reply.
func (r *rig) delay() {
	r.Fake.Put("k", []byte("v"), nil)
	r.once(Fault{Delay: 100 * time.Millisecond})
	begun := time.Now()
	r.holds("v")
	if took := time.Since(begun); took < 100*time.Millisecond {
		r.t.Errorf("took %v", took)
	}
	r.once(Fault{Delay: time.Hour})
	ctx, cancel := context.WithCancel(r.t.Context())
	gone := r.sending(r.Delete().WithContext(ctx))
	r.emptied()
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		r.t.Errorf("cancelled: %v", err)
	}
}

// takes measures a way there and one back.
func (r *rig) takes(least time.Duration, data string) {
	begun := time.Now()
	if _, err := r.send(r.Put(data)); err != nil {
		r.t.Fatal(err)
	}
	sent := time.Since(begun)
	r.holds(data)
	if got := time.Since(begun) - sent; sent < least || got < least {
		r.t.Errorf("sent in %v, received in %v, want %v", sent, got, least)
	}
}
