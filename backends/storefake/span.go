package storefake

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Span is the part of an object that a Range header asks for.
type Span struct {
	Off, Size int64
	Partial   bool // it is less than the answer to a request without the header, or said to be
}

// ParseRange reads a Range header for an object of size bytes. One that makes no sense is ignored,
// as RFC 9110 section 14.2 says; false is one that the object has nothing of. Several ranges are for
// the caller to refuse.
func ParseRange(header string, size int64) (Span, bool) {
	spec, bytes := strings.CutPrefix(header, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	from, errFrom := strconv.ParseUint(first, 10, 63)
	to, errTo := strconv.ParseUint(last, 10, 63)
	s := Span{Partial: true}
	switch {
	case !bytes, !dash, first == "" && errTo != nil, first != "" && errFrom != nil,
		last != "" && errTo != nil, first != "" && last != "" && to < from:
		return Span{Size: size}, true
	case first == "":
		s.Size = min(int64(to), size)
		s.Off = size - s.Size
	case last == "":
		s.Off, s.Size = int64(from), size-int64(from)
	default:
		s.Off, s.Size = int64(from), min(int64(to), size-1)-int64(from)+1
	}
	return s, s.Size > 0
}

// Reply is the answer with this part of an object of size bytes; without data they are zeros.
func (s Span) Reply(header http.Header, data []byte, size int64) *Reply {
	rep := &Reply{Status: http.StatusOK, Header: header, Size: s.Size, Object: true}
	if data != nil {
		rep.Data = data[s.Off : s.Off+s.Size]
	}
	if s.Partial {
		rep.Status = http.StatusPartialContent
		header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", s.Off, s.Off+s.Size-1, size))
	}
	return rep
}
