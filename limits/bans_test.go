package limits_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sluice-ftp/sluice/limits"
)

// door is a Bans with a clock that is turned by hand.
type door struct {
	*limits.Bans
	t   *testing.T
	now time.Time
}

var policy = limits.BanPolicy{Failures: 3, Window: 10 * time.Minute, Ban: time.Hour, MaxBan: 5 * time.Hour}

func newDoor(t *testing.T, p limits.BanPolicy) *door {
	d := &door{t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	p.Clock = func() time.Time { return d.now }
	d.Bans = limits.NewBans(p)
	return d
}

func (d *door) pass(by time.Duration) { d.now = d.now.Add(by) }

func (d *door) fail(times int, from, user string) {
	for range times {
		d.Fail(addr(from), user)
	}
}

// banned checks that user may not log in from an address for so long; 0 is that he may.
func (d *door) banned(from, user string, want time.Duration) {
	d.t.Helper()
	until, banned := d.Banned(addr(from), user)
	if banned != (want > 0) {
		d.t.Errorf("%s from %s: banned %v", user, from, banned)
	} else if banned && !until.Equal(d.now.Add(want)) {
		d.t.Errorf("%s from %s: banned for %v, want %v", user, from, until.Sub(d.now), want)
	}
}

func TestBanOfAddress(t *testing.T) {
	d := newDoor(t, policy)
	d.fail(1, "192.0.2.1", "ann")
	d.fail(1, "::ffff:192.0.2.1", "ben")
	d.banned("192.0.2.1", "cid", 0)
	d.fail(1, "192.0.2.1", "")
	d.banned("192.0.2.1", "cid", time.Hour)
	d.banned("192.0.2.1", "", time.Hour)
	d.banned("::ffff:192.0.2.1", "cid", time.Hour)
	d.banned("192.0.2.2", "cid", 0)
	d.banned("192.0.2.2", "ann", 0)
	d.pass(time.Hour - 1)
	d.banned("192.0.2.1", "cid", 1)
	d.pass(1)
	d.banned("192.0.2.1", "cid", 0)
}

func TestBanOfNetwork(t *testing.T) {
	d := newDoor(t, policy)
	for i, user := range []string{"ann", "ben", "cid"} {
		d.fail(1, fmt.Sprintf("2001:db8::%d:1", i), user)
	}
	d.banned("2001:db8::ffff", "dan", time.Hour)
	d.banned("2001:db8:0:1::1", "dan", 0)
}

func TestBanOfUser(t *testing.T) {
	d := newDoor(t, policy)
	for i := range 3 {
		d.banned("198.51.100.1", "ann", 0)
		d.fail(1, fmt.Sprint("192.0.2.", i), "ann")
	}
	d.banned("198.51.100.1", "ann", time.Hour)
	d.banned("198.51.100.1", "ben", 0)
	d.banned("192.0.2.1", "", 0)
}

// Only what failed within the window counts, and the window slides.
func TestBanWindow(t *testing.T) {
	d := newDoor(t, policy)
	for range 10 {
		d.fail(1, "192.0.2.1", "ann")
		d.pass(5 * time.Minute)
	}
	d.banned("192.0.2.1", "ann", 0)
	d.pass(-time.Second)
	d.fail(1, "192.0.2.1", "ann")
	d.banned("192.0.2.1", "ann", time.Hour)
}

func TestBanWithoutWindow(t *testing.T) {
	d := newDoor(t, limits.BanPolicy{Failures: 3, Ban: time.Hour})
	for range 3 {
		d.banned("192.0.2.1", "ann", 0)
		d.pass(10_000 * time.Hour)
		d.fail(1, "192.0.2.1", "ann")
	}
	d.banned("192.0.2.1", "ann", time.Hour)
}

func TestBansDouble(t *testing.T) {
	d := newDoor(t, policy)
	for _, want := range []time.Duration{1, 2, 4, 5, 5} {
		d.fail(2, "192.0.2.1", "")
		d.banned("192.0.2.1", "", 0)
		d.fail(1, "192.0.2.1", "")
		d.banned("192.0.2.1", "", want*time.Hour)
		d.pass(want*time.Hour + 24*time.Hour - 1)
	}
	// Five hours are remembered for fifty.
	d.pass(26 * time.Hour)
	d.fail(3, "192.0.2.1", "")
	d.banned("192.0.2.1", "", 5*time.Hour)
	d.pass(55 * time.Hour)
	d.fail(3, "192.0.2.1", "")
	d.banned("192.0.2.1", "", time.Hour)
	// An hour is remembered for a day.
	d.pass(25 * time.Hour)
	d.fail(3, "192.0.2.1", "")
	d.banned("192.0.2.1", "", time.Hour)
}

func TestBanLongest(t *testing.T) {
	for _, longest := range []time.Duration{0, 1 << 62} {
		d := newDoor(t, limits.BanPolicy{Failures: 1, Ban: 1 << 62, MaxBan: longest})
		for range 3 {
			d.fail(1, "192.0.2.1", "")
			d.banned("192.0.2.1", "", 10*365*24*time.Hour)
			d.pass(10 * 365 * 24 * time.Hour)
			d.banned("192.0.2.1", "", 0)
		}
	}
}

// What fails while a ban holds makes no other one of it, and does not count after it.
func TestFailuresDuringBan(t *testing.T) {
	p := policy
	p.Ban = time.Minute
	d := newDoor(t, p)
	d.fail(20, "192.0.2.1", "")
	d.banned("192.0.2.1", "", time.Minute)
	if bans := d.List(); len(bans) != 1 || bans[0].Failures != 20 || bans[0].Count != 1 {
		t.Errorf("%+v", bans)
	}
	d.pass(time.Minute - 1)
	d.fail(1, "192.0.2.1", "")
	d.pass(1)
	d.fail(2, "192.0.2.1", "")
	d.banned("192.0.2.1", "", 0)
	d.fail(1, "192.0.2.1", "")
	d.banned("192.0.2.1", "", 2*time.Minute)
}

// A name that others guess at stays open to its user where he has been before.
func TestBanOfUserKnowsNetworks(t *testing.T) {
	d := newDoor(t, policy)
	d.Succeed(addr("198.51.100.1"), "ann")
	d.Succeed(addr("2001:db8::1"), "ann")
	d.fail(1, "192.0.2.1", "ann")
	d.fail(1, "192.0.2.2", "ann")
	d.fail(1, "192.0.2.3", "ann")
	d.banned("198.51.100.1", "ann", 0)
	d.banned("::ffff:198.51.100.1", "ann", 0)
	d.banned("2001:db8::2", "ann", 0)
	d.banned("198.51.100.2", "ann", time.Hour)
	d.Succeed(addr("198.51.100.1"), "ann") // ends no ban
	d.banned("198.51.100.2", "ann", time.Hour)
	d.Succeed(addr("198.51.100.1"), "ben")
	d.fail(2, "198.51.100.1", "ann")
	d.banned("198.51.100.1", "ann", 0)
	d.fail(1, "198.51.100.1", "cid")
	d.banned("198.51.100.1", "ann", time.Hour) // now for the address
}

// Who has an account cannot use it to guess at others, however often he logs in between.
func TestSuccessClearsOnlyThePair(t *testing.T) {
	d := newDoor(t, policy)
	d.fail(1, "192.0.2.1", "ann")
	for range 5 {
		d.fail(1, "192.0.2.1", "mal")
		d.Succeed(addr("192.0.2.1"), "mal")
	}
	d.fail(1, "192.0.2.1", "ann")
	d.Succeed(addr("192.0.2.1"), "mal")
	d.banned("192.0.2.1", "", 0)
	d.fail(1, "192.0.2.1", "ann")
	d.banned("192.0.2.1", "", time.Hour)
	d.banned("192.0.2.1", "mal", time.Hour)
}

// A user who logs in all the time does not help those who guess at him from elsewhere.
func TestSuccessKeepsWhatFailedElsewhere(t *testing.T) {
	d := newDoor(t, policy)
	d.fail(1, "198.51.100.1", "ann")
	for i := range 3 {
		d.Succeed(addr("198.51.100.1"), "ann")
		d.banned("203.0.113.1", "ann", 0)
		d.fail(1, fmt.Sprint("192.0.2.", i), "ann")
	}
	d.banned("203.0.113.1", "ann", time.Hour)
	d.banned("198.51.100.1", "ann", 0)
}

func TestSuccessForgets(t *testing.T) {
	d := newDoor(t, policy)
	d.fail(2, "192.0.2.1", "ann")
	d.Succeed(addr("192.0.2.1"), "ann")
	if n, _ := limits.Remembered(d.Bans); n != 0 {
		t.Errorf("%d subjects are left", n)
	}
}

func TestNever(t *testing.T) {
	p := policy
	p.Never = []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::ffff:172.16.0.0/108"),
		netip.MustParsePrefix("2001:db8::1/128"), netip.MustParsePrefix("fe80::/10"),
	}
	d := newDoor(t, p)
	for _, from := range []string{"10.1.2.3", "::ffff:10.1.2.3", "172.31.0.1", "2001:db8::1", "fe80::1%eth0"} {
		d.fail(9, from, "")
		d.banned(from, "ann", 0)
	}
	d.fail(3, "172.32.0.1", "")
	d.banned("172.32.0.1", "", time.Hour)
	d.fail(3, "2001:db8::2", "") // a neighbour bans the rest of the network
	d.banned("2001:db8::3", "", time.Hour)
	d.banned("2001:db8::1", "", 0)

	// The user is protected from there, too.
	d.Succeed(addr("10.0.0.1"), "ann")
	d.fail(3, "10.0.0.2", "ann")
	d.banned("10.0.0.2", "ann", time.Hour)
	d.banned("192.0.2.1", "ann", time.Hour)
	d.banned("10.0.0.1", "ann", 0)
	d.banned("10.0.0.2", "ben", 0)
}

