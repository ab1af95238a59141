package e2e

import (
	"slices"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/e2e/ftp"
)

const (
	// loginDelay is how long the answer to any first wrong login waits, beside what it takes to look at the
	// password. That is what is compared.
	loginDelay = time.Second
	// guess ends like a one-time code, so that it may be two passwords.
	guess = "guess-123456"
)

// stranger is a name that no user has, and the others are those of users of all kinds.
const stranger = "nobody"

const timingUsers = `
  - {name: acme, password_hash: "$HASH", mounts: [{path: /, backend: disk, permissions: [list]}]}
  - {name: disabled, enabled: false, password_hash: "$HASH", mounts: [{path: /, backend: disk, permissions: [list]}]}
  - {name: over, valid_until: 2020-01-01, password_hash: "$HASH", mounts: [{path: /, backend: disk, permissions: [list]}]}
  - {name: elsewhere, allow_from: [192.0.2.1], password_hash: "$HASH", mounts: [{path: /, backend: disk, permissions: [list]}]}
  - {name: coded, totp_secret: JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP, password_hash: "$HASH", mounts: [{path: /, backend: disk, permissions: [list]}]}
  - {name: card, login: certificate, certificates: [0f3bd5b6b5a1d0c7a7a2f1e5b9c3d4e5f60718293a4b5c6d7e8f9012a3b4c5d6], mounts: [{path: /, backend: disk, permissions: [list]}]}
`

// Neither what is said nor how long it takes tells who exists.
func TestAttackTiming(t *testing.T) {
	s := startForAttack(t, t.TempDir(), timingUsers, "bans: {failures: 0}")
	users := []string{stranger, "acme", "disabled", "over", "elsewhere", "coded", "card"}
	one := typical(guessTimes(t, s.addr, []string{stranger}, 1, loginDelay)[stranger])
	// One guess at a time is looked at: while it waits for its answer, the next one is.
	pace := max(120*time.Millisecond, one+one/4)
	rounds := max(5, min(15, int(15*time.Second/pace)/len(users))) // with the race detector a hash takes a second
	// A machine that does something else is no proof: once more, with more samples.
	for _, rounds := range []int{rounds, 3 * rounds} {
		times := guessTimes(t, s.addr, users, rounds, pace)
		var odd []string
		for _, name := range users {
			ratio := float64(typical(times[name])) / float64(typical(times[stranger]))
			t.Logf("%-9s %8v, %.2f of %s", name, typical(times[name]), ratio, stranger)
			if ratio > 2 || ratio < 0.5 {
				odd = append(odd, name)
			}
		}
		if len(odd) == 0 {
			return
		}
		t.Logf("with %d samples each: %q are told from %s", rounds, odd, stranger)
	}
	t.Error("the time tells who exists")
}

// typical is the lower quartile: what a login takes, without what else the machine did.
func typical(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/4]
}

// guessTimes guesses at all users in turn, in as many rounds and at that pace, and returns how long the
// answers took beyond what they wait.
func guessTimes(t *testing.T, addr string, users []string, rounds int, pace time.Duration) map[string][]time.Duration {
	t.Helper()
	type guessed struct {
		name  string
		took  time.Duration
		reply ftp.Reply
		err   error
	}
	done := make(chan guessed)
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for i := range rounds {
		for j := range users {
			name := users[(i+j)%len(users)] // in another order each time
			if i%2 == 1 {
				name = users[(i+len(users)-j)%len(users)]
			}
			c, err := greeted(addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			if reply, err := c.Cmd("USER " + name); err != nil || reply != (ftp.Reply{Code: 331, Text: "Password, please"}) {
				t.Fatalf("USER %s: %v, %v", name, reply, err)
			}
			<-tick.C
			go func() {
				start := time.Now()
				reply, err := c.Cmd("PASS " + guess)
				done <- guessed{name, time.Since(start), reply, err}
			}()
		}
	}
	times := map[string][]time.Duration{}
	for range rounds * len(users) {
		g := <-done
		if g.err != nil || g.reply != (ftp.Reply{Code: 530, Text: "Wrong name or password"}) {
			t.Errorf("%s: %q, %v", g.name, g.reply, g.err)
		}
		if g.took < loginDelay {
			t.Errorf("%s: answered after %v", g.name, g.took)
		}
		times[g.name] = append(times[g.name], g.took-loginDelay)
	}
	return times
}
