package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// standardOutput is the path that stands for it.
const standardOutput = "-"

// pipeBuf is the most that Linux writes to a pipe as a whole, with a newline before it: others may
// write to the same pipe.
const pipeBuf = 4096 - 1

var errShort = errors.New("only a part of a line was taken; is the disk full?")

// calls are those of the system that tests replace; nil is the one that the file needs.
type calls struct {
	// write returns how much of b is written. Less than all without an error is an end of what can be
	// written at once.
	write func(f *os.File, b []byte) (int, error)
	sync  func(f *os.File) error
}

// file is what lines are appended to: a regular file, or something that cannot be cut, as a pipe.
//
// A regular file is locked, shared, as long as it is open. Who gets the lock for itself alone knows
// that no other process of this kind has it open, and that it can cut without harm.
type file struct {
	*os.File
	calls
	regular bool
	shared  bool // it is locked
	begun   bool // something was put into it, or tried
	torn    bool // the last line has no end
	doubt   bool // since an attempt failed others may have torn a line or ended one
}

// openFile opens path for appending.
func openFile(path string, c calls) (*file, error) {
	if path == standardOutput {
		return openStandardOutput(c)
	}
	// O_NONBLOCK: a pipe that nobody reads is an error and not a wait without end.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NONBLOCK, 0o640)
	if err != nil {
		return nil, fmt.Errorf("audit: %w; %s", err, remedy(err))
	}
	st, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("audit: %w", err)
	}
	if !st.Mode().IsRegular() {
		return newFile(f, c), nil
	}
	if c.write == nil {
		c.write = writeOnce
	}
	o := newFile(f, c)
	o.regular = true
	o.share()
	return o, nil
}

// openStandardOutput returns a descriptor of its own, which can be closed like any other. It is never
// cut: it may not be opened for appending.
func openStandardOutput(c calls) (*file, error) {
	fd, err := unix.FcntlInt(os.Stdout.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("audit: open standard output: %w; give the path of a file", err)
	}
	return newFile(os.NewFile(uintptr(fd), "standard output"), c), nil
}

func newFile(f *os.File, c calls) *file {
	if c.write == nil {
		c.write = (*os.File).Write
	}
	if c.sync == nil {
		c.sync = (*os.File).Sync
	}
	return &file{File: f, calls: c}
}

// remedy says how to mend that a file cannot be opened.
func remedy(err error) string {
	switch {
	case errors.Is(err, unix.EISDIR):
		return "give the path of a file in that folder"
	case errors.Is(err, fs.ErrNotExist):
		return "make the folder that it is to be in"
	case errors.Is(err, fs.ErrPermission):
		return "let the user that the gateway runs as write there"
	case errors.Is(err, unix.ENXIO):
		return "start the program that reads it first"
	}
	return "give the path of a file that can be appended to"
}

// writeOnce writes b with one call of the system, between whose bytes no other process's can come.
func writeOnce(f *os.File, b []byte) (int, error) {
	for {
		n, err := unix.Write(int(f.Fd()), b)
		switch {
		case err == nil:
			return n, nil
		case !errors.Is(err, unix.EINTR):
			return 0, &fs.PathError{Op: "write", Path: f.Name(), Err: err}
		}
	}
}

// put appends lines, as many as go at once. It returns how many bytes of them are there, which are
// whole lines, and an error if these are none.
func (f *file) put(lines []byte) (int, error) {
	f.ready()
	b, before := f.piece(lines), 0
	if f.torn {
		b, before = append([]byte{'\n'}, b...), 1
	}
	n, err := f.write(f.File, b)
	whole := bytes.LastIndexByte(b[:n], '\n') + 1
	if n > 0 {
		f.torn = n > whole && !f.cut(n-whole)
	}
	f.doubt = n < len(b)
	if whole > before {
		return whole - before, nil // what failed will fail again
	}
	if err == nil {
		err = &fs.PathError{Op: "write", Path: f.Name(), Err: errShort}
	}
	return 0, fmt.Errorf("audit: %w", err)
}

// ready finds out how the file ends, where that is not known. While others write, it can look torn
// when it is not: that is believed after a failure only, for then an empty line is the lesser evil.
func (f *file) ready() {
	switch {
	case !f.regular:
		return
	case !f.begun:
		f.alone(f.look) // a crash may have torn the last line
	case f.doubt:
		f.look()
	}
	f.begun = true
	if !f.shared {
		f.share()
	}
}

// piece returns the first lines that are to be written with one call.
func (f *file) piece(lines []byte) []byte {
	if f.regular || len(lines) <= pipeBuf {
		return lines
	}
	end := bytes.LastIndexByte(lines[:pipeBuf], '\n')
	if end < 0 {
		end = bytes.IndexByte(lines, '\n')
	}
	return lines[:end+1]
}

// cut takes the last n bytes off the file, the beginning of a line, unless others may have appended.
func (f *file) cut(n int) (done bool) {
	f.alone(func() {
		end, err := f.Seek(0, io.SeekCurrent) // where the write ended
		if err != nil {
			return
		}
		st, err := f.Stat()
		done = err == nil && st.Size() == end && f.Truncate(end-int64(n)) == nil
	})
	return done
}

// alone calls do if no other process has the file locked, and while none can lock it. On a file system
// that does not give shared locks to those who only write, such as NFS, that cannot be known.
func (f *file) alone(do func()) {
	if !f.regular || !f.shared {
		return
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
		do()
	}
	f.share() // what was asked for in vain has undone the lock as well
}

// share locks the file, unless somebody has it alone or the file system has no locks: no lock of
// others may keep records from being written.
func (f *file) share() { f.shared = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil }

// look finds out whether the last line of the file has no end. Where that cannot be known, what was
// known before stays.
func (f *file) look() {
	r, err := os.OpenFile(f.Name(), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer r.Close()
	found, err := r.Stat()
	if err != nil {
		return
	}
	var last [1]byte
	if _, err := r.ReadAt(last[:], found.Size()-1); err != nil {
		return
	}
	// It has not been renamed, and nobody is writing to it.
	if now, err := f.Stat(); err == nil && os.SameFile(now, found) && now.Size() == found.Size() {
		f.torn = last[0] != '\n'
	}
}

// close closes the file; what was written to a regular one outlives a power cut.
func (f *file) close() error {
	if !f.regular {
		return f.Close()
	}
	return errors.Join(f.sync(f.File), f.Close())
}
