package bucket

import (
	"context"
	"path"
	"time"

	"github.com/sluice-ftp/sluice/backends"
)

// Hierarchy is what a Store has besides whose folders are things of their own, and not only what the
// names of objects say. Folders come into being with what is in them, and stay when it has gone. Names
// end with a slash.
type Hierarchy interface {
	// Folder says when a folder was last written. A missing one is NotExist.
	Folder(ctx context.Context, name string) (time.Time, error)
	// MakeFolder makes a folder, and those above it. One that is there is Exist.
	MakeFolder(ctx context.Context, name string) error
	// RemoveFolder removes an empty folder. Another one is NotEmpty, a missing one NotExist.
	RemoveFolder(ctx context.Context, name string) error
	// MoveFolder renames a folder with all that is in it, atomically. What is at to is Exist. again:
	// an attempt before may have succeeded.
	MoveFolder(ctx context.Context, from, to string, again bool) error
}

// statFolder says whether there is a folder.
func (a *Adapter) statFolder(ctx context.Context, p Patience, dir string) folderAnswer {
	var answer folderAnswer
	err := a.Retry(ctx, p, func(ctx context.Context) (err error) {
		answer.modTime, err = a.hierarchy.Folder(ctx, a.folder(dir))
		return err
	})
	answer.exists, answer.err = err == nil, a.ignoreMissing(err)
	return answer
}

// makeFolder makes a folder. That it is there already is an error, unless that may be our own doing.
func (a *Adapter) makeFolder(ctx context.Context, dir string) error {
	again := false
	return a.Retry(ctx, Asking, func(ctx context.Context) error {
		err := a.hierarchy.MakeFolder(ctx, a.folder(dir))
		if again && a.kind(err) == backends.Exist {
			return nil
		}
		again = true
		return err
	})
}

// removeFolder removes a folder and its placeholder, which others may have written.
func (a *Adapter) removeFolder(ctx context.Context, dir string, placeholder bool) error {
	if placeholder {
		if err := a.delete(ctx, a.folder(dir)); err != nil {
			return err
		}
	}
	return a.ignoreMissing(a.Retry(ctx, Asking, func(ctx context.Context) error {
		return a.hierarchy.RemoveFolder(ctx, a.folder(dir))
	}))
}

// rmdirEmpty removes a folder in which there is no object.
func (a *Adapter) rmdirEmpty(ctx context.Context, dir string) error {
	switch f := a.statFolder(ctx, Asking, dir); {
	case f.err != nil:
		return f.err
	case f.exists:
		return a.removeFolder(ctx, dir, false)
	}
	if _, err := a.head(ctx, a.full(dir)); err != nil {
		return err
	}
	return Fault(backends.NotDir, nil)
}

// moveFolder renames a folder at once.
func (a *Adapter) moveFolder(ctx context.Context, from, to string) error {
	if above := path.Dir(to); above != "." {
		if err := a.makeFolder(ctx, above); err != nil && a.kind(err) != backends.Exist {
			return err
		}
	}
	again := false
	return a.Retry(background(ctx), Duplicating, func(ctx context.Context) error {
		err := a.hierarchy.MoveFolder(ctx, a.folder(from), a.folder(to), again)
		again = true
		return err
	})
}
