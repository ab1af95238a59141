package bucket

import (
	"context"
	"maps"

	"github.com/sluice-ftp/sluice/backends"
)

// continues finds the object that an upload with an offset goes on from, and divides what stays of it:
// the store copies as much as it can, and what is too small for a part is read and sent again. A store
// that can join two objects has only the content sent, if all of the present one stays.
func (u *upload) continues(ctx context.Context) error {
	a, o := u.adapter, &u.options
	info, err := a.head(ctx, a.full(u.key))
	switch {
	case a.missing(err):
		if kind := backends.KindOf(a.isFolder(ctx, u.key, Fault(backends.BadOffset, err))); o.IfVersion == "" || kind == backends.IsDir {
			return Fault(kind, err)
		}
		return Fault(backends.Conflict, err)
	case err != nil:
		return err
	}
	switch {
	case o.IfAbsent:
		return Fault(backends.Exist, nil)
	case o.IfVersion != "" && o.IfVersion != info.Version:
		return Fault(backends.Conflict, nil)
	case o.Offset > info.Size:
		return Fault(backends.BadOffset, nil)
	case o.MaxSize > 0 && o.Offset > o.MaxSize:
		return Fault(backends.TooLarge, nil)
	}
	o.IfVersion, o.Resumable = info.Version, false // a copied part has no checksum to go on with
	metadata := maps.Clone(info.Metadata)
	delete(metadata, MetaModTime)
	maps.Copy(metadata, o.Metadata)
	o.Metadata = metadata

	u.present = info
	traits := a.store.Traits()
	if traits.Compose && o.Offset == info.Size && o.Offset >= traits.PartSize {
		u.prepareJoin()
		return nil
	}
	if u.tags, err = a.tags(ctx, info); err != nil {
		return err
	}
	u.copied = traits.pieces(o.Offset)
	if n := len(u.copied); n > 0 {
		u.size = u.copied[n-1].End
	}
	u.before = cursor{adapter: a, ctx: ctx, full: info.Name, version: info.Version, offset: u.size, end: o.Offset}
	return nil
}

// pieces divides the first n bytes of an object into those that can be copied as parts. What is left
// behind them is less than a part.
func (t Traits) pieces(n int64) []Span {
	var pieces []Span
	switch {
	case !t.CopyPieces:
	case t.Uniform:
		for begin := int64(0); begin+t.PartSize <= n; begin += t.PartSize {
			pieces = append(pieces, Span{begin, begin + t.PartSize})
		}
	case n < t.Smallest:
	default:
		for count := max(n/t.CopyPiece, 1); count > 0; count-- {
			begin := int64(0)
			if k := len(pieces); k > 0 {
				begin = pieces[k-1].End
			}
			pieces = append(pieces, Span{begin, begin + (n-begin)/count})
		}
	}
	return pieces
}
