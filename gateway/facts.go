package gateway

import (
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/backends"
)

// factSet are the facts of RFC 3659 section 7.5 that a client wants in MLSD and MLST.
type factSet uint8

const (
	factType factSet = 1 << iota
	factSize
	factModify
	factPerm
	factUnique
	allFacts = factType | factSize | factModify | factPerm | factUnique
)

var factNames = []struct {
	fact factSet
	name string
}{{factType, "type"}, {factSize, "size"}, {factModify, "modify"}, {factPerm, "perm"}, {factUnique, "unique"}}

// parseFacts takes the argument of OPTS MLST. Facts that we do not know are left out (RFC 3659
// section 7.9).
func parseFacts(arg string) factSet {
	var set factSet
	for name := range strings.SplitSeq(strings.ToLower(arg), ";") {
		for _, f := range factNames {
			if f.name == name {
				set |= f.fact
			}
		}
	}
	return set
}

// String lists the facts in the set, each with a semicolon.
func (s factSet) String() string {
	var b strings.Builder
	for _, f := range factNames {
		if s&f.fact != 0 {
			b.WriteString(f.name + ";")
		}
	}
	return b.String()
}

// feature is the set's line in FEAT: every fact, a star behind those that are on.
func (s factSet) feature() string {
	b := "MLST "
	for _, f := range factNames {
		b += f.name
		if s&f.fact != 0 {
			b += "*"
		}
		b += ";"
	}
	return b
}

const timeVal = "20060102150405" // RFC 3659 section 2.3, always UTC

// appendFacts appends the facts of an entry, without a name or a line end.
func appendFacts(b []byte, set factSet, o backends.Object, may auth.Permissions, unique uint64) []byte {
	if set&factType != 0 {
		if o.Dir {
			b = append(b, "type=dir;"...)
		} else {
			b = append(b, "type=file;"...)
		}
	}
	if set&factSize != 0 && !o.Dir {
		b = strconv.AppendInt(append(b, "size="...), o.Size, 10)
		b = append(b, ';')
	}
	if set&factModify != 0 && !o.ModTime.IsZero() {
		b = o.ModTime.UTC().AppendFormat(append(b, "modify="...), timeVal)
		b = append(b, ';')
	}
	if set&factPerm != 0 {
		b = appendPerm(append(b, "perm="...), o.Dir, may)
		b = append(b, ';')
	}
	if set&factUnique != 0 {
		b = strconv.AppendUint(append(b, "unique="...), unique, 16)
		b = append(b, ';')
	}
	return b
}

// appendPerm says what the user may do with an entry (RFC 3659 section 7.5.5).
func appendPerm(b []byte, dir bool, may auth.Permissions) []byte {
	of := func(c byte, p auth.Permissions) {
		if may.Has(p) {
			b = append(b, c)
		}
	}
	if !dir {
		of('a', auth.Append)
		of('d', auth.Delete)
		of('f', auth.Rename)
		of('r', auth.Read)
		of('w', auth.Write|auth.Overwrite)
		return b
	}
	of('c', auth.Write)
	of('d', auth.Delete)
	b = append(b, 'e')
	of('f', auth.Rename)
	of('l', auth.List)
	of('m', auth.Mkdir)
	of('p', auth.Delete)
	return b
}

// uniqueOf names an object by where it is stored, so that two mounts of one place agree.
func uniqueOf(backend, key string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(backend + "\x00" + key)) // a hash has no errors
	return h.Sum64()
}

// formatter returns the function that appends an entry's line. prefix
// stands before each name in NLST.
func formatter(req *listRequest, at target, prefix string) func([]byte, backends.Object, string) []byte {
	switch req.verb {
	case "MLSD":
		return func(b []byte, o backends.Object, name string) []byte {
			b = appendFacts(b, req.facts, o, at.Permissions, uniqueOf(at.Backend, o.Key))
			return append(append(append(b, ' '), name...), "\r\n"...)
		}
	case "NLST":
		return func(b []byte, _ backends.Object, name string) []byte {
			return append(append(append(b, prefix...), name...), "\r\n"...)
		}
	}
	now := time.Now()
	return func(b []byte, o backends.Object, name string) []byte {
		return append(appendLs(b, o, name, now), "\r\n"...)
	}
}

// halfYear is the age from which ls shows the year instead of the time.
const halfYear = 182 * 24 * time.Hour

// appendLs appends a line as `ls -l` prints it, in nine columns, times in UTC.
func appendLs(b []byte, o backends.Object, name string, now time.Time) []byte {
	if o.Dir {
		b = append(b, "drwxr-xr-x 1 ftp ftp "...)
	} else {
		b = append(b, "-rw-r--r-- 1 ftp ftp "...)
	}
	at := len(b)
	b = strconv.AppendInt(b, o.Size, 10)
	for pad := 12 - (len(b) - at); pad > 0; pad-- {
		b = append(b, ' ')
		copy(b[at+1:], b[at:])
		b[at] = ' '
	}
	mtime := o.ModTime.UTC()
	if o.ModTime.IsZero() {
		mtime = now.UTC() // a folder that only its files make
	}
	layout := " Jan _2 15:04 "
	if age := now.Sub(mtime); age > halfYear || age < -time.Hour {
		layout = " Jan _2  2006 "
	}
	return append(mtime.AppendFormat(b, layout), name...)
}
