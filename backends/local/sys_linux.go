package local

import (
	"errors"
	"os"
	"strconv"
	"strings"

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

// futimes sets a file's times. Linux before 5.8 knows no way but the file's name in /proc.
func futimes(f *os.File, t unix.Timespec) error {
	fd, both := int(f.Fd()), []unix.Timespec{t, t}
	err := unix.UtimesNanoAt(fd, "", both, unix.AT_EMPTY_PATH)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return unix.UtimesNanoAt(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fd), both, 0)
	}
	return err
}

func freeBytes(st *unix.Statfs_t) int64 { return product(st.Bavail, uint64(st.Frsize)) }

// bootID is another one after each start of the machine, see random(4).
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}
