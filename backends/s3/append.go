package s3

import (
	"context"
	"maps"

	"github.com/sluice-ftp/sluice/backends"
)

// continues finds the object that an upload with an offset goes on from, and divides what stays of it:
// the store copies as much as it can, and what is too small for a part is read and sent again.
func (u *upload) continues(ctx context.Context) error {
	a, o := u.adapter, &u.options
	head, err := a.head(ctx, u.key)
	switch {
	case isMissing(err):
		if kind := backends.KindOf(a.isFolder(ctx, u.key, fault(backends.BadOffset, err))); o.IfVersion == "" || kind == backends.IsDir {
			return fault(kind, err)
		}
		return fault(backends.Conflict, err)
	case err != nil:
		return err
	}
	present := object(u.key, head)
	switch {
	case o.IfAbsent:
		return fault(backends.Exist, nil)
	case o.IfVersion != "" && o.IfVersion != present.Version:
		return fault(backends.Conflict, nil)
	case o.Offset > present.Size:
		return fault(backends.BadOffset, nil)
	case o.MaxSize > 0 && o.Offset > o.MaxSize:
		return fault(backends.TooLarge, nil)
	}
	o.IfVersion, o.Resumable = present.Version, false // a copied part has no checksum to go on with
	metadata := maps.Clone(head.Metadata)
	delete(metadata, metaModTime)
	maps.Copy(metadata, o.Metadata)
	o.Metadata = metadata

	u.present = &objectCopy{adapter: a, from: present, head: head, to: u.key}
	if u.tags, err = u.present.tags(ctx); err != nil {
		return err
	}
	u.copied = a.pieces(o.Offset)
	if n := len(u.copied); n > 0 {
		u.size = u.copied[n-1].end
	}
	u.before = cursor{adapter: a, ctx: ctx, full: a.full(u.key), version: present.Version, offset: u.size, end: o.Offset}
	return nil
}

// pieces divides the first n bytes of an object into those that can be copied as parts. What is left
// behind them is less than a part.
func (a *Adapter) pieces(n int64) []span {
	var pieces []span
	if a.Profile.UniformParts {
		for begin := int64(0); begin+a.partSize <= n; begin += a.partSize {
			pieces = append(pieces, span{begin, begin + a.partSize})
		}
		return pieces
	}
	if n < a.smallest {
		return nil
	}
	for count := max(n/a.copyPart, 1); count > 0; count-- {
		begin := int64(0)
		if k := len(pieces); k > 0 {
			begin = pieces[k-1].end
		}
		pieces = append(pieces, span{begin, begin + (n-begin)/count})
	}
	return pieces
}
