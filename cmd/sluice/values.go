package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-ftp/sluice/yamlfile"
)

// duration is a time.Duration written with its unit.
type duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration; write it with its unit, like 90s, 5m or 1h30m", text)
	}
	*d = duration(v)
	return nil
}

func (d duration) String() string { return shortDuration(time.Duration(d)) }

// shortDuration is 5m where time.Duration says 5m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// size is a number of bytes.
type size = yamlfile.Size

// portRange is a range of ports, both ends included.
type portRange struct{ First, Last int }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *portRange) UnmarshalText(text []byte) error {
	from, to, ok := strings.Cut(string(text), "-")
	if !ok {
		to = from
	}
	first, err1 := strconv.Atoi(strings.TrimSpace(from))
	last, err2 := strconv.Atoi(strings.TrimSpace(to))
	switch {
	case err1 != nil || err2 != nil:
		return fmt.Errorf("%q is not a range of ports; write it like 20000-20099", text)
	case first > last:
		return fmt.Errorf("%q begins after it ends; write the lower port first", text)
	case first < 1024 || last > 65535:
		return fmt.Errorf("%q is not within 1024-65535, where clients and firewalls expect data connections", text)
	}
	*r = portRange{first, last}
	return nil
}

func (r portRange) String() string {
	if r.First == 0 {
		return ""
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

func (r portRange) has(port int) bool { return r.First <= port && port <= r.Last }
