package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// replace puts a file with that content, and the owner and mode of the old one, in the place of l, if
// verify takes it. There is the old file or the new one, also after a power cut.
func (l *lockedFile) replace(content []byte, verify func(path string) error) error {
	dir := filepath.Dir(l.path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(l.path)+"-*")
	if err != nil {
		return hint{error: err, todo: mendFolder(dir, err)}
	}
	err = errors.Join(l.fill(f, content), f.Close())
	if err == nil {
		err = verify(f.Name())
	}
	if err == nil {
		if err = os.Rename(f.Name(), l.path); err != nil {
			err = hint{error: err, todo: mendFolder(dir, err)}
		}
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	if err := syncFolder(dir); err != nil {
		return fmt.Errorf("%s was replaced, but may be the old one again after a power cut: %w", l.path, err)
	}
	return nil
}

func (l *lockedFile) fill(f *os.File, content []byte) error {
	if err := l.likeness(f); err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		return err
	}
	return f.Sync()
}

// likeness gives f the owner and mode of l. Under another owner a gateway could not read it any more.
func (l *lockedFile) likeness(f *os.File) error {
	old, err := l.Stat()
	if err != nil {
		return err
	}
	now, err := f.Stat()
	if err != nil {
		return err
	}
	is, _ := now.Sys().(*syscall.Stat_t)
	want, _ := old.Sys().(*syscall.Stat_t)
	if is.Uid != want.Uid || is.Gid != want.Gid {
		if err := f.Chown(int(want.Uid), int(want.Gid)); err != nil {
			return hint{
				error: fmt.Errorf("%s belongs to user %d and group %d, and so it has to stay: %w", l.path, want.Uid, want.Gid, err),
				todo:  fmt.Sprintf("run this as user %d or as root", want.Uid),
			}
		}
	}
	return f.Chmod(old.Mode().Perm())
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); !errors.Is(err, unix.EINVAL) { // some file systems cannot, and need not
		return err
	}
	return nil
}

// mendFolder says what to do about a folder that takes no new file, "" if err does not tell.
func mendFolder(dir string, err error) string {
	switch {
	case errors.Is(err, unix.EROFS), errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("user %d, who runs this, cannot write to %s: run it as a user who can; "+
			"a file from a Kubernetes Secret or ConfigMap is changed there", os.Geteuid(), dir)
	case errors.Is(err, unix.EBUSY):
		return "it is mounted by itself and cannot be replaced here: mount its folder, or change it where it comes from"
	case errors.Is(err, fs.ErrNotExist):
		return "the folder does not exist: make it, or correct the path"
	}
	return ""
}
