package local

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluice-ftp/sluice/backends"
)

// temporary is a file in .sluice/tmp that becomes an object or vanishes. It is locked (flock) while
// it is open, so that a second process on the same folder does not take it for a leftover.
type temporary struct {
	*os.File
	name string
	home *folder
	// gone: it has no name in .sluice/tmp any more.
	gone bool
}

// create makes a temporary file. Between its making and its locking another process that starts up
// may take it for a leftover: then it is locked by that process or has lost its name, and the next
// one is tried. It has the mode of the object that it is going to be, less the operator's umask: as
// long as it is in .sluice nobody else reaches it.
func (a *Adapter) create() (*temporary, error) {
	// One that starts up again and again takes ten in a row; none takes a hundred.
	for range 100 {
		name := rand.Text()
		fd, err := openAt(a.tmp, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, fileMode)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fault(backends.Misconfigured, errNoTmp)
		}
		if err != nil {
			return nil, err
		}
		t := &temporary{File: os.NewFile(uintptr(fd), name), name: name, home: a.tmp}
		err = flock(t.File)
		if err == nil {
			var st unix.Stat_t
			if st, err = fstat(t.File); err == nil && st.Nlink == 1 {
				return t, nil
			}
		}
		t.discard()
		if err != nil && !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, err
		}
	}
	return nil, fault(backends.Misconfigured, errNoLock)
}

// discard closes the file and removes it unless it was published.
func (t *temporary) discard() {
	if !t.gone {
		_ = unix.Unlinkat(t.home.fd(), t.name, 0)
	}
	_ = t.Close()
}

// condition is what must be true of the present object at the moment of publishing.
type condition struct {
	ifAbsent  bool
	ifVersion string
}

// publish gives the whole file its time and, when everything in it is where fsync wants it, its name.
// It is the only way in which an object comes into being.
func (a *Adapter) publish(ctx context.Context, t *temporary, key string, mod time.Time, c condition) (backends.Object, error) {
	if !mod.IsZero() {
		if err := setTimes(t.File, mod); err != nil {
			return backends.Object{}, err
		}
	}
	if err := a.settle(t.File); err != nil {
		return backends.Object{}, err
	}
	if err := backends.Alive(ctx); err != nil {
		return backends.Object{}, err
	}
	st, err := fstat(t.File)
	if err != nil {
		return backends.Object{}, err
	}
	if err := again(func() error { return a.name(t, key, c) }); err != nil {
		return backends.Object{}, err
	}
	if named, err := fstat(t.File); err == nil {
		return object(key, &named), nil
	}
	// No failure: it is published. Only its version, which the rename has changed, is not known.
	obj := object(key, &st)
	obj.Version = ""
	return obj, nil
}

// name moves the file to key. The folder is opened now and not before the transfer: it may have
// been renamed meanwhile, and the object belongs to where key leads.
func (a *Adapter) name(t *temporary, key string, c condition) error {
	into, name, err := a.makeParent(key)
	if err != nil {
		return err
	}
	defer into.Close()
	unlock := a.locks.lock(key)
	err = a.place(t, into, name, c)
	unlock()
	if err != nil {
		a.unmake(into.made)
		return err
	}
	t.gone = true
	return a.syncFolder(into)
}

func (a *Adapter) place(t *temporary, into *folder, name string, c condition) error {
	st, err := a.look(into, name)
	there := err == nil
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case there && isDir(&st):
		return fault(backends.IsDir, nil)
	case c.ifVersion != "" && (!there || version(&st) != c.ifVersion):
		return fault(backends.Conflict, nil)
	case c.ifAbsent:
		return renameNoReplace(t.home, t.name, into, name)
	}
	return rename(t.home, t.name, into, name)
}

// openAt opens a name in a folder without following a link and without waiting for anyone.
func openAt(f *folder, name string, flags int, mode uint32) (fd int, err error) {
	err = eintr(func() error {
		fd, err = unix.Openat(f.fd(), name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, mode)
		return err
	})
	return fd, err
}

// flock locks the open file without waiting; EWOULDBLOCK means that someone else has.
func flock(f *os.File) error {
	return eintr(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
}

// flush finds out what the system would say at the file's close. NFS, SMB and FUSE write back at each
// close of a descriptor, and only then does a full disk or a dead server come to light.
func flush(f *os.File) error {
	return eintr(func() error {
		fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return err
		}
		return unix.Close(fd)
	})
}
