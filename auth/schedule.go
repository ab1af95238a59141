package auth

import (
	"fmt"
	"strings"
	"time"
)

// schedule is when a user may be here. The zero value is always.
type schedule struct {
	from, until time.Time
	hours       []hours
	zone        *time.Location
}

// allows says why not, or "".
func (s *schedule) allows(now time.Time) string {
	switch {
	case !s.from.IsZero() && now.Before(s.from):
		return "not valid before " + s.from.Format(time.RFC3339)
	case !s.until.IsZero() && !now.Before(s.until):
		return "not valid since " + s.until.Format(time.RFC3339)
	case len(s.hours) == 0:
		return ""
	}
	if s.zone != nil {
		now = now.In(s.zone)
	}
	for _, h := range s.hours {
		if h.has(now) {
			return ""
		}
	}
	return "outside of login_hours"
}

// day is a date, or a moment, as it is written.
type day struct {
	time.Time
	whole bool // without a time of day
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *day) UnmarshalText(text []byte) error {
	t, err := time.Parse(time.DateOnly, string(text))
	if err == nil {
		*d = day{t, true}
		return nil
	}
	if t, err = time.Parse(time.RFC3339, string(text)); err != nil {
		return fmt.Errorf("%q is not a date; write it like 2026-12-31, or 2026-12-31T18:00:00Z", text)
	}
	*d = day{t, false}
	return nil
}

// begin and end are in zone, where the date has no time of day. The end of a day is in it.
func (d day) begin(zone *time.Location) time.Time {
	if !d.whole {
		return d.Time
	}
	return time.Date(d.Year(), d.Month(), d.Day(), 0, 0, 0, 0, zone)
}

func (d day) end(zone *time.Location) time.Time {
	if !d.whole {
		return d.Time
	}
	return time.Date(d.Year(), d.Month(), d.Day()+1, 0, 0, 0, 0, zone)
}

// hours are some of the week: from and to in minutes of the day; beyond midnight if to is not after from.
type hours struct {
	days     [7]bool
	from, to int
}

var weekdays = [7]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *hours) UnmarshalText(text []byte) error {
	wrong := fmt.Errorf("%q are no hours; write them like 08:00-18:00 or Mon-Fri 08:00-18:00", text)
	*h = hours{}
	days, clock, ok := strings.Cut(strings.ToLower(string(text)), " ")
	if !ok {
		days, clock = "sun-sat", days
	}
	for list := range strings.SplitSeq(days, ",") {
		first, last, ok := strings.Cut(list, "-")
		if !ok {
			last = first
		}
		i, j := weekday(first), weekday(last)
		if i < 0 || j < 0 {
			return wrong
		}
		for d := i; ; d = (d + 1) % 7 {
			h.days[d] = true
			if d == j {
				break
			}
		}
	}
	from, to, ok := strings.Cut(clock, "-")
	var err1, err2 error
	h.from, err1 = minutes(from)
	h.to, err2 = minutes(to)
	if !ok || err1 != nil || err2 != nil || h.from == h.to {
		return wrong
	}
	return nil
}

func weekday(name string) int {
	for i, w := range weekdays {
		if w == name {
			return i
		}
	}
	return -1
}

func minutes(clock string) (int, error) {
	if clock == "24:00" {
		return 24 * 60, nil
	}
	t, err := time.Parse("15:04", clock)
	return t.Hour()*60 + t.Minute(), err
}

func (h hours) has(t time.Time) bool {
	m, today := t.Hour()*60+t.Minute(), int(t.Weekday())
	if h.from < h.to {
		return h.days[today] && h.from <= m && m < h.to
	}
	return h.days[today] && m >= h.from || h.days[(today+6)%7] && m < h.to
}
