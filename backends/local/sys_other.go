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

func blockSize(st *unix.Statfs_t) int64 { return int64(st.Bsize) }
