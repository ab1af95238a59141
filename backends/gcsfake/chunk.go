package gcsfake

import (
	"errors"
	"io"
	"regexp"
	"strconv"
)

// chunk is what a request brings: length bytes from off, and whether they are the last.
type chunk struct {
	off, length int64 // length is -1 if only the end of the body will tell
	total       int64 // of the upload; -1 is not known yet
	last        bool
}

var contentRanges = regexp.MustCompile(`^bytes (\d{1,18})-(\d{1,18})/(\*|\d{1,18})$`)

func badRange(what string) *failure {
	return invalid("Failed to parse Content-Range header: %s", what).at("Content-Range")
}

// parseChunk reads Content-Range. Without it the body is all there is.
func (c *call) parseChunk() (chunk, error) {
	length := c.R.ContentLength
	header := c.Header.Get("Content-Range")
	if header == "" {
		return chunk{length: length, total: length, last: true}, nil
	}
	m := contentRanges.FindStringSubmatch(header)
	if m == nil {
		return chunk{}, badRange(header)
	}
	from, _ := strconv.ParseInt(m[1], 10, 64) // 18 digits fit
	to, _ := strconv.ParseInt(m[2], 10, 64)
	k := chunk{off: from, length: to - from + 1, total: -1}
	if m[3] != "*" {
		k.total, _ = strconv.ParseInt(m[3], 10, 64)
		k.last = k.total == to+1
	}
	switch {
	case length < 0:
		return chunk{}, refuse("lengthRequired", "POST requests require a Content-length header.")
	case to < from, k.total >= 0 && to >= k.total:
		return chunk{}, badRange(header)
	case length != k.length:
		return chunk{}, invalid("Content-Length %d does not agree with Content-Range %s", length, header).at("Content-Length")
	case !k.last && k.length%granule != 0:
		return chunk{}, invalid("Invalid request. The number of bytes uploaded is required to be equal or greater "+
			"than 262144, except for the final request (it's recommended to be the exact multiple of 262144). The "+
			"received request contained %d bytes, which does not meet this requirement.", k.length)
	}
	return k, nil
}

// declare holds the upload to the total that was said first. The caller holds the lock.
func (u *session) declare(total int64) error {
	switch {
	case total < 0:
		return nil
	case u.total >= 0 && u.total != total:
		return invalid("The total size of the upload is %d, not %d", u.total, total).at("Content-Range")
	case total < u.size:
		return invalid("The upload has %d bytes already, more than %d", u.size, total).at("Content-Range")
	case total > maxObject:
		return refuse("uploadTooLarge", "The object is larger than 5 TiB.")
	}
	u.total = total
	return nil
}

// fits says whether the chunk can go on where the upload is. The caller holds the lock.
func (u *session) fits(k chunk) error {
	if err := u.declare(k.total); err != nil {
		return err
	}
	switch {
	case k.off > u.size:
		return refuse("backendError", "Invalid request. There were %d byte(s) persisted, the chunk begins at %d.", u.size, k.off)
	case u.total >= 0 && k.length >= 0 && k.off+k.length > u.total:
		return invalid("The chunk goes beyond the %d bytes of the upload", u.total).at("Content-Range")
	}
	return nil
}

// takeChunk reads the body and persists each granule as it is complete, so that what breaks off is
// not lost. Bytes that are persisted already are skipped.
func (c *call) takeChunk(u *session, k chunk) (*reply, error) {
	type piece struct {
		off  int64
		data []byte
	}
	body := c.Content(c.Body)
	var late []piece // with PersistNothing
	var scratch []byte
	if c.s.o.Discard {
		scratch = make([]byte, granule)
	}
	for at := k.off; k.length < 0 || at < k.off+k.length; {
		room := granule - at%granule
		if k.length >= 0 {
			room = min(room, k.off+k.length-at)
		}
		p := piece{at, nil}
		if c.s.o.Discard && !c.s.o.Quirks.PersistNothing {
			p.data = scratch[:room]
		} else {
			p.data = make([]byte, room)
		}
		n, err := fill(body, p.data)
		at += int64(n)
		switch {
		case err == nil:
		case k.length < 0 && errors.Is(err, io.EOF):
			k.length, k.total = at, at
		default:
			return nil, refuse("uploadBrokenConnection", "The upload broke off after %d bytes", at)
		}
		p.data = p.data[:n]
		if c.s.o.Quirks.PersistNothing {
			late = append(late, p)
		} else if err := c.persist(u, k, p.off, p.data); err != nil {
			return nil, err
		}
	}
	for _, p := range late {
		if err := c.persist(u, k, p.off, p.data); err != nil {
			return nil, err
		}
	}
	return c.chunkTaken(u, k)
}

// fill reads until p is full. Unlike io.ReadFull it keeps the end of the body apart from its breaking off.
func fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var more int
		more, err = r.Read(p[n:])
		n += more
	}
	if n == len(p) {
		err = nil
	}
	return n, err
}

// persist appends a piece that begins at off, or what is new of it. What is no whole granule is kept
// only at the end of the upload.
func (c *call) persist(u *session, k chunk, off int64, piece []byte) error {
	at, open, err := c.persisted(u, 0, nil)
	if !open {
		return err
	}
	piece = piece[min(max(at-off, 0), int64(len(piece))):]
	end := at + int64(len(piece))
	if len(piece) == 0 || end%granule != 0 && !(k.last && end == k.total) {
		return nil
	}
	_, _ = u.crc.Write(piece) // a hash never fails
	if u.md5 != nil {
		_, _ = u.md5.Write(piece)
	}
	_, _, err = c.persisted(u, int64(len(piece)), piece)
	return err
}

// persisted adds n bytes to the upload, if it is still open, and returns how many there are.
func (c *call) persisted(u *session, n int64, piece []byte) (size int64, open bool, err error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if _, err := c.session(); err != nil {
		return 0, false, err
	}
	if n > 0 && !c.s.o.Discard {
		u.pieces = append(u.pieces, piece)
	}
	u.size += n
	c.Took(n)
	return u.size, true, nil
}
