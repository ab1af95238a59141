package local

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/sluice-ftp/sluice/backends"
)

// inode names a file whatever its path.
type inode struct{ dev, ino uint64 }

// folder is an open folder. What is done to a name in it goes through its descriptor, so that
// nobody can swap a link into the path between a check and the deed.
type folder struct {
	*os.File
	key string
	id  inode
}

func (f *folder) fd() int { return int(f.Fd()) }

// openFolder opens dir as far as the root reaches, and never the private folders by way of a link.
func (a *Adapter) openFolder(dir string) (*folder, error) {
	name := dir
	if dir == "" {
		name = "."
	}
	// O_NONBLOCK also spares os the attempt to make the descriptor so, five system calls.
	file, err := a.root.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	f := &folder{File: file, key: dir}
	st, err := fstat(file)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	f.id = inodeOf(&st)
	if a.isHidden(f.id) {
		_ = f.Close()
		return nil, fault(backends.Permission, errHidden)
	}
	return f, nil
}

// parent opens the folder that holds key and returns key's name in it.
func (a *Adapter) parent(key string) (*folder, string, error) {
	dir, name := split(key)
	f, err := a.openFolder(dir)
	if err != nil {
		return nil, "", err
	}
	if name == backends.Private && f.id == a.top {
		_ = f.Close()
		return nil, "", fault(backends.Permission, errHidden)
	}
	return f, name, nil
}

// makeParent is parent for a key that is going to be there: missing folders come into being.
func (a *Adapter) makeParent(key string) (*folder, string, error) {
	f, name, err := a.parent(key)
	dir, _ := split(key)
	if dir == "" || !errors.Is(err, fs.ErrNotExist) {
		return f, name, err
	}
	if err := a.makeFolder(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, "", err
	}
	return a.parent(key)
}

// makeFolder makes dir and what is missing above it.
func (a *Adapter) makeFolder(dir string) error {
	f, name, err := a.makeParent(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := eintr(func() error { return unix.Mkdirat(f.fd(), name, folderMode) }); err != nil {
		return err
	}
	return a.syncFolder(f)
}

// look describes what is at name in f, following a link as far as the root reaches. What is neither
// file nor folder is refused: to open a FIFO may wait for ever, a device may do anything.
func (a *Adapter) look(f *folder, name string) (unix.Stat_t, error) {
	st, err := statAt(f.fd(), name)
	if err == nil && kindOf(&st) == unix.S_IFLNK {
		st, err = a.follow(join(f.key, name))
	}
	if err == nil && !isDir(&st) && kindOf(&st) != unix.S_IFREG {
		err = fault(backends.Permission, errSpecial)
	}
	return st, err
}

// follow describes what the link at key leads to.
func (a *Adapter) follow(key string) (unix.Stat_t, error) {
	f, err := a.root.OpenFile(key, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return unix.Stat_t{}, err
	}
	defer f.Close()
	st, err := fstat(f)
	if err == nil && a.isHidden(inodeOf(&st)) {
		err = fault(backends.Permission, errHidden)
	}
	return st, err
}

func (a *Adapter) isHidden(id inode) bool { return id == a.hidden[0] || id == a.hidden[1] }

// syncFolder makes the names in f durable. A file system that cannot do so for folders (EINVAL) has
// no better way either.
func (a *Adapter) syncFolder(f *folder) error {
	err := a.sync(f.File)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	return err
}

func statAt(dir int, name string) (st unix.Stat_t, err error) {
	err = eintr(func() error { return unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	return st, err
}

func fstat(f *os.File) (st unix.Stat_t, err error) {
	err = eintr(func() error { return unix.Fstat(int(f.Fd()), &st) })
	return st, err
}

func inodeOf(st *unix.Stat_t) inode { return inode{uint64(st.Dev), st.Ino} }

func kindOf(st *unix.Stat_t) uint32 { return uint32(st.Mode) & unix.S_IFMT }

func isDir(st *unix.Stat_t) bool { return kindOf(st) == unix.S_IFDIR }

// eintr repeats a system call that a signal interrupted, which happens on network file systems.
func eintr(call func() error) error {
	for {
		if err := call(); err != unix.EINTR { //nolint:errorlint // a bare errno
			return err
		}
	}
}
