//go:build !linux

package local

import (
	"os"

	"golang.org/x/sys/unix"
)

func renameNoReplace(from *folder, name string, to *folder, newName string) error {
	return renameByLink(from, name, to, newName)
}

func reflink(_, _ *os.File) error { return unix.ENOTSUP }

func futimes(f *os.File, t unix.Timespec) error {
	tv := unix.NsecToTimeval(int64(t.Nsec))
	tv.Sec = t.Sec
	return unix.Futimes(int(f.Fd()), []unix.Timeval{tv, tv})
}

// freeBytes: FreeBSD counts below zero when only the superuser may still write.
func freeBytes(st *unix.Statfs_t) int64 {
	if int64(st.Bavail) < 0 {
		return 0
	}
	return product(uint64(st.Bavail), uint64(st.Bsize))
}

// bootID is not known: what is kept after a kill is what was made durable.
func bootID() string { return "" }
