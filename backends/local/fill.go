package local

import (
	"context"
	"io"
	"os"

	"github.com/sluice-ftp/sluice/backends"
)

// emptyReads is how often a reader may return nothing at all before it counts as broken.
const emptyReads = 100

// fill writes to t what r delivers until it ends.
func (a *Adapter) fill(ctx context.Context, t *temporary, r io.Reader, o backends.PutOptions) error {
	s := &sink{ctx: ctx, file: t.File, bounded: o.MaxSize > 0, room: o.MaxSize - o.Offset}
	var err error
	if wt, ok := r.(io.WriterTo); ok {
		// It has a buffer of its own: one per transfer is enough.
		_, err = wt.WriteTo(s)
	} else {
		err = a.drain(ctx, s, r)
	}
	switch {
	case s.err != nil:
		// First, because a WriterTo may have made anything of it, even nothing.
		return s.err
	case err != nil:
		return backends.ReadError(ctx, err)
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
	file    *os.File
	bounded bool
	room    int64
	err     error
}

func (s *sink) over(n int) bool { return s.bounded && int64(n) > s.room }

func (s *sink) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.over(len(p)) {
		s.err = fault(backends.TooLarge, nil)
		return 0, s.err
	}
	if s.err = backends.Alive(s.ctx); s.err != nil {
		return 0, s.err
	}
	n, err := s.file.Write(p)
	s.room -= int64(n)
	s.err = err
	return n, err
}
