package bucket

import (
	"io"
	"net"
	"net/http"
	"sync"
)

// Body sends parts, one behind the other, once, and not any more when it is closed: a transport may go
// on sending after the answer has come, when the memory is another upload's.
type Body struct {
	mu     sync.Mutex
	closed bool
	parts  []*Part // what is left
	offset int64   // of the first
	left   int64   // bytes
}

// NewBody returns the bytes of parts, from offset on.
func NewBody(offset int64, parts ...*Part) *Body {
	b := &Body{parts: parts, left: -offset}
	for _, p := range parts {
		b.left += p.size
	}
	for len(b.parts) > 0 && offset > b.parts[0].size {
		offset -= b.parts[0].size
		b.parts = b.parts[1:]
	}
	b.offset = offset
	return b
}

// Len is how many bytes are left.
func (b *Body) Len() int64 { return b.left }

// next is what comes next, up to the end of a page. The lock is held.
func (b *Body) next() ([]byte, error) {
	if b.closed {
		return nil, http.ErrBodyReadAfterClose
	}
	for len(b.parts) > 0 {
		if p := b.parts[0]; b.offset < p.size {
			return p.At(b.offset, p.size), nil
		}
		b.parts, b.offset = b.parts[1:], 0
	}
	return nil, io.EOF
}

// took counts bytes that have gone.
func (b *Body) took(n int) {
	b.offset += int64(n)
	b.left -= int64(n)
}

// Read implements io.Reader.
func (b *Body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	content, err := b.next()
	n := copy(p, content)
	b.took(n)
	return n, err
}

// WriteTo implements io.WriterTo: pages go out as they are.
func (b *Body) WriteTo(w io.Writer) (sum int64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		content, err := b.next()
		if err == io.EOF { //nolint:errorlint // our own
			return sum, nil
		}
		if err == nil {
			var n int
			n, err = w.Write(content)
			b.took(n)
			sum += int64(n)
		}
		if err != nil {
			return sum, err
		}
	}
}

// Close implements io.Closer. It waits for what is being sent, which the end of the request's
// connection ends.
func (b *Body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed, b.parts = true, nil
	return nil
}

// plainConn lets a part be written from where it is. net/http puts a limit around a body that hides
// its WriteTo, and would copy it through a small buffer.
type plainConn struct{ net.Conn }

// ReadFrom implements io.ReaderFrom.
func (c plainConn) ReadFrom(r io.Reader) (int64, error) {
	if limited, ok := r.(*io.LimitedReader); ok {
		if b, ok := limited.R.(*Body); ok {
			n, err := b.WriteTo(c.Conn)
			limited.N -= n
			return n, err
		}
	}
	return io.Copy(struct{ io.Writer }{c.Conn}, r)
}
