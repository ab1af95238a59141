package limits_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/limits"
)

// A flood of new subjects ends no ban, and does not grow the memory.
func TestFloodKeepsBans(t *testing.T) {
	p := policy
	p.Subjects = 1000
	d := newDoor(t, p)
	for i := range 500 {
		for range 3 {
			d.Fail(numbered(i), "")
		}
	}
	for i := range 10_000 {
		d.Fail(numbered(1000+i), fmt.Sprint("user", i))
	}
	if n := len(d.List()); n != 500 {
		t.Errorf("%d bans are left of 500", n)
	}
	if n, _ := limits.Remembered(d.Bans); n != 1000 {
		t.Errorf("%d subjects", n)
	}
}

// However many are banned, there is room to count others; the oldest bans go.
func TestFloodOfBans(t *testing.T) {
	p := policy
	p.Subjects = 1000
	d := newDoor(t, p)
	for i := range 10_000 {
		for range 3 {
			d.Fail(numbered(i), "")
		}
	}
	if n, _ := limits.Remembered(d.Bans); n > 1000 {
		t.Errorf("%d subjects", n)
	}
	for i := range 10_000 {
		if _, banned := d.Banned(numbered(i), ""); banned != (i >= 9500) {
			t.Fatalf("%d: banned %v", i, banned)
		}
	}
	for range 3 {
		for i := range 499 {
			d.Fail(numbered(20_000+i), "")
		}
	}
	if _, banned := d.Banned(numbered(20_000), ""); !banned {
		t.Error("499 who fail in turn were not counted")
	}
}

// The one who fails again and again is not the first to be forgotten.
func TestFloodForgetsWhoFailedLongestAgo(t *testing.T) {
	p := policy
	p.Subjects, p.Failures = 10, 5
	d := newDoor(t, p)
	for i := range 5 {
		d.fail(1, "192.0.2.1", "")
		for j := range 8 {
			d.Fail(numbered(100*i+j), "")
		}
	}
	d.banned("192.0.2.1", "", time.Hour)
}

// What no longer counts does not stay in the memory.
func TestBansExpire(t *testing.T) {
	d := newDoor(t, policy)
	for i := range 3000 {
		d.Fail(numbered(i%1000), "") // 1000 subjects that are banned
		d.Fail(numbered(2000+i), fmt.Sprint("user", i))
	}
	d.pass(1000 * time.Hour)
	for range 7000 / 2 {
		d.fail(1, "192.0.2.1", "")
	}
	if n, _ := limits.Remembered(d.Bans); n != 1 {
		t.Errorf("%d subjects", n)
	}
}
