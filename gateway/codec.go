package gateway

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash"
	"hash/adler32"
	"io"

	"github.com/klauspost/compress/flate"
)

// fromNetwork turns CR LF into LF in whole blocks (TYPE A upload, RFC 959 section 3.1.1.1). A CR
// that stands alone is kept.
type fromNetwork struct {
	src  io.Reader
	held bool // a CR that ended the last block
	err  error
	left []byte // converted, for a reader that asks for very little
}

func (f *fromNetwork) Read(p []byte) (int, error) {
	if len(f.left) == 0 && len(p) >= 2 {
		return f.convert(p)
	}
	if len(f.left) == 0 {
		block := make([]byte, 16)
		n, err := f.convert(block)
		if f.left = block[:n]; n == 0 {
			return 0, err
		}
	}
	n := copy(p, f.left)
	f.left = f.left[n:]
	return n, nil
}

// convert fills p, which has room for a held CR and another byte.
func (f *fromNetwork) convert(p []byte) (int, error) {
	for f.err == nil {
		at := 0
		if f.held {
			p[0], at = '\r', 1
		}
		var n int
		n, f.err = f.src.Read(p[at:])
		if n == 0 {
			continue
		}
		block := p[:at+n]
		f.held = block[len(block)-1] == '\r'
		if f.held {
			block = block[:len(block)-1]
		}
		if n := dropCR(block); n > 0 {
			return n, nil
		}
	}
	if f.held {
		f.held = false
		p[0] = '\r'
		return 1, nil
	}
	return 0, f.err
}

// dropCR removes the CR of each CR LF in place and returns what is left.
func dropCR(b []byte) int {
	i := bytes.IndexByte(b, '\r')
	if i < 0 {
		return len(b)
	}
	out := i
	for i < len(b) {
		// b[i] is a CR.
		if i+1 == len(b) || b[i+1] != '\n' {
			b[out] = '\r'
			out++
		}
		next := bytes.IndexByte(b[i+1:], '\r')
		if next < 0 {
			return out + copy(b[out:], b[i+1:])
		}
		out += copy(b[out:], b[i+1:i+1+next])
		i += 1 + next
	}
	return out
}

// toNetwork turns LF into CR LF in whole blocks (TYPE A download); CR LF stays as it is.
type toNetwork struct {
	dst  io.WriteCloser
	buf  []byte
	last byte
}

func newToNetwork(dst io.WriteCloser) *toNetwork {
	return &toNetwork{dst: dst, buf: make([]byte, 0, 64<<10)}
}

func (t *toNetwork) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		// Each byte takes two at the most.
		block := p[done:min(len(p), done+cap(t.buf)/2)]
		out := t.buf[:0]
		for rest := block; len(rest) > 0; {
			i := bytes.IndexByte(rest, '\n')
			if i < 0 {
				out = append(out, rest...)
				t.last = rest[len(rest)-1]
				break
			}
			if i > 0 {
				t.last = rest[i-1]
			}
			out = append(out, rest[:i]...)
			if t.last != '\r' {
				out = append(out, '\r')
			}
			out = append(out, '\n')
			t.last = '\n'
			rest = rest[i+1:]
		}
		if _, err := t.dst.Write(out); err != nil {
			return done, err
		}
		done += len(block)
	}
	return done, nil
}

func (t *toNetwork) Close() error { return t.dst.Close() }

// deflater writes MODE Z: a zlib stream (RFC 1950), which is what clients expect although the draft
// says deflate. The stateless compressor holds no window between writes: the usual one would hold
// 800 KB a transfer.
type deflater struct {
	dst io.WriteCloser
	z   io.WriteCloser
	sum hash.Hash32
}

func newDeflater(dst io.WriteCloser) (*deflater, error) {
	// CMF: deflate, 32 KiB window. FLG: fastest, and the check of RFC 1950 section 2.2.
	if _, err := dst.Write([]byte{0x78, 0x01}); err != nil {
		return nil, err
	}
	return &deflater{dst: dst, z: flate.NewStatelessWriter(dst), sum: adler32.New()}, nil
}

func (d *deflater) Write(p []byte) (int, error) {
	_, _ = d.sum.Write(p) // a hash has no errors
	return d.z.Write(p)
}

func (d *deflater) Close() error {
	if err := d.z.Close(); err != nil {
		return err
	}
	if _, err := d.dst.Write(binary.BigEndian.AppendUint32(nil, d.sum.Sum32())); err != nil {
		return err
	}
	return d.dst.Close()
}

// inflater reads MODE Z. The end of the stream is not yet the end of the file: that is the data
// connection's, and nothing may stand between the two. No bytes at all are an empty file.
type inflater struct {
	src   *bufio.Reader // flate takes no more from it than it needs
	z     io.Reader
	ended bool
}

func newInflater(src io.Reader) *inflater { return &inflater{src: bufio.NewReaderSize(src, 32<<10)} }

func (i *inflater) Read(p []byte) (int, error) {
	if i.z == nil {
		if _, err := i.src.Peek(1); err != nil {
			return 0, err
		}
		z, err := zlib.NewReader(i.src)
		if err == io.EOF { //nolint:errorlint // the io.Reader contract says EOF itself
			err = io.ErrUnexpectedEOF // inside the header
		}
		if err != nil {
			return 0, err
		}
		i.z = z
	}
	for !i.ended {
		n, err := i.z.Read(p)
		i.ended = err == io.EOF
		switch {
		case err != nil && !i.ended:
			return n, err
		case n > 0:
			return n, nil
		}
	}
	if _, err := i.src.Peek(1); err != nil {
		return 0, err // io.EOF if all is well
	}
	return 0, errTrailings
}
