package limits

import (
	"cmp"
	"hash/maphash"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// BanPolicy says when a failed login is one too many.
type BanPolicy struct {
	// Failures of one subject in Window are a ban. 0 never bans.
	Failures int
	// Window is how long a failure counts; 0 is as long as it is remembered.
	Window time.Duration
	// Ban is how long the first ban of a subject lasts; 0 never bans. Each further one lasts twice as
	// long as the last, if that ended less than a day or ten times its length ago, whichever is more.
	Ban time.Duration
	// MaxBan is the longest; 0 is ten years.
	MaxBan time.Duration
	// Never are networks whose addresses are neither counted nor banned: load balancers, the office.
	// Guesses from there still count against the user who is guessed at, and a ban of a user holds there
	// too, so that they do not become the place to guess from. A check that logs in with a wrong
	// password can therefore ban no name but the one that it uses.
	Never []netip.Prefix
	// Subjects is how many addresses and users are remembered, and of how many users the addresses
	// that they log in from; 0 is 100,000. One takes about 300 bytes, its name, and 30 for each of its
	// failures; the addresses of a user take 400.
	Subjects int
	// Clock must never go back; nil is the monotonic clock.
	Clock func() time.Time
}

const (
	defaultSubjects = 100_000
	longestBan      = 10 * 365 * 24 * time.Hour
	shortestMemory  = 24 * time.Hour
	// maxName is the longest name of a user that is counted, in bytes: a longer one is nobody's, and
	// would fill the memory.
	maxName = 255
)

// Kinds of subjects.
const (
	KindAddress = "address"
	KindUser    = "user"
)

// Ban is a subject that may not log in.
type Ban struct {
	// Subject is an IPv4 address, an IPv6 network of 64 bits, or the name of a user, in which a client
	// can have written anything.
	Subject string
	// Kind is KindAddress or KindUser.
	Kind string
	// Until is when it ends.
	Until time.Time
	// Failures led to this ban, or came while it held.
	Failures int
	// Count is which ban of the subject it is: 1 is the first.
	Count int
}

// Bans protects passwords against guessing. What fails counts against two subjects, each on its own:
// the address, which stops one who tries many names, and the user, which stops many addresses that
// try one name.
//
// Anyone can have a name banned by guessing at it. So the ban of a user does not hold for the last
// eight addresses from which he has logged in.
//
// The memory is bounded. Of what is only counted the subject that failed longest ago is forgotten
// first, of what is banned, now or before, the oldest ban. The banned have half of the memory for
// themselves and never more: new addresses and names push out no ban, and bans leave room to count.
type Bans struct {
	start time.Time
	seed  maphash.Seed

	mu       sync.Mutex
	policy   BanPolicy
	subjects *subjects
	known    *knownNetworks
}

// NewBans returns what enforces p, and knows nobody yet.
func NewBans(p BanPolicy) *Bans {
	if p.Clock == nil {
		p.Clock = time.Now
	}
	if p.Subjects <= 0 {
		p.Subjects = defaultSubjects
	}
	p.Subjects = max(p.Subjects, 4) // the two of a login, counted or banned
	return &Bans{
		policy: p.bounded(), start: p.Clock(), seed: maphash.MakeSeed(),
		subjects: newSubjects(p.Subjects, p.Window), known: newKnownNetworks(p.Subjects),
	}
}

func (p BanPolicy) bounded() BanPolicy {
	if p.MaxBan <= 0 {
		p.MaxBan = longestBan
	}
	p.MaxBan = min(p.MaxBan, longestBan)
	p.Never = unmapped(p.Never)
	return p
}

// Set changes the policy, but for Subjects and Clock. Bans that there are go on as they were.
func (b *Bans) Set(p BanPolicy) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p.Subjects, p.Clock = b.policy.Subjects, b.policy.Clock
	b.policy, b.subjects.window = p.bounded(), p.Window
}

// Fail counts a login of user from addr that failed. An invalid addr or an empty user is not
// counted. What fails while a subject is banned does not lead to its next ban: logins that ran at
// the same time would make several out of one.
func (b *Bans) Fail(addr netip.Addr, user string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.off() {
		return
	}
	_, now := b.now()
	pair := b.pair(addr, user)
	for _, k := range b.keys(addr, user) {
		b.count(k, failure{now, pair})
	}
}

