package storefake

import (
	"slices"
	"strings"
)

// maxRun is the length at which a run is split. A few hundred strings are moved faster than a
// pointer is followed.
const maxRun = 512

// Keys is a set of keys in byte order: sorted runs, none empty, so that neither a key put in the
// middle nor a page of a listing costs more with a million keys than with a thousand.
type Keys struct{ runs [][]string }

// find returns the run that holds key, or would, and key's place in it.
func (k *Keys) find(key string) (run, at int, found bool) {
	run, found = slices.BinarySearchFunc(k.runs, key, func(r []string, key string) int {
		return strings.Compare(r[0], key)
	})
	if found {
		return run, 0, true
	}
	if run = max(run-1, 0); len(k.runs) == 0 {
		return 0, 0, false
	}
	at, found = slices.BinarySearch(k.runs[run], key)
	return run, at, found
}

// Add puts key into the set.
func (k *Keys) Add(key string) {
	run, at, found := k.find(key)
	switch {
	case found:
		return
	case len(k.runs) == 0:
		k.runs = [][]string{{key}}
		return
	}
	r := slices.Insert(k.runs[run], at, key)
	k.runs[run] = r
	if len(r) > maxRun {
		half := len(r) / 2
		k.runs[run] = r[:half:half]
		k.runs = slices.Insert(k.runs, run+1, slices.Clone(r[half:]))
	}
}

// Remove takes key out of the set.
func (k *Keys) Remove(key string) {
	run, at, found := k.find(key)
	if !found {
		return
	}
	k.runs[run] = slices.Delete(k.runs[run], at, at+1)
	if len(k.runs[run]) == 0 {
		k.runs = slices.Delete(k.runs, run, run+1)
	}
}

// Ceil returns the first key that is not before at.
func (k *Keys) Ceil(at string) (string, bool) {
	run, i, _ := k.find(at)
	if run < len(k.runs) && i == len(k.runs[run]) {
		run, i = run+1, 0
	}
	if run >= len(k.runs) {
		return "", false
	}
	return k.runs[run][i], true
}

// All returns the keys in order.
func (k *Keys) All() []string { return slices.Concat(k.runs...) }

// After is the first string that can follow key.
func After(key string) string { return key + "\x00" }

// AfterAll is the first string that follows everything with this prefix; false if nothing can.
func AfterAll(prefix string) (string, bool) {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			return prefix[:i] + string([]byte{prefix[i] + 1}), true
		}
	}
	return "", false
}
