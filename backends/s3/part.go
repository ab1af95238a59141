package s3

import (
	"context"
	"hash/crc32"
	"io"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/pages"
)

const (
	// headSize is what an upload reads before it asks for memory of the budget: a record of TLS. So
	// who opens an upload and sends nothing takes nothing, and most small files never ask.
	headSize = 16 << 10
	// emptyReads is how often a reader may return nothing at all before it counts as broken.
	emptyReads = 100
)

// part is content on its way into the store: a head, or pages of the budget.
type part struct {
	head  []byte
	lease *pages.Lease
	size  int64
	crc   uint32
}

// bytes is how much the part can hold.
func (p *part) bytes() int64 {
	if p.lease == nil {
		return int64(len(p.head))
	}
	return p.lease.Bytes()
}

// at is what the part holds from offset on, up to the end of a page and to limit.
func (p *part) at(offset, limit int64) []byte {
	if p.lease == nil {
		return p.head[offset:limit]
	}
	page := p.lease.Page(int(offset / pages.Size))
	begin := offset % pages.Size
	return page[begin:min(pages.Size, begin+limit-offset)]
}

// write adds what fits.
func (p *part) write(b []byte) {
	for len(b) > 0 {
		n := copy(p.at(p.size, p.bytes()), b)
		p.wrote(n)
		b = b[n:]
	}
}

// wrote counts bytes that were put behind the others.
func (p *part) wrote(n int) {
	p.crc = crc32.Update(p.crc, crc32.IEEETable, p.at(p.size, p.size+int64(n)))
	p.size += int64(n)
}

func (p *part) release() {
	if p.lease != nil {
		p.lease.Release()
	}
}

// fill reads r into the part until it holds limit bytes or r ends; it says which.
func (u *upload) fill(p *part, limit int64) (ended bool, err error) {
	for empty := 0; p.size < limit; {
		if err := u.alive(); err != nil {
			return false, err
		}
		n, ended, err := u.read(p.at(p.size, limit))
		if n > 0 {
			p.wrote(n)
			empty = 0
		} else if empty++; empty == emptyReads && err == nil && !ended {
			err = backends.ReadError(u.ctx, io.ErrNoProgress)
		}
		if u.size += int64(n); u.options.MaxSize > 0 && u.size > u.options.MaxSize {
			return false, fault(backends.TooLarge, nil)
		}
		if ended || err != nil {
			return ended, err
		}
	}
	return false, nil
}

// read reads what the object has before the content, and then the content to its end.
func (u *upload) read(p []byte) (n int, ended bool, err error) {
	if u.before.offset < u.before.end {
		n, err = u.before.Read(p)
		return n, false, err
	}
	n, err = u.r.Read(p)
	switch {
	case err == io.EOF: //nolint:errorlint // one that wraps it is no end
		return n, true, nil
	case err != nil:
		err = backends.ReadError(u.ctx, err)
	}
	return n, false, err
}

// alive says why the upload cannot go on.
func (u *upload) alive() error {
	select {
	case f := <-u.folder:
		u.folder = nil
		if err := u.admitted(f); err != nil {
			return err
		}
	default:
	}
	if u.fenced.Load() {
		return fault(backends.Fenced, nil)
	}
	return backends.Alive(u.ctx)
}

// admit waits for the answer whether the key is a folder.
func (u *upload) admit() error {
	if u.folder == nil {
		return nil
	}
	f := <-u.folder
	u.folder = nil
	return u.admitted(f)
}

func (u *upload) admitted(f folderAnswer) error {
	if f.err == nil && f.exists {
		return fault(backends.IsDir, nil)
	}
	return f.err
}

// background is for what has to happen though ctx has ended.
func background(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }

// outliving is for what had better end by itself when ctx has ended, but not later than d after it.
func outliving(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-longer.Done():
		}
	})
	return longer, func() {
		stop()
		cancel()
	}
}
