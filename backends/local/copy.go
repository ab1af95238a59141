package local

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/sluice-ftp/sluice/backends"
)

// Copy implements backends.CloudStorageAdapter, inside the kernel.
func (a *Adapter) Copy(ctx context.Context, from, to string, o backends.CopyOptions) (backends.Object, error) {
	obj, err := a.copy(ctx, from, to, o)
	return obj, translate("copy", from, err)
}

func (a *Adapter) copy(ctx context.Context, from, to string, o backends.CopyOptions) (backends.Object, error) {
	var none backends.Object
	if err := begin(ctx, from); err != nil {
		return none, err
	}
	if err := check(to); err != nil {
		return none, toward(to, err)
	}
	src, st, err := a.openObject(from)
	if err != nil {
		return none, err
	}
	defer src.Close()
	c := condition{ifAbsent: o.IfAbsent}
	if _, err := a.admit(to, c); err != nil {
		return none, toward(to, err)
	}
	t, err := a.create()
	if err != nil {
		return none, err
	}
	defer t.discard()
	if err := clone(ctx, t.File, src, st.Size); err != nil {
		return none, err
	}
	obj, err := a.publish(ctx, t, to, time.Unix(st.Mtim.Unix()), c)
	return obj, toward(to, err)
}

// copyPart is how much clone copies between two looks at the context.
const copyPart = 64 << 20

// clone puts the first n bytes of src into dst, by sharing blocks or else inside the kernel.
func clone(ctx context.Context, dst, src *os.File, n int64) error {
	if reflink(dst, src) == nil {
		return cut(dst, n)
	}
	for n > 0 {
		if err := backends.Alive(ctx); err != nil {
			return err
		}
		// Between two *os.File this is copy_file_range, or a plain copy where that cannot be.
		m, err := io.CopyN(dst, src, min(n, copyPart))
		if errors.Is(err, io.EOF) {
			return fault(backends.Conflict, io.ErrUnexpectedEOF)
		}
		if err != nil {
			return err
		}
		n -= m
	}
	return nil
}

// cut ends a clone after n bytes. The source may have been made shorter after it was looked at: to
// truncate would then fill up with zeros.
func cut(dst *os.File, n int64) error {
	st, err := fstat(dst)
	if err != nil {
		return err
	}
	if st.Size < n {
		return fault(backends.Conflict, io.ErrUnexpectedEOF)
	}
	if err := dst.Truncate(n); err != nil {
		return err
	}
	_, err = dst.Seek(n, io.SeekStart)
	return err
}
