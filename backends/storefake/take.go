package storefake

import (
	"errors"
	"io"
)

// Take reads length bytes, or all there are if length is negative, through sums. With discard it
// keeps none of them. Anything short of length is io.ErrUnexpectedEOF, like any other end before
// the end.
func Take(r io.Reader, length int64, discard bool, sums ...io.Writer) (data []byte, size int64, err error) {
	const (
		firstBuffer = 16 << 20 // more only when it arrives: the length is only a claim
		firstOfAny  = 16 << 10 // most of what comes without a length is small
		unknown     = 1<<63 - 1
	)
	first := min(length, firstBuffer)
	if length < 0 {
		length, first = unknown, firstOfAny
	}
	if discard {
		first = min(first, page)
	}
	buf := make([]byte, 0, first)
	for size < length {
		switch {
		case discard:
			buf = buf[:0]
		case len(buf) == cap(buf):
			grown := make([]byte, len(buf), min(length, 2*int64(cap(buf))))
			copy(grown, buf)
			buf = grown
		}
		room := buf[len(buf):cap(buf)]
		n, err := r.Read(room[:min(int64(len(room)), page, length-size)])
		for _, s := range sums {
			_, _ = s.Write(room[:n]) // a hash never fails
		}
		buf = buf[:len(buf)+n]
		size += int64(n)
		switch {
		case err == nil || size == length:
		case length == unknown && errors.Is(err, io.EOF):
			length = size
		default:
			return nil, size, io.ErrUnexpectedEOF
		}
	}
	if discard {
		return nil, size, nil
	}
	return buf, size, nil
}
