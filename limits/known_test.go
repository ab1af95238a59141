package limits_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/limits"
)

func TestKnownNetworksAreTheLast(t *testing.T) {
	d := newDoor(t, policy)
	for i := range 8 {
		d.Succeed(numbered(i), "ann")
	}
	d.Succeed(numbered(0), "ann") // again, so 1 is the oldest
	d.Succeed(numbered(8), "ann")
	d.fail(1, "192.0.2.1", "ann")
	d.fail(1, "192.0.2.2", "ann")
	d.fail(1, "192.0.2.3", "ann")
	for i := range 9 {
		want := time.Duration(0)
		if i == 1 {
			want = time.Hour
		}
		d.banned(numbered(i).String(), "ann", want)
	}
}

func TestFloodOfUsers(t *testing.T) {
	p := policy
	p.Subjects = 100
	d := newDoor(t, p)
	d.fail(3, "192.0.2.1", "ann")
	d.fail(3, "192.0.2.2", "u0")
	d.Succeed(addr("203.0.113.1"), "ann")
	for i := range 500 {
		d.Succeed(addr("198.51.100.1"), fmt.Sprint("u", i))
		d.Succeed(addr("198.51.100.1"), "ann")
	}
	if _, users := limits.Remembered(d.Bans); users != 100 {
		t.Errorf("%d users", users)
	}
	d.banned("198.51.100.1", "ann", 0)
	d.banned("203.0.113.1", "ann", 0) // never forgotten in between
	d.banned("198.51.100.1", "u0", time.Hour)
}
