package storefake

import (
	"maps"
	"slices"
)

// maxLog bounds what Requests remembers, so that a long benchmark does not measure its own log.
const maxLog = 10000

// OnRequest sets what goes wrong: each is called for every request, one after another in order of
// arrival. It may look at the server and replace itself, but not wait for another request: that is
// what Fault.Stall is for. nil is nothing.
func (f *Front[R, F]) OnRequest(each func(R) F) {
	f.logMu.Lock()
	defer f.logMu.Unlock()
	f.onEach = each
}

// note numbers a request, remembers it and asks for its fault.
func (f *Front[R, F]) note(r *R) F {
	f.arrival.Lock()
	defer f.arrival.Unlock()
	each := f.record(r)
	if each == nil {
		var none F
		return none
	}
	return each(*r)
}

func (f *Front[R, F]) record(r *R) func(R) F {
	f.logMu.Lock()
	defer f.logMu.Unlock()
	f.arrived++
	b := f.base(r)
	b.Index = f.arrived
	f.counts[b.Op]++
	if len(f.log) >= 2*maxLog {
		f.log = slices.Clone(f.log[maxLog:])
	}
	f.log = append(f.log, *r)
	return f.onEach
}

// Requests returns the requests since New or Reset in order of arrival, the last 10,000 of them.
func (f *Front[R, F]) Requests() []R {
	f.logMu.Lock()
	defer f.logMu.Unlock()
	all := slices.Clone(f.log[max(0, len(f.log)-maxLog):])
	for i := range all {
		b := f.base(&all[i])
		b.Header, b.Query = b.Header.Clone(), maps.Clone(b.Query)
	}
	return all
}

// Count returns how many requests of an operation came since New or Reset; "" is all.
func (f *Front[R, F]) Count(op string) int {
	f.logMu.Lock()
	defer f.logMu.Unlock()
	if op == "" {
		return f.arrived
	}
	return f.counts[op]
}

// Reset sets counters and index back to 0; what is stored, what is open and OnRequest stay.
func (f *Front[R, F]) Reset() {
	f.logMu.Lock()
	defer f.logMu.Unlock()
	f.log, f.arrived, f.counts = nil, 0, map[string]int{}
	f.received.Store(0)
	f.sent.Store(0)
}

// Received returns the bytes of objects, and of their parts, taken since New or Reset. What was
// refused is not counted, nor what was copied.
func (h *host) Received() int64 { return h.received.Load() }

// Sent returns the bytes of objects sent since New or Reset.
func (h *host) Sent() int64 { return h.sent.Load() }
