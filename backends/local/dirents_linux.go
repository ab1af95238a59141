package local

import (
	"bytes"
	"encoding/binary"
	"io"

	"golang.org/x/sys/unix"
)

// dirents reads the entries of a folder a buffer at a time. os.File.ReadDir would call lstat for
// each, because the folder was opened by way of an os.Root, and so double the cost of a listing.
type dirents struct {
	folder *folder
	buf    []byte
	unread []byte
}

// direntsBuffer holds some 700 entries; a listing holds no more of them than that.
const direntsBuffer = 32 << 10

func newDirents(f *folder) *dirents { return &dirents{folder: f, buf: make([]byte, direntsBuffer)} }

// struct linux_dirent64: inode 8, offset 8, length of the record 2, type 1, name with a NUL.
const (
	direntLen  = 16
	direntType = 18
	direntName = 19
)

// next returns a name, valid until the following call, and its kind (S_IFREG...), 0 where the file
// system does not say. The last is followed by io.EOF.
func (d *dirents) next() (name []byte, kind uint32, err error) {
	for {
		if len(d.unread) == 0 {
			if err := d.fill(); err != nil {
				return nil, 0, err
			}
		}
		size := int(binary.NativeEndian.Uint16(d.unread[direntLen:]))
		entry := d.unread[:size]
		d.unread = d.unread[size:]
		name, _, _ = bytes.Cut(entry[direntName:], []byte{0})
		if string(name) != "." && string(name) != ".." {
			return name, uint32(entry[direntType]) << 12, nil
		}
	}
}

func (d *dirents) fill() error {
	var n int
	err := eintr(func() (err error) {
		n, err = unix.Getdents(d.folder.fd(), d.buf)
		return err
	})
	if err == nil && n == 0 {
		err = io.EOF
	}
	d.unread = d.buf[:max(n, 0)]
	return err
}
