package local

import (
	"bytes"
	"context"
	"io"

	"github.com/sluice-ftp/sluice/backends"
)

// emptyReads is how often a reader may return nothing at all before it counts as broken.
const emptyReads = 100

// fill writes to the content what r delivers until it ends. What r sends again of an upload that is
// gone on with is not written, but has to be what is there.
func (u *upload) fill(r io.Reader, o *backends.PutOptions) error {
	s := &sink{ctx: u.ctx, upload: u, bounded: o.MaxSize > 0, room: o.MaxSize - u.size, again: u.size - o.Offset}
	var err error
	if wt, ok := r.(io.WriterTo); ok {
		// It has a buffer of its own: one per transfer is enough.
		_, err = wt.WriteTo(s)
	} else {
		err = u.adapter.drain(u.ctx, s, r)
	}
	switch {
	case s.err != nil:
		// First, because a WriterTo may have made anything of it, even nothing.
		return s.err
	case err != nil:
		return backends.ReadError(u.ctx, err)
	case s.again > 0:
		return fault(backends.Conflict, backends.ErrDiffers)
	}
	return nil
}

// drain fills a whole buffer before it writes: TLS delivers 16 KiB at a time.
func (a *Adapter) drain(ctx context.Context, s *sink, r io.Reader) error {
	buf, release := a.buffer()
	defer release()
	for {
		n, err := fillBuffer(ctx, s, r, buf)
		if _, werr := s.Write(buf[:n]); werr != nil {
			return werr
		}
		if err == io.EOF { //nolint:errorlint // io.Reader's contract: the value itself
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func fillBuffer(ctx context.Context, s *sink, r io.Reader, buf []byte) (n int, err error) {
	for empty := 0; n < len(buf) && err == nil; {
		if ctx.Err() != nil || s.over(n) {
			break // Write says so.
		}
		var m int
		m, err = r.Read(buf[n:])
		n += m
		if m > 0 {
			empty = 0
		} else if empty++; empty == emptyReads && err == nil {
			err = io.ErrNoProgress
		}
	}
	return n, err
}

// sink is where content goes. It has Write and nothing else: *os.File's ReadFrom would copy by
// 32 KiB from whatever is not a file. Its first error stays.
type sink struct {
	ctx     context.Context //nolint:containedctx // io.Writer has no room for it; it lives for one call
	upload  *upload
	bounded bool
	room    int64
	// again are the last bytes of the content that still have to come once more.
	again int64
	err   error
}

// over: so many bytes are more than there is room for.
func (s *sink) over(n int) bool { return s.bounded && int64(n) > s.again+s.room }

func (s *sink) Write(p []byte) (int, error) {
	switch {
	case s.err != nil:
	case s.over(len(p)):
		s.err = fault(backends.TooLarge, nil)
	default:
		s.err = backends.Alive(s.ctx)
	}
	var n int
	if s.err == nil && s.again > 0 {
		n, s.err = s.compare(p[:min(int64(len(p)), s.again)])
	}
	if s.err != nil {
		return n, s.err
	}
	m, err := s.upload.content.Write(p[n:])
	s.room -= int64(m)
	if s.err = err; err == nil {
		s.err = s.upload.wrote(m)
	}
	return n + m, s.err
}

// compare holds what comes once more against the content.
func (s *sink) compare(p []byte) (n int, err error) {
	buf, release := s.upload.adapter.buffer()
	defer release()
	for n < len(p) {
		b := buf[:min(len(buf), len(p)-n)]
		if _, err := s.upload.content.ReadAt(b, s.upload.size-s.again); err != nil {
			return n, err
		}
		if !bytes.Equal(b, p[n:n+len(b)]) {
			return n, fault(backends.Conflict, backends.ErrDiffers)
		}
		n += len(b)
		s.again -= int64(len(b))
	}
	return n, nil
}
