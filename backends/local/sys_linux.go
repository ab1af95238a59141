package local

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// renameNoReplace moves a name unless the new one is taken (EEXIST), in one step where the file
// system can.
func renameNoReplace(from *folder, name string, to *folder, newName string) error {
	err := eintr(func() error {
		return unix.Renameat2(from.fd(), name, to.fd(), newName, unix.RENAME_NOREPLACE)
	})
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOTSUP) {
		return renameByLink(from, name, to, newName)
	}
	return err
}

// reflink makes dst share all of src's blocks: no byte is copied, on file systems that can.
func reflink(dst, src *os.File) error {
	return unix.IoctlFileClone(int(dst.Fd()), int(src.Fd()))
}

func blockSize(st *unix.Statfs_t) int64 { return int64(st.Frsize) }