func (b *Bans) count(k key, f failure) {
	if k == (key{}) {
		return
	}
	s := b.subjects.obtain(k, f.at)
	if f.at < s.until {
		s.failures++
		return
	}
	s.fails = append(s.recent(f.at, b.policy.Window), f)
	if len(s.fails) < b.policy.Failures {
		b.subjects.failed(s)
		return
	}
	s.ban(f.at, b.policy.Ban, b.policy.MaxBan)
	b.subjects.banned(s)
}

// Succeed notes a login of user from addr that was good, and takes back what this user had failed
// from this address, in the counts of both. It takes back no more. The address keeps what it failed
// for others, or one who has an account of his own could guess at them for ever by logging in now
// and then. The user keeps what failed elsewhere, or one who logs in every minute would never be
// protected against many addresses. A ban goes on.
func (b *Bans) Succeed(addr netip.Addr, user string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.off() {
		return
	}
	pair := b.pair(addr, user)
	for _, k := range b.keys(addr, user) {
		b.subjects.clear(k, pair)
	}
	if network := networkOf(addr); network.IsValid() && named(user) {
		b.known.add(user, network)
	}
}

// Banned reports whether user may not log in from addr now, be it for the address or for the user,
// and until when. With an empty user it is about the address alone.
func (b *Bans) Banned(addr netip.Addr, user string) (until time.Time, banned bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.off() {
		return time.Time{}, false
	}
	clock, now := b.now()
	var end time.Duration
	for _, k := range b.keys(addr, user) {
		if k.user == "" || !b.known.has(user, networkOf(addr)) {
			end = max(end, b.subjects.until(k))
		}
	}
	if end <= now {
		return time.Time{}, false
	}
	return clock.Add(end - now), true
}

// List returns the bans that hold now, addresses before users, each in their order.
func (b *Bans) List() []Ban {
	b.mu.Lock()
	clock, now := b.now()
	held := b.subjects.held(now)
	b.mu.Unlock()
	slices.SortFunc(held, func(x, y subject) int {
		return cmp.Or(cmp.Compare(x.kind(), y.kind()), x.network.Compare(y.network), cmp.Compare(x.user, y.user))
	})
	bans := make([]Ban, 0, len(held))
	for _, s := range held {
		bans = append(bans, Ban{
			Subject: s.String(), Kind: s.kind(), Until: clock.Add(s.until - now),
			Failures: s.failures, Count: s.bans,
		})
	}
	return bans
}

// Remove lifts the ban of a subject and forgets its failures and earlier bans. The subject is written
// as in List, or is any address of the network; should a user be called like an address, both are
// meant. It reports whether there was anything to forget.
func (b *Bans) Remove(name string) bool {
	keys := [2]key{{user: name}, {network: parseNetwork(name)}}
	b.mu.Lock()
	defer b.mu.Unlock()
	_, now := b.now()
	removed := false
	for _, k := range keys {
		if s := b.subjects.find(k, now); s != nil {
			b.subjects.remove(s)
			removed = true
		}
	}
	return removed
}

func (b *Bans) off() bool { return b.policy.Failures <= 0 || b.policy.Ban <= 0 }

// now returns what the clock says and the time since the start, which a clock that is set by hand
// does not change.
func (b *Bans) now() (time.Time, time.Duration) {
	clock := b.policy.Clock()
	return clock, clock.Sub(b.start)
}

// keys are the subjects of a login; one that does not count is the zero key.
func (b *Bans) keys(addr netip.Addr, user string) (keys [2]key) {
	if !b.never(addr) {
		keys[0].network = networkOf(addr)
	}
	if named(user) {
		keys[1].user = user
	}
	return keys
}

func (b *Bans) never(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(b.policy.Never, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// pair stands for a user at a network, in the few bytes that a failure may take.
func (b *Bans) pair(addr netip.Addr, user string) uint64 {
	return maphash.Comparable(b.seed, key{networkOf(addr), user})
}

func named(user string) bool { return user != "" && len(user) <= maxName }
