package bucket

import (
	"io"

	"github.com/sluice-ftp/sluice/backends"
)

// emptyReads is how often a reader may return nothing at all before it counts as broken.
const emptyReads = 100

// fill reads r into the part until it holds limit bytes or r ends; it says which.
func (u *upload) fill(p *Part, limit int64) (ended bool, err error) {
	for empty := 0; p.size < limit; {
		if err := u.alive(); err != nil {
			return false, err
		}
		n, ended, err := u.read(p.At(p.size, limit))
		if n > 0 {
			p.wrote(n)
			empty = 0
		} else if empty++; empty == emptyReads && err == nil && !ended {
			err = backends.ReadError(u.ctx, io.ErrNoProgress)
		}
		if u.size += int64(n); u.options.MaxSize > 0 && u.joins+u.size > u.options.MaxSize {
			return false, Fault(backends.TooLarge, nil)
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
		return Fault(backends.Fenced, nil)
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
		return Fault(backends.IsDir, nil)
	}
	return f.err
}
