package bucket

import (
	"context"
	"strings"

	"github.com/sluice-ftp/sluice/backends"
)

// Rename implements backends.CloudStorageAdapter. An object is copied and then removed. For a folder
// an intent is written first, which another process carries out to its end if this one dies: readers
// see the old tree, or both, or the new one, and never neither.
func (a *Adapter) Rename(ctx context.Context, from, to string, o backends.RenameOptions) error {
	return a.Translate("rename", from, a.rename(ctx, from, to, o))
}

func (a *Adapter) rename(ctx context.Context, from, to string, o backends.RenameOptions) error {
	if err := a.begin(ctx, from, to); err != nil {
		return err
	}
	switch {
	case o.IfAbsent && !a.Capabilities().IfAbsent:
		return Fault(backends.Unsupported, nil)
	case from == "":
		return Fault(backends.Permission, errRoot)
	case to == "":
		return Fault(backends.Exist, errRoot)
	}
	src, err := a.stat(ctx, from)
	if err != nil {
		return err
	}
	if src.Dir && (to == from || strings.HasPrefix(to, from+"/")) {
		return Fault(backends.InvalidName, nil)
	}
	dst, err := a.stat(ctx, to)
	switch {
	case err != nil && !a.missing(err):
		return err
	case err == nil && (dst.Dir || src.Dir || o.IfAbsent):
		return Fault(backends.Exist, nil)
	case src.Dir && a.hierarchy != nil:
		return a.moveFolder(ctx, from, to)
	case src.Dir:
		return a.renameFolder(ctx, from, to)
	case from == to:
		return nil
	}
	return a.renameObject(ctx, from, to, o.IfAbsent)
}

func (a *Adapter) renameObject(ctx context.Context, from, to string, ifAbsent bool) error {
	info, err := a.head(ctx, a.full(from))
	if err != nil {
		return err
	}
	if a.store.Traits().Move {
		err = a.moveObject(ctx, info, a.full(to), ifAbsent)
		if a.kind(err) != backends.Unsupported {
			return err
		}
	}
	if _, err := a.copyObject(ctx, info, a.full(to), ifAbsent); err != nil {
		return err
	}
	// Both are there: to end with one of them is all that is left to do, also for who has gone.
	ctx = background(ctx)
	return a.leave(ctx, a.full(from), func(ctx context.Context) error {
		return a.deleteVersion(ctx, a.full(from), info.Version)
	})
}

// moveObject renames an object by one request. Its token, which goes along, tells after a lost answer whether
// it has arrived; without one that could not be told, and it is Unsupported.
func (a *Adapter) moveObject(ctx context.Context, info *Info, to string, ifAbsent bool) error {
	token := info.Metadata[MetaToken]
	if token == "" {
		return Fault(backends.Unsupported, nil)
	}
	c := &Copying{From: info, To: to, IfAbsent: ifAbsent}
	w := &writing{adapter: a, full: to, token: token, size: info.Size, ifAbsent: ifAbsent, Patience: Asking}
	w.do = func(ctx context.Context) (string, error) { return a.store.Move(ctx, c) }
	var version string
	err := a.leave(ctx, info.Name, func(ctx context.Context) (err error) {
		if version, err = w.publish(ctx); err == nil && w.doubt {
			err = a.hasGone(background(ctx), info)
		}
		return err
	})
	if err != nil || info.Metadata[MetaModTime] != "" {
		return err
	}
	// The store gives it a new time. A failure now is no reason to say that it is not there.
	made := &Info{Name: to, Version: version}
	err = a.Retry(background(ctx), Asking, func(ctx context.Context) error {
		return a.store.SetMetadata(ctx, made, map[string]string{MetaModTime: FormatModTime(info.ModTime())})
	})
	if err != nil {
		a.Log.Warn("an object that was renamed has a new time", "name", to, "err", err)
	}
	return nil
}

// hasGone is nil if an object of which a copy with the same token was found is not there any more. Others
// can make such copies, and then nothing was renamed: Unsupported.
func (a *Adapter) hasGone(ctx context.Context, info *Info) error {
	there, err := a.head(ctx, info.Name)
	if err == nil && there.Version == info.Version {
		return Fault(backends.Unsupported, nil)
	}
	return a.ignoreMissing(err)
}
