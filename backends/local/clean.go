package local

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// clean removes the temporary files that nobody holds: their process was killed. The system drops a
// process's locks when it ends, so there is no age to guess.
func (a *Adapter) clean() (int, error) {
	n := 0
	for {
		names, err := a.tmp.Readdirnames(1024)
		for _, name := range names {
			if a.cleanOne(name) {
				n++
			}
		}
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

func (a *Adapter) cleanOne(name string) bool {
	// For writing: NFS gives an exclusive lock only to who could write.
	fd, err := openAt(a.tmp, name, unix.O_RDWR, 0)
	if err != nil {
		return false
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	st, err := fstat(f)
	if err != nil || kindOf(&st) != unix.S_IFREG || flock(f) != nil {
		return false
	}
	return unix.Unlinkat(a.tmp.fd(), name, 0) == nil
}
