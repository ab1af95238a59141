package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lockPatience is how long another command may hold the file; it should take milliseconds.
const lockPatience = 10 * time.Second

// lockedFile is a file that no other command changes meanwhile.
type lockedFile struct {
	*os.File
	// path is where it is, with no links in it.
	path string
	// made: it was not there before, and is empty.
	made bool
}

// lockFile opens the file that path leads to, and waits until nobody else has it. Whoever replaces a
// file holds the lock of the old one, so that what was waited for may be gone: it is tried again.
func lockFile(ctx context.Context, path string, create bool) (*lockedFile, error) {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	for {
		l, err := openToEdit(path, create)
		if err != nil {
			return nil, err
		}
		if err := l.lock(ctx); err != nil {
			_ = l.Close()
			return nil, err
		}
		if l.current(path) {
			return l, nil
		}
		_ = l.Close()
	}
}

func openToEdit(path string, create bool) (*lockedFile, error) {
	target, err := filepath.EvalSymlinks(path)
	made := false
	if create && errors.Is(err, fs.ErrNotExist) {
		if made, err = makeEmpty(path); err != nil {
			return nil, err
		}
		target, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return nil, hint{error: err, todo: mendFile(err)}
	}
	if info, err := os.Stat(target); err == nil && !info.Mode().IsRegular() {
		return nil, hint{error: fmt.Errorf("%s is not a file", path), todo: "correct the path"}
	}
	f, err := os.OpenFile(target, os.O_RDWR, 0) // some file servers lock no file that is open for reading
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) {
		f, err = os.Open(target)
	}
	if err != nil {
		return nil, hint{error: err, todo: mendFile(err)}
	}
	return &lockedFile{File: f, path: target, made: made}, nil
}

// makeEmpty makes a file for its owner alone, unless another command was faster.
func makeEmpty(path string) (made bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return false, nil
	case err != nil:
		return false, hint{error: err, todo: mendFolder(filepath.Dir(path), err)}
	}
	return true, f.Close()
}

func (l *lockedFile) lock(ctx context.Context) error {
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		err := unix.Flock(int(l.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case !errors.Is(err, unix.EWOULDBLOCK):
			return fmt.Errorf("lock %s: %w", l.path, err)
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return hint{
				error: fmt.Errorf("lock %s: another command holds it", l.path),
				todo:  "wait until it has ended, or end it, and try again",
			}
		}
	}
}

// current: path still leads to the file that was opened.
func (l *lockedFile) current(path string) bool {
	mine, err1 := l.Stat()
	now, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(mine, now)
}

// release lets others have the file. One that was made, and that nothing took the place of, is removed.
func (l *lockedFile) release() {
	if l.made && l.current(l.path) {
		_ = os.Remove(l.path)
	}
	_ = l.Close()
}