func TestNeverBans(t *testing.T) {
	for _, p := range []limits.BanPolicy{{}, {Ban: time.Hour}, {Failures: 1}, {Failures: -1, Ban: time.Hour}} {
		d := newDoor(t, p)
		d.fail(100, "192.0.2.1", "ann")
		d.Succeed(addr("192.0.2.1"), "ann")
		d.banned("192.0.2.1", "ann", 0)
		if s, u := limits.Remembered(d.Bans); s+u != 0 {
			t.Errorf("%+v: %d subjects and %d users are remembered", p, s, u)
		}
	}
}

// Without an address, without a name, and with a name that is nobody's, there is nothing to count.
func TestNoSubject(t *testing.T) {
	d := newDoor(t, policy)
	long := strings.Repeat("x", 256)
	for range 5 {
		d.Fail(netip.Addr{}, "")
		d.Fail(netip.Addr{}, long)
		d.Succeed(netip.Addr{}, "ann")
		d.Succeed(addr("192.0.2.1"), long)
	}
	if s, u := limits.Remembered(d.Bans); s+u != 0 {
		t.Errorf("%d subjects and %d users are remembered", s, u)
	}
	d.fail(3, "192.0.2.1", long)
	d.banned("192.0.2.1", "", time.Hour)
	for range 3 {
		d.Fail(netip.Addr{}, long[1:])
	}
	d.banned("192.0.2.2", long[1:], time.Hour)
}

