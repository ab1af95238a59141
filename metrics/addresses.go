package metrics

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"github.com/axiomhq/hyperloglog"
	"github.com/prometheus/client_golang/prometheus"
)

// addresses estimates how many different client addresses came, within one percent or so and 16 KiB a
// slot, however many there are.
type addresses struct {
	seed    maphash.Seed
	windows []*window
}

// window is a stretch of time that moves on slot by slot.
type window struct {
	slot time.Duration

	mu    sync.Mutex
	slots []*hyperloglog.Sketch
	// last is the number of the slot, counted from the epoch, that came last.
	last int64
}

func newAddresses(reg maker) *addresses {
	a := &addresses{seed: maphash.MakeSeed()}
	for _, w := range []struct {
		name  string
		slot  time.Duration
		slots int
	}{{"1h", 5 * time.Minute, 12}, {"24h", time.Hour, 24}} {
		win := newWindow(w.slot, w.slots)
		a.windows = append(a.windows, win)
		reg.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Name: "unique_client_addresses", ConstLabels: prometheus.Labels{"window": w.name},
			Help: "Different addresses that connected within the window, estimated; IPv6 by /64.",
		}, func() float64 { return float64(win.estimate(time.Now())) }))
	}
	return a
}

func newWindow(slot time.Duration, slots int) *window {
	w := &window{slot: slot, slots: make([]*hyperloglog.Sketch, slots)}
	for i := range w.slots {
		w.slots[i] = hyperloglog.New()
	}
	return w
}

func (a *addresses) add(addr netip.Addr, now time.Time) {
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64 // one customer has all of it
	}
	network, err := addr.Prefix(bits)
	if err != nil || !addr.IsValid() {
		return // a connection that is none of TCP
	}
	h := maphash.Comparable(a.seed, network.Addr())
	for _, w := range a.windows {
		w.add(h, now)
	}
}

func (w *window) add(h uint64, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slots[w.move(now)].InsertHash(h)
}

// move empties the slots that time has gone past, and returns the one of now. A clock that jumps back
// stays in the slot where it was.
func (w *window) move(now time.Time) int {
	slots := int64(len(w.slots))
	n := max(now.UnixNano()/int64(w.slot), w.last)
	for i := max(w.last+1, n-slots+1); i <= n; i++ {
		w.slots[i%slots] = hyperloglog.New()
	}
	w.last = n
	return int(n % slots)
}

func (w *window) estimate(now time.Time) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.move(now)
	all := hyperloglog.New()
	for _, s := range w.slots {
		if err := all.Merge(s); err != nil {
			panic(err) // of sketches that differ in precision: these do not
		}
	}
	return all.Estimate()
}
