package storefake

import (
	"io"
	"net/http"
	"time"
)

// Fault is what can go wrong with a request whatever it asks for; the zero value is nothing. The
// fakes have faults of their own that contain this one and say what each field means.
type Fault struct {
	Before, After, FlipBit bool
	CutBody                int64
	Stall, StallBody       <-chan struct{}
	Delay                  time.Duration
}

// Exchange is one request on its way through a fake.
type Exchange struct {
	W    http.ResponseWriter
	R    *http.Request
	Body io.Reader // of the request, at the rate

	h     *host
	fault Fault
}

// Begin takes a request in, which is answered with the date now; a closed server hangs up. End has
// to follow.
func Begin[R, F any](f *Front[R, F], w http.ResponseWriter, r *http.Request, now time.Time) *Exchange {
	if !f.enter() {
		hangUp()
	}
	if _, known := w.Header()["Date"]; !known { // what stands before the fake may say otherwise
		w.Header().Set("Date", now.Format(http.TimeFormat))
	}
	x := &Exchange{W: w, R: r, h: &f.host}
	x.Body = &pacedBody{x: x, r: r.Body}
	return x
}

// End lets Close return.
func (x *Exchange) End() { x.h.running.Done() }

// hangUp closes the connection of the request that is being served. net/http knows this panic.
func hangUp() { panic(http.ErrAbortHandler) }

// Gate numbers the request, remembers it and does what its fault says is to happen before the
// operation; what it says about the reply is left to Answer.
func Gate[R, F any](f *Front[R, F], x *Exchange, r *R) F {
	fault := f.note(r)
	x.fault = f.wire(fault)
	x.wait(x.fault.Stall)
	if x.fault.Before {
		hangUp()
	}
	return fault
}

// wait returns when ch is closed or the client has hung up, at once for nil. A closed server hangs
// up: nothing has an effect any more.
func (x *Exchange) wait(ch <-chan struct{}) {
	if ch == nil {
		return
	}
	select {
	case <-ch:
	case <-x.R.Context().Done():
	case <-x.h.done:
		hangUp()
	}
}

// Acquire waits for room in ch and takes it. Nobody is served who has hung up meanwhile, nor by a
// closed server.
func (x *Exchange) Acquire(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	case <-x.R.Context().Done():
		hangUp()
	case <-x.h.done:
		hangUp()
	}
}

// pause waits for d; false if there is nobody left to wait for.
func (x *Exchange) pause(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-x.R.Context().Done():
		return false
	case <-x.h.done:
		return false
	}
}

// Took counts n bytes of content as received.
func (x *Exchange) Took(n int64) { x.h.received.Add(n) }
