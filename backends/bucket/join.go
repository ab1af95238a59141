package bucket

import (
	"context"

	"github.com/sluice-ftp/sluice/backends"
)

// An upload that goes on from the end of an object, on a store that can join two: what is new is
// written below .sluice/, joined to the object if that is still the version which was found, and
// removed.

// prepareJoin has what is new written as an object of its own.
func (u *upload) prepareJoin() {
	options := u.options
	u.joined = &options
	u.name = u.adapter.private("appends/" + u.token)
	u.options = backends.PutOptions{ContentType: u.present.ContentType, MaxSize: options.MaxSize}
	u.joins, u.class = options.Offset, u.present.Class
}

// join writes what is new and joins it to the present object.
func (u *upload) join() (backends.Object, error) {
	a, present := u.adapter, u.present
	u.present = nil // for its description is not that of what is new
	added, err := u.run()
	if err != nil {
		return backends.Object{}, err
	}
	piece := &Info{Name: u.name, Size: added.Size, Version: added.Version}
	defer func() {
		if err := a.deleteVersion(background(u.ctx), piece.Name, piece.Version); err != nil {
			a.Log.Warn("what was joined to an object was not removed; it will be tried again", "key", u.key, "err", err)
		}
	}()
	u.name, u.options, u.present = a.full(u.key), *u.joined, present
	if added.Size == 0 && u.options.ModTime.IsZero() {
		return present.object(u.key), nil
	}
	if err := backends.Alive(u.ctx); err != nil { // from here on there is no way back
		return backends.Object{}, err
	}
	u.size = present.Size + added.Size
	o := u.newObject()
	version, err := u.publish(Finishing, func(ctx context.Context) (string, error) {
		return a.store.Compose(ctx, o, present, piece)
	})
	if err != nil {
		return backends.Object{}, err
	}
	return u.object(version), nil
}
