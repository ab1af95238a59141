// Package local stores objects as plain files below one folder of a POSIX file system.
//
// A key is a path below that folder, confined by os.Root: no link leads out of it. New content is
// written to a temporary file in .sluice/tmp and moved over its name when it is whole. Whatever else
// works on the folder (cron jobs, an NFS client, a second gateway) sees ordinary files.
package local

import (
	"errors"
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
	// half minute, and an object published in it may come back empty. What a network file system
	// finds out when a file is closed still keeps it from being published.
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

	fileMode    = 0o666 // less the umask, as the next
	folderMode  = 0o777
	privateMode = 0o700
)

// Adapter is a folder as a store.
type Adapter struct {
	backends.NotResumable

	root *os.Root
	// tmp is .sluice/tmp, opened once: every Put makes a file in it and moves it out again.
	tmp *folder
	// top and hidden recognise the root and the private folders whatever links led to them.
	top    inode
	hidden [2]inode

	// sync makes a file or a folder durable, or does nothing.
	sync func(*os.File) error
	// settle is what a file has to pass before it gets its name: sync, or flush.
	settle  func(*os.File) error
	buffers sync.Pool
	locks   stripes
	cleaned int
}

var _ backends.CloudStorageAdapter = (*Adapter)(nil)

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
