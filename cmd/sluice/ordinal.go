package main

import (
	"fmt"
	"strconv"
	"strings"
)

// ordinal is the number of a replica: itself, or at the end of the name that a StatefulSet gives a pod.
type ordinal int

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *ordinal) UnmarshalText(text []byte) error {
	s := string(text)
	n, err := strconv.ParseUint(s[strings.LastIndexByte(s, '-')+1:], 10, 15)
	if err != nil {
		return fmt.Errorf("%q does not end with a number; give that of the replica, from 0, or the name of a StatefulSet's pod", s)
	}
	*o = ordinal(n) //nolint:gosec // of 15 bits
	return nil
}
