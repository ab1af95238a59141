package local

import (
	"errors"
	"io/fs"
	"os"
	"slices"

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
	// made are the keys of the folders that makeParent made to get here, from the top down.
	made []string
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

// nearest is parent for a key that is going to be there, before it is. If its folder is missing too,
// it opens the one above in which that would be made, and there is no name.
func (a *Adapter) nearest(key string) (*folder, string, error) {
	f, name, err := a.parent(key)
	dir, _ := split(key)
	for dir != "" && errors.Is(err, fs.ErrNotExist) {
		name = ""
		f, _, err = a.parent(dir)
		dir, _ = split(dir)
	}
	return f, name, err
}

// makeParent is parent for a key that is going to be there: missing folders come into being. If what
// they are made for fails, unmake is to be called.
func (a *Adapter) makeParent(key string) (*folder, string, error) {
	f, name, err := a.parent(key)
	dir, _ := split(key)
	if dir == "" || !errors.Is(err, fs.ErrNotExist) {
		return f, name, err
	}
	made, err := a.makeFolder(dir)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, "", err
	}
	f, name, err = a.parent(key)
	if err != nil {
		a.unmake(made)
		return nil, "", err
	}
	f.made = made
	return f, name, nil
}

// makeFolder makes dir and what is missing above it, and returns their keys.
func (a *Adapter) makeFolder(dir string) ([]string, error) {
	f, name, err := a.makeParent(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	made := f.made
	err = eintr(func() error { return unix.Mkdirat(f.fd(), name, folderMode) })
	if err == nil {
		made = append(made, dir)
		err = a.syncFolder(f)
	}
	if err != nil {
		a.unmake(made)
		return nil, err
	}
	return made, nil
}

// unmake removes the folders that were made for what then failed, as far as they are still empty.
// Whoever has begun to use one meanwhile makes it again, see again.
func (a *Adapter) unmake(made []string) {
	for _, dir := range slices.Backward(made) {
		f, name, err := a.parent(dir)
		if err != nil {
			return
		}
		err = unix.Unlinkat(f.fd(), name, unix.AT_REMOVEDIR)
		_ = f.Close()
		if err != nil {
			return
		}
	}
}

// again tries up to three times what opens or makes a folder and then uses it, because the folder
// may be removed between the two.
func again(call func() error) error {
	for try := 1; ; try++ {
		err := call()
		if try == 3 || !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
}

// look describes what is at name in f, following a link as far as the root reaches. What is neither
// file nor folder is refused: to open a FIFO may wait for ever, a device may do anything.
func (a *Adapter) look(f *folder, name string) (unix.Stat_t, error) {
	st, err := a.lookAt(f, name)
	if err == nil && kindOf(&st) == unix.S_IFLNK {
		st, err = a.follow(join(f.key, name))
	}
	if err == nil && !isDir(&st) && kindOf(&st) != unix.S_IFREG {
		err = fault(backends.Permission, errSpecial)
	}
	return st, err
}

// lookAt describes the entry of f itself, be it a link. On a file system that takes .SLUICE for
// .sluice the private folder has names which CheckKey lets pass.
func (a *Adapter) lookAt(f *folder, name string) (unix.Stat_t, error) {
	st, err := statAt(f.fd(), name)
	if err == nil && a.isHidden(inodeOf(&st)) {
		err = fault(backends.InvalidName, errHidden)
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

func (a *Adapter) isHidden(id inode) bool {
	return id == a.hidden[0] || id == a.hidden[1] || id == a.hidden[2]
}

// access asks the system whether this process may do to f what mode says. It may for root, mostly.
func access(f *folder, mode uint32) error {
	return eintr(func() error { return unix.Faccessat(f.fd(), ".", mode, unix.AT_EACCESS) })
}

func (a *Adapter) syncFolder(f *folder) error { return syncNames(f, a.sync) }

// syncNames makes the names in f durable. A file system that cannot do so for folders (EINVAL) has
// no better way either.
func syncNames(f *folder, sync func(*os.File) error) error {
	err := sync(f.File)
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
