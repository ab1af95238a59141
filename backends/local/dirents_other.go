//go:build !linux

package local

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

type dirents struct {
	folder *folder
	unread []fs.DirEntry
}

func newDirents(f *folder) *dirents { return &dirents{folder: f} }

func (d *dirents) next() (name []byte, kind uint32, err error) {
	if len(d.unread) == 0 {
		if d.unread, err = d.folder.ReadDir(256); err != nil {
			return nil, 0, err
		}
	}
	entry := d.unread[0]
	d.unread = d.unread[1:]
	switch entry.Type() {
	case 0:
		kind = unix.S_IFREG
	case fs.ModeDir:
		kind = unix.S_IFDIR
	case fs.ModeSymlink:
		kind = unix.S_IFLNK
	default:
		kind = unix.S_IFSOCK
	}
	return []byte(entry.Name()), kind, nil
}
