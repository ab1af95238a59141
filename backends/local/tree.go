package local

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/sluice-ftp/sluice/backends"
)

// Remove implements backends.CloudStorageAdapter. Of a link it removes the link.
func (a *Adapter) Remove(ctx context.Context, key string) error {
	return translate("remove", key, a.remove(ctx, key))
}

func (a *Adapter) remove(ctx context.Context, key string) error {
	if err := begin(ctx, key); err != nil {
		return err
	}
	if key == "" {
		return fault(backends.IsDir, errRoot)
	}
	return a.unlink(key, 0)
}

// Rmdir implements backends.CloudStorageAdapter. A folder with nothing in it but what List does not
// show is not empty.
func (a *Adapter) Rmdir(ctx context.Context, dir string) error {
	return translate("rmdir", dir, a.rmdir(ctx, dir))
}

func (a *Adapter) rmdir(ctx context.Context, dir string) error {
	if err := begin(ctx, dir); err != nil {
		return err
	}
	if dir == "" {
		return fault(backends.Permission, errRoot)
	}
	err := a.unlink(dir, unix.AT_REMOVEDIR)
	if errors.Is(err, unix.EEXIST) { // what POSIX allows instead
		return unix.ENOTEMPTY
	}
	return err
}

func (a *Adapter) unlink(key string, flags int) error {
	f, name, err := a.parent(key)
	if err != nil {
		return err
	}
	defer f.Close()
	unlock := a.locks.lock(key)
	err = a.unlinkAt(f, name, flags)
	unlock()
	if err != nil {
		return err
	}
	return a.syncFolder(f)
}

func (a *Adapter) unlinkAt(f *folder, name string, flags int) error {
	st, err := a.lookAt(f, name)
	switch {
	case err != nil:
		return err
	case isDir(&st) && flags == 0:
		return fault(backends.IsDir, nil)
	case !isDir(&st) && kindOf(&st) != unix.S_IFREG && kindOf(&st) != unix.S_IFLNK:
		return fault(backends.Permission, errSpecial)
	}
	return eintr(func() error { return unix.Unlinkat(f.fd(), name, flags) })
}

// Mkdir implements backends.CloudStorageAdapter.
func (a *Adapter) Mkdir(ctx context.Context, dir string) error {
	return translate("mkdir", dir, a.mkdir(ctx, dir))
}

func (a *Adapter) mkdir(ctx context.Context, dir string) error {
	if err := begin(ctx, dir); err != nil {
		return err
	}
	if dir == "" {
		return fault(backends.Exist, errRoot)
	}
	return again(func() error {
		_, err := a.makeFolder(dir)
		return err
	})
}
