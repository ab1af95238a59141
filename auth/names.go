package auth

import (
	"path"
	"strings"
)

// Names are patterns of names, as path.Match has them, without regard to upper and lower case. A name
// that is hidden is not there: it is not listed, not found, and cannot be made. One that is denied is
// listed, and nothing can be done with it. If some are allowed, files of other names are denied;
// folders are not.
type Names struct {
	Allowed, Denied, Hidden []string
}

// Verdict is what Names say of a name.
type Verdict int

// The verdicts.
const (
	NameGood Verdict = iota
	NameDenied
	NameHidden
)

// Empty reports that there is no rule.
func (n *Names) Empty() bool { return len(n.Allowed)+len(n.Denied)+len(n.Hidden) == 0 }

// Judge says what may be done with rel, a clean path within the mount: each of its elements counts.
// folder: it is one, so that Allowed is not for it.
func (n *Names) Judge(rel string, folder bool) Verdict {
	if n.Empty() || rel == "" {
		return NameGood
	}
	v := NameGood
	for element := range strings.SplitSeq(rel, "/") {
		element = fold(element)
		switch {
		case matches(n.Hidden, element):
			return NameHidden
		case matches(n.Denied, element):
			v = NameDenied
		}
	}
	if !folder && len(n.Allowed) > 0 && !matches(n.Allowed, fold(path.Base(rel))) {
		return NameDenied
	}
	return v
}

// matches: the patterns are folded, and good.
func matches(patterns []string, name string) bool {
	for _, p := range patterns {
		if ok, _ := path.Match(p, name); ok {
			return true
		}
	}
	return false
}
