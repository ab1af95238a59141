package limits

import (
	"container/list"
	"net/netip"
	"slices"
	"time"
)

// Times in this file count from the start of Bans.

// key is whom failures are counted against: a network or a user.
type key struct {
	network netip.Prefix
	user    string
}

func (k key) kind() string {
	if k.user != "" {
		return KindUser
	}
	return KindAddress
}

func (k key) String() string {
	switch {
	case k.user != "":
		return k.user
	case k.network.IsSingleIP():
		return k.network.Addr().String()
	}
	return k.network.String()
}

// parseNetwork reads what String writes, or any address; what is neither is the zero Prefix.
func parseNetwork(s string) netip.Prefix {
	if addr, err := netip.ParseAddr(s); err == nil {
		return networkOf(addr)
	}
	p, err := netip.ParsePrefix(s)
	if n := networkOf(p.Addr()); err == nil && n.Bits() == p.Bits() {
		return n
	}
	return netip.Prefix{}
}

// unmapped returns networks with those of IPv4 that are written as IPv6 as what they are.
func unmapped(networks []netip.Prefix) []netip.Prefix {
	networks = slices.Clone(networks)
	for i, p := range networks {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			networks[i] = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
	}
	return networks
}

// failure is a login that failed, of a user at a network.
type failure struct {
	at   time.Duration
	pair uint64
}

// subject is what is remembered of a key.
type subject struct {
	key
	// fails may lead to a ban, the oldest first; there is one at least, if there was no ban.
	fails []failure
	// bans is how many there were. The last one lasts for length and ends at until; failures is how many
	// led to it or came while it held.
	bans          int
	length, until time.Duration
	failures      int
	place         *list.Element
}

// recent drops the failures that no longer count.
func (s *subject) recent(now, window time.Duration) []failure {
	if window <= 0 {
		return s.fails
	}
	return slices.DeleteFunc(s.fails, func(f failure) bool { return now-f.at >= window })
}

func (s *subject) ban(now, first, longest time.Duration) {
	s.length = min(max(2*s.length, first), longest)
	s.until = now + s.length
	s.bans++
	s.failures, s.fails = len(s.fails), nil
}

// lapsed reports whether there is nothing left to remember.
func (s *subject) lapsed(now, window time.Duration) bool {
	if s.bans > 0 {
		return now >= s.until+max(10*s.length, shortestMemory)
	}
	return window > 0 && now-s.fails[len(s.fails)-1].at >= window
}

// subjects are those who failed, each in one of two queues, which give way at the front.
type subjects struct {
	max    int
	window time.Duration
	byKey  map[key]*subject
	// counting are those never banned; the first is who failed longest ago. punished are the others,
	// at most half of all; the first is whose last ban is the oldest.
	counting, punished list.List
}

func newSubjects(n int, window time.Duration) *subjects {
	return &subjects{max: n, window: window, byKey: map[key]*subject{}}
}

// find returns the subject of k, or nil.
func (ss *subjects) find(k key, now time.Duration) *subject {
	s := ss.byKey[k]
	if s != nil && s.lapsed(now, ss.window) {
		ss.remove(s)
		return nil
	}
	return s
}

// obtain returns the subject of k, a new one if need be, for which another may have to go.
func (ss *subjects) obtain(k key, now time.Duration) *subject {
	ss.expire(now)
	if s := ss.find(k, now); s != nil {
		return s
	}
	if len(ss.byKey) >= ss.max {
		ss.remove(ss.counting.Front().Value.(*subject)) // there is one: the others are half at most
	}
	s := &subject{key: k}
	s.place = ss.counting.PushBack(s)
	ss.byKey[k] = s
	return s
}

// expire forgets a few of those with nothing left to remember: more than obtain adds, so that they
// do not pile up, and few, so that nobody waits.
func (ss *subjects) expire(now time.Duration) {
	for range 2 {
		for _, queue := range []*list.List{&ss.counting, &ss.punished} {
			if e := queue.Front(); e != nil && e.Value.(*subject).lapsed(now, ss.window) {
				ss.remove(e.Value.(*subject))
			}
		}
	}
}

// failed notes that s has a new failure.
func (ss *subjects) failed(s *subject) {
	if s.bans == 0 {
		ss.counting.MoveToBack(s.place)
	}
}

// banned notes that s has a new ban.
func (ss *subjects) banned(s *subject) {
	ss.unlink(s)
	s.place = ss.punished.PushBack(s)
	if ss.punished.Len() > ss.max/2 {
		ss.remove(ss.punished.Front().Value.(*subject))
	}
}

// clear forgets what a pair has failed that led to no ban.
func (ss *subjects) clear(k key, pair uint64) {
	s := ss.byKey[k]
	if s == nil {
		return
	}
	s.fails = slices.DeleteFunc(s.fails, func(f failure) bool { return f.pair == pair })
	if len(s.fails) == 0 && s.bans == 0 {
		ss.remove(s)
	}
}

// until is when the last ban of k ends or ended; 0 is never.
func (ss *subjects) until(k key) time.Duration {
	if s := ss.byKey[k]; s != nil {
		return s.until
	}
	return 0
}

// held returns copies of those who are banned.
func (ss *subjects) held(now time.Duration) []subject {
	var held []subject
	for e := ss.punished.Front(); e != nil; e = e.Next() {
		if s := e.Value.(*subject); now < s.until {
			held = append(held, *s)
		}
	}
	return held
}

func (ss *subjects) remove(s *subject) {
	ss.unlink(s)
	delete(ss.byKey, s.key)
}

func (ss *subjects) unlink(s *subject) {
	ss.counting.Remove(s.place) // a list removes only what is its own
	ss.punished.Remove(s.place)
}
