// Package local stores objects as plain files below one folder of a POSIX file system.
//
// A key is a path below that folder, confined by os.Root: no link leads out of it. New content is
// written to a temporary file in .sluice/tmp and moved over its name when it is whole. Whatever else
// works on the folder (cron jobs, an NFS client, a second gateway) sees ordinary files.
package local

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"os"
	"path"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/sluice-ftp/sluice/backends"
)

// Fsync says when a change is on the disk and not just in the system's memory.
type Fsync string

// The choices; "" is FsyncAlways.
const (
	// FsyncAlways: before a method returns nil. A power cut loses nothing that was answered.
	FsyncAlways Fsync = "always"
	// FsyncNever: when the system likes. Faster for small files; a power cut may lose the last
	// half minute, and an object published in it may come back empty.
	FsyncNever Fsync = "never"
)

// Config says where the objects are and how they are written.
type Config struct {
	// Root is the folder. It has to exist and to be one file system.
	Root string
	// Fsync trades durability for speed.
	Fsync Fsync
	// BufferSize is the size in bytes of one transfer's buffer; 0 is 256 KiB.
	BufferSize int
}

const (
	defaultBuffer = 256 << 10
	tmpFolder     = backends.Private + "/tmp"

	fileMode    = 0o644
	folderMode  = 0o755
	privateMode = 0o700
)

// Adapter is a folder as a store.
type Adapter struct {
	root *os.Root
	// tmp is .sluice/tmp, opened once: every Put makes a file in it and moves it out again.
	tmp *folder
	// top and hidden recognise the root and the private folders whatever links led to them.
	top    inode
	hidden [2]inode

	// sync makes a file or a folder durable, or does nothing.
	sync    func(*os.File) error
	buffers sync.Pool
	locks   stripes
	cleaned int
}

var _ backends.CloudStorageAdapter = (*Adapter)(nil)

// Open opens the folder cfg.Root as a store and removes what a killed process left in .sluice/tmp.
// It writes to the folder once, so that a read-only one is reported now and not at the first upload.
func Open(cfg Config) (*Adapter, error) {
	a := &Adapter{}
	a.locks.seed = maphash.MakeSeed()
	switch cfg.Fsync {
	case "", FsyncAlways:
		a.sync = (*os.File).Sync
	case FsyncNever:
		a.sync = func(*os.File) error { return nil }
	default:
		return nil, fmt.Errorf("local: fsync is %q: use %q or %q", cfg.Fsync, FsyncAlways, FsyncNever)
	}
	size := cfg.BufferSize
	if size < 0 {
		return nil, fmt.Errorf("local: buffer size is %d bytes: use 0 for the default or more", size)
	}
	if size == 0 {
		size = defaultBuffer
	}
	a.buffers.New = func() any { b := make([]byte, size); return &b }

	if cfg.Root == "" {
		return nil, errors.New("local: no root: name the folder that holds the files")
	}
	root, err := os.OpenRoot(cfg.Root)
	if err != nil {
		return nil, openError(cfg.Root, err)
	}
	a.root = root
	if err := a.prepare(); err != nil {
		_ = a.Close()
		return nil, openError(cfg.Root, err)
	}
	return a, nil
}

// prepare makes the private folder, clears it of leftovers and proves that it can be written to.
func (a *Adapter) prepare() error {
	for i, name := range []string{backends.Private, tmpFolder} {
		if err := a.root.Mkdir(name, privateMode); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if fi, err := a.root.Lstat(name); err != nil || !fi.IsDir() {
			return fmt.Errorf("%s in it is not a folder: remove it", name)
		}
		f, err := a.openFolder(name)
		if err != nil {
			return err
		}
		a.hidden[i] = f.id
		if err := f.Chmod(privateMode); err != nil {
			_ = f.Close()
			return err
		}
		if name == tmpFolder {
			a.tmp = f
			break
		}
		_ = f.Close()
	}
	top, err := a.openFolder("")
	if err != nil {
		return err
	}
	a.top = top.id
	_ = top.Close()
	if a.cleaned, err = a.clean(); err != nil {
		return err
	}
	t, err := a.create()
	if err != nil {
		return err
	}
	t.discard()
	return nil
}

// openError tells the operator which folder is wrong and what would mend it.
func openError(root string, err error) error {
	var mend string
	switch {
	case errors.Is(err, fs.ErrNotExist):
		mend = "it does not exist: create it or correct root"
	case isNotDirectory(root):
		mend = "it is not a folder: correct root"
	case errors.Is(err, unix.EROFS):
		mend = "its file system is mounted read-only: mount it for writing"
	case errors.Is(err, fs.ErrPermission):
		mend = fmt.Sprintf("user %d may not read or not write it: "+
			"change its owner (chown) or its mode (chmod u+rwx)", os.Getuid())
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		mend = "its file system is full: free some space"
	default:
		mend = "it cannot be used"
	}
	return fmt.Errorf("local: folder %q: %s: %w", root, mend, err)
}

func isNotDirectory(name string) bool {
	fi, err := os.Stat(name)
	return err == nil && !fi.IsDir()
}

// Cleaned returns how many leftovers of killed processes Open removed.
func (a *Adapter) Cleaned() int { return a.cleaned }

// Capabilities implements backends.CloudStorageAdapter. Listings are not ordered: to sort a folder
// of a million entries is to hold a million entries.
func (a *Adapter) Capabilities() backends.Capabilities {
	return backends.Capabilities{Offset: true, IfAbsent: true, ModTime: true, Space: true}
}

// Close implements backends.CloudStorageAdapter.
func (a *Adapter) Close() error {
	var err error
	if a.tmp != nil {
		err = a.tmp.Close()
	}
	return translate("close", "", errors.Join(err, a.root.Close()))
}

// buffer lends a transfer's buffer; the function gives it back.
func (a *Adapter) buffer() ([]byte, func()) {
	b := a.buffers.Get().(*[]byte)
	return *b, func() { a.buffers.Put(b) }
}

// check refuses what cannot be a key here. An element over 255 bytes is found out now and not after
// the upload, when its parents have been made.
func check(key string) error {
	if err := backends.CheckKey(key); err != nil {
		return err
	}
	for start, i := 0, 0; i <= len(key); i++ {
		if i == len(key) || key[i] == '/' {
			if i-start > unix.NAME_MAX {
				return fault(backends.InvalidName, unix.ENAMETOOLONG)
			}
			start = i + 1
		}
	}
	return nil
}

// split returns the folder that holds key, and key's name in it. The root is "." in itself.
func split(key string) (dir, name string) {
	if key == "" {
		return "", "."
	}
	dir, name = path.Split(key)
	return trimSlash(dir), name
}

func trimSlash(dir string) string {
	if dir == "" {
		return ""
	}
	return dir[:len(dir)-1]
}

// join is path.Join for what is clean already. An empty name leaves the slash.
func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}
