package storefake

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"strings"
)

// Listing is what a page of a listing may hold: names with a prefix, those with the delimiter behind
// it rolled up into one, from one name to another.
type Listing struct {
	Prefix, Delimiter string
	From              string // the first string that may be listed
	End               string // the first that may not; "" is none
	Max               int    // most entries
	Repeat            bool   // what is rolled up is listed again on the next page if it goes on there

	// Both lists a name that is the same as what it is rolled up into beside that. They stay on one
	// page, so that a page of one may be of two.
	Both bool
}

// Entry is a name, or what names are rolled up into.
type Entry struct {
	Name   string
	Rolled bool
}

// Group is what key is rolled up into, if it is.
func (l *Listing) Group(key string) (string, bool) {
	rest, ok := strings.CutPrefix(key, l.Prefix)
	i := strings.Index(rest, l.Delimiter)
	if !ok || l.Delimiter == "" || i < 0 {
		return "", false
	}
	return key[:len(l.Prefix)+i+len(l.Delimiter)], true
}

// Page returns the entries of one page and where the next begins, "" if there is none. ceil returns
// the first name that is not before another.
func (l *Listing) Page(ceil func(string) (string, bool)) (entries []Entry, next string) {
	from := max(l.From, l.Prefix)
	for l.Max > 0 {
		key, ok := ceil(from)
		if !ok || !strings.HasPrefix(key, l.Prefix) || l.End != "" && key >= l.End {
			return entries, ""
		}
		group, rolled := l.Group(key)
		both := l.Both && key == group
		if len(entries) >= l.Max || both && len(entries)+1 == l.Max && l.Max > 1 {
			return entries, from
		}
		if !rolled || both {
			entries = append(entries, Entry{Name: key})
			from = After(key)
		}
		if !rolled {
			continue
		}
		entries = append(entries, Entry{group, true})
		if l.Repeat && len(entries) >= l.Max {
			from = After(key)
			continue
		}
		if from, ok = AfterAll(group); !ok {
			return entries, ""
		}
	}
	return entries, ""
}

// EncodeToken hides where the next page begins. The checksum is there to refuse what is no token.
func EncodeToken(from string) string {
	if from == "" {
		return ""
	}
	sum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(from)))
	return base64.StdEncoding.EncodeToString(append(sum, from...))
}

// DecodeToken is the reverse of EncodeToken; false for what is no token.
func DecodeToken(token string) (string, bool) {
	raw, err := base64.StdEncoding.DecodeString(token)
	if err != nil || len(raw) < 4 {
		return "", false
	}
	from := string(raw[4:])
	return from, binary.BigEndian.Uint32(raw) == crc32.ChecksumIEEE([]byte(from))
}
