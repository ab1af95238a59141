package local

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/sluice-ftp/sluice/backends"
)

// Open implements backends.CloudStorageAdapter. An open file is the version that it was opened as,
// whatever is renamed over its name.
func (a *Adapter) Open(ctx context.Context, key string, o backends.OpenOptions) (backends.Reader, error) {
	r, err := a.open(ctx, key, o)
	if err != nil {
		return nil, translate("open", key, err)
	}
	return r, nil
}

func (a *Adapter) open(ctx context.Context, key string, o backends.OpenOptions) (*reader, error) {
	if err := begin(ctx, key); err != nil {
		return nil, err
	}
	f, st, err := a.openObject(key)
	if err != nil {
		return nil, err
	}
	r := &reader{file: f, object: object(key, &st), left: st.Size - o.Offset, adapter: a}
	switch {
	case o.IfVersion != "" && o.IfVersion != r.object.Version:
		err = fault(backends.Conflict, nil)
	case o.Offset < 0 || r.left < 0:
		err = fault(backends.BadOffset, nil)
	case o.Offset > 0:
		_, err = f.Seek(o.Offset, io.SeekStart)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return r, nil
}

// openObject opens the file at key for reading. It never waits, as the opening of a FIFO would, and
// has no side effect on a device: what is no file is found out before, and again after.
func (a *Adapter) openObject(key string) (*os.File, unix.Stat_t, error) {
	dir, name, err := a.parent(key)
	if err != nil {
		return nil, unix.Stat_t{}, err
	}
	defer dir.Close()
	st, err := a.look(dir, name)
	if err == nil && isDir(&st) {
		err = fault(backends.IsDir, nil)
	}
	if err != nil {
		return nil, st, err
	}
	f, err := a.openFile(dir, name, key)
	if err != nil {
		return nil, st, err
	}
	if st, err = fstat(f); err == nil && kindOf(&st) != unix.S_IFREG {
		err = fault(backends.Permission, errSpecial)
	}
	if err != nil {
		_ = f.Close()
		return nil, st, err
	}
	return f, st, nil
}

func (a *Adapter) openFile(dir *folder, name, key string) (*os.File, error) {
	fd, err := openAt(dir, name, unix.O_RDONLY, 0)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.EMLINK) { // a link, on Linux and on BSD
		return a.root.OpenFile(key, os.O_RDONLY|unix.O_NONBLOCK, 0)
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), key), nil
}

// reader delivers exactly the bytes that the object had when it was opened. A program that writes
// to the file in place can make it shorter, which is an error and never a short success, or longer,
// which is not this version's business.
type reader struct {
	file    *os.File
	object  backends.Object
	left    int64
	adapter *Adapter
}

func (r *reader) Object() backends.Object { return r.object }

func (r *reader) Close() error { return translate("close", r.object.Key, r.file.Close()) }

func (r *reader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > r.left {
		p = p[:r.left]
	}
	n, err := r.file.Read(p)
	r.left -= int64(n)
	if err == io.EOF { //nolint:errorlint // io.Reader's contract: the value itself
		err = fault(backends.Conflict, io.ErrUnexpectedEOF)
	}
	return n, translate("read", r.object.Key, err)
}

// WriteTo uses plain reads and writes: w is a TLS connection most of the time, for which sendfile
// is no use. What w says is returned as it is.
func (r *reader) WriteTo(w io.Writer) (int64, error) {
	buf, release := r.adapter.buffer()
	defer release()
	var sum int64
	for {
		n, err := r.Read(buf)
		if n > 0 {
			m, werr := w.Write(buf[:n])
			sum += int64(m)
			if werr != nil {
				return sum, werr
			}
			if m < n {
				return sum, io.ErrShortWrite
			}
		}
		if err == io.EOF { //nolint:errorlint // Read's own
			return sum, nil
		}
		if err != nil {
			return sum, err
		}
	}
}