func TestList(t *testing.T) {
	d := newDoor(t, policy)
	d.fail(3, "192.0.2.200", "zoe")
	d.pass(time.Minute)
	d.fail(3, "192.0.2.30", "")
	d.fail(3, "2001:db8::1", "")
	d.fail(4, "203.0.113.1", "ann")
	d.fail(2, "203.0.113.2", "ben")
	at := func(minutes int) time.Time { return d.now.Add(time.Duration(minutes) * time.Minute) }
	want := []limits.Ban{
		{Subject: "192.0.2.30", Kind: limits.KindAddress, Until: at(60), Failures: 3, Count: 1},
		{Subject: "192.0.2.200", Kind: limits.KindAddress, Until: at(59), Failures: 3, Count: 1},
		{Subject: "203.0.113.1", Kind: limits.KindAddress, Until: at(60), Failures: 4, Count: 1},
		{Subject: "2001:db8::/64", Kind: limits.KindAddress, Until: at(60), Failures: 3, Count: 1},
		{Subject: "ann", Kind: limits.KindUser, Until: at(60), Failures: 4, Count: 1},
		{Subject: "zoe", Kind: limits.KindUser, Until: at(59), Failures: 3, Count: 1},
	}
	if diff := cmp.Diff(want, d.List()); diff != "" {
		t.Error(diff)
	}
	d.pass(59 * time.Minute)
	d.fail(3, "192.0.2.200", "")
	d.pass(time.Minute)
	want = []limits.Ban{{Subject: "192.0.2.200", Kind: limits.KindAddress, Until: at(119), Failures: 3, Count: 2}}
	if diff := cmp.Diff(want, d.List()); diff != "" {
		t.Error(diff)
	}
	d.pass(2 * time.Hour)
	if diff := cmp.Diff([]limits.Ban{}, d.List(), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestRemove(t *testing.T) {
	for _, name := range []string{
		"192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1/32", "2001:db8::/64", "2001:db8::7", "2001:db8::7/64", "ann",
	} {
		d := newDoor(t, policy)
		lift := func(n int) {
			t.Helper()
			d.fail(n, "192.0.2.1", "")
			d.fail(n, "2001:db8::1", "")
			d.Fail(netip.Addr{}, "ann")
			d.Fail(netip.Addr{}, "ann")
			d.Fail(netip.Addr{}, "ann")
			if !d.Remove(name) {
				t.Errorf("%s: nothing to remove", name)
			}
			if d.Remove(name) {
				t.Errorf("%s: removed twice", name)
			}
			if bans := d.List(); len(bans) != 2 {
				t.Errorf("%s: %d bans are left, want 2", name, len(bans))
			}
		}
		lift(3)
		d.pass(5 * time.Hour)
		lift(3)
		for _, b := range d.List() {
			if b.Count != 2 {
				t.Errorf("%s: %+v", name, b)
			}
		}
		d.pass(200 * time.Hour)
		d.fail(3, "192.0.2.0", "")
		d.fail(3, "2001:db8::", "")
		for _, name := range []string{"", "192.0.2.1", "ann", "192.0.2.0/24", "2001:db8::/32", "192.0.2.0 "} {
			if d.Remove(name) {
				t.Errorf("%q: removed", name)
			}
		}
	}
}

func TestRemoveForgetsHistory(t *testing.T) {
	d := newDoor(t, policy)
	for range 3 {
		d.fail(3, "192.0.2.1", "")
		d.banned("192.0.2.1", "", time.Hour)
		d.Remove("192.0.2.1")
		d.fail(2, "192.0.2.1", "")
		d.banned("192.0.2.1", "", 0)
		d.Remove("192.0.2.1")
	}
}

// Whoever guesses in whatever order: within the window no more guesses pass from an address, or for
// a user, than are allowed.
func TestGuessesRandomly(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	d := newDoor(t, policy)
	passed := map[string][]time.Time{}
	bans := 0
	check := func(subject string) {
		times := append(passed[subject], d.now)
		passed[subject] = times
		if i := len(times) - 1 - policy.Failures; i >= 0 && d.now.Sub(times[i]) < policy.Window {
			t.Fatalf("seed %d: %s guesses at %v", seed, subject, times[i:])
		}
	}
	for range 20_000 {
		from, user := numbered(random.IntN(20)), fmt.Sprint("user", random.IntN(10))
		if _, banned := d.Banned(from, user); banned {
			bans++
		} else {
			d.Fail(from, user)
			check(from.String())
			check(user)
		}
		d.Succeed(from, "mal")
		d.pass(time.Duration(random.Int64N(int64(2 * time.Minute))))
	}
	if bans == 0 || bans == 20_000 {
		t.Errorf("seed %d: %d of 20000 guesses were stopped", seed, bans)
	}
}

func TestBansClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := limits.NewBans(policy)
		for range 3 {
			b.Fail(addr("192.0.2.1"), "ann")
		}
		until, banned := b.Banned(addr("192.0.2.1"), "")
		if !banned || time.Until(until) != time.Hour {
			t.Errorf("%v, %v", until, banned)
		}
		<-time.After(time.Hour)
		if _, banned := b.Banned(addr("192.0.2.1"), ""); banned {
			t.Error("banned for longer than an hour")
		}
	})
}

func TestBansAtOnce(t *testing.T) {
	p := policy
	p.Subjects, p.Failures = 50, 2
	b := limits.NewBans(p)
	var g sync.WaitGroup
	for i := range 8 {
		g.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 0))
			for range 2000 {
				from, user := numbered(random.IntN(100)), fmt.Sprint("user", random.IntN(100))
				switch random.IntN(5) {
				case 0:
					b.Succeed(from, user)
				case 1:
					b.Remove(user)
				case 2:
					b.List()
				default:
					if _, banned := b.Banned(from, user); !banned {
						b.Fail(from, user)
					}
				}
			}
		})
	}
	g.Wait()
	if n, users := limits.Remembered(b); n > 50 || users > 50 {
		t.Errorf("%d subjects and %d users", n, users)
	}
}
