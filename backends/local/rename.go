package local

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sluice-ftp/sluice/backends"
)

// Rename implements backends.CloudStorageAdapter: one step of the file system, for a folder too.
// Of a link it moves the link. A folder does not replace an object: NotDir.
func (a *Adapter) Rename(ctx context.Context, from, to string, o backends.RenameOptions) error {
	return translate("rename", from, a.rename(ctx, from, to, o))
}

func (a *Adapter) rename(ctx context.Context, from, to string, o backends.RenameOptions) error {
	if err := begin(ctx, from); err != nil {
		return err
	}
	if err := check(to); err != nil {
		return toward(to, err)
	}
	if from == "" {
		return fault(backends.Permission, errRoot)
	}
	src, name, err := a.parent(from)
	if err != nil {
		return err
	}
	defer src.Close()
	st, err := a.look(src, name)
	if err != nil {
		return err
	}
	if isDir(&st) && strings.HasPrefix(to, from+"/") {
		return toward(to, fault(backends.InvalidName, nil))
	}
	return again(func() error { return a.renameTo(src, name, to, o.IfAbsent) })
}

func (a *Adapter) renameTo(src *folder, name, to string, ifAbsent bool) error {
	dst, newName, err := a.makeParent(to)
	if err != nil {
		return toward(to, err)
	}
	defer dst.Close()

	m := move{src, name, dst, newName}
	unlock := a.locks.lock2(join(src.key, name), to)
	err = a.move(m, to, ifAbsent)
	unlock()
	if err != nil {
		a.unmake(dst.made)
		return err
	}
	if err := a.syncFolder(dst); err != nil || src.id == dst.id {
		return toward(to, err)
	}
	return a.syncFolder(src)
}

// move is a name in one folder and the one that it is to have in another.
type move struct {
	src     *folder
	name    string
	dst     *folder
	newName string
}

func (a *Adapter) move(m move, to string, ifAbsent bool) error {
	from, err := a.look(m.src, m.name)
	if err != nil {
		return err
	}
	return toward(to, a.replace(m, isDir(&from), ifAbsent))
}

// replace is move, once it is known whether a folder is moved. Its errors are about the target, apart
// from the system's own about the rename, which may be about either.
func (a *Adapter) replace(m move, folder, ifAbsent bool) error {
	to, err := a.look(m.dst, m.newName)
	there := err == nil
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case there && (isDir(&to) || ifAbsent):
		return fault(backends.Exist, nil)
	case there && folder:
		return fault(backends.NotDir, nil)
	case folder || ifAbsent:
		// A plain rename would replace an empty folder that came into being this moment.
		return renameNoReplace(m.src, m.name, m.dst, m.newName)
	}
	err = rename(m.src, m.name, m.dst, m.newName)
	if errors.Is(err, unix.EISDIR) {
		return fault(backends.Exist, err)
	}
	return err
}

func rename(from *folder, name string, to *folder, newName string) error {
	return eintr(func() error { return unix.Renameat(from.fd(), name, to.fd(), newName) })
}

// renameByLink is renameNoReplace for file systems that cannot do it in one step. A crash in
// between leaves a file under both names, whole, or an empty folder.
func renameByLink(from *folder, name string, to *folder, newName string) error {
	st, err := statAt(from.fd(), name)
	if err != nil {
		return err
	}
	if isDir(&st) {
		// mkdir is what fails if the name is taken; the rename then replaces our empty folder.
		if err := unix.Mkdirat(to.fd(), newName, folderMode); err != nil {
			return err
		}
		if err := rename(from, name, to, newName); err != nil {
			_ = unix.Unlinkat(to.fd(), newName, unix.AT_REMOVEDIR)
			return err
		}
		return nil
	}
	if err := unix.Linkat(from.fd(), name, to.fd(), newName, 0); err != nil {
		return err
	}
	if err := unix.Unlinkat(from.fd(), name, 0); err != nil {
		_ = unix.Unlinkat(to.fd(), newName, 0)
		return err
	}
	return nil
}
