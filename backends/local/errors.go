package local

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sluice-ftp/sluice/backends"
)

var (
	errHidden    = errors.New("part of Sluice's private folder")
	errSpecial   = errors.New("neither a file nor a folder")
	errRoot      = errors.New("the root itself")
	errOneDevice = errors.New("another file system is mounted below the root: the root must be one file system")
	errNoTmp     = errors.New("the folder " + tmpFolder + " is gone: restart to have it made again")
	errNoLock    = errors.New("new files in " + tmpFolder + " cannot be kept: the file system does not do locks " +
		"or link counts, or another program works on that folder")
	errTime = errors.New("a time that the file system does not hold")
)

// fault is an error whose kind is known where it happens; translate adds what was being done.
func fault(kind backends.Kind, err error) *backends.Error {
	return &backends.Error{Kind: kind, Err: err}
}

// translate makes every error that leaves the package a *backends.Error. Only the error itself is
// asked whether it is one: an error that came out of a reader may have anything in its tree.
func translate(op, key string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := err.(*backends.Error); ok { //nolint:errorlint // see above
		known := *e
		known.Op, known.Key = op, key
		return &known
	}
	kind, temporary := classify(err)
	if errors.Is(err, unix.EXDEV) {
		err = fmt.Errorf("%w: %w", errOneDevice, err)
	}
	return &backends.Error{Op: op, Key: key, Kind: kind, Temporary: temporary, Err: err}
}

// toward makes an error of a call on two keys one about its target, which the call is not named after.
func toward(to string, err error) error {
	if err == nil {
		return nil
	}
	e := translate("", "", err).(*backends.Error) //nolint:errorlint,forcetypeassert // translate makes nothing else
	if e.Err == nil {
		e.Err = fmt.Errorf("to %q", to)
	} else {
		e.Err = fmt.Errorf("to %q: %w", to, e.Err)
	}
	return e
}

// classify finds the kind of what the system said.
func classify(err error) (kind backends.Kind, temporary bool) {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		if escapes(err) {
			return backends.Permission, false
		}
		return backends.Internal, false
	}
	switch errno {
	case unix.ENOENT:
		return backends.NotExist, false
	case unix.EEXIST:
		return backends.Exist, false
	case unix.EACCES, unix.EPERM, unix.ELOOP, unix.ENXIO:
		return backends.Permission, false
	case unix.EISDIR:
		return backends.IsDir, false
	case unix.ENOTDIR:
		return backends.NotDir, false
	case unix.ENOTEMPTY:
		return backends.NotEmpty, false
	case unix.ENAMETOOLONG, unix.EILSEQ, unix.EINVAL:
		// EINVAL is what FAT and CIFS say to a colon, and rename to a folder moved into itself.
		return backends.InvalidName, false
	case unix.EDQUOT, unix.EFBIG:
		return backends.TooLarge, false
	case unix.ENOSPC:
		return backends.NoSpace, true
	case unix.EBUSY, unix.ETXTBSY, unix.EAGAIN:
		return backends.Busy, true
	case unix.EIO, unix.ESTALE, unix.ETIMEDOUT, unix.ENOTCONN, unix.EHOSTDOWN, unix.ENOLCK,
		unix.EMFILE, unix.ENFILE, unix.ENOMEM:
		return backends.Unavailable, true
	case unix.EXDEV, unix.EROFS:
		return backends.Misconfigured, false
	case unix.ENOTSUP, unix.ENOSYS:
		return backends.Unsupported, false
	}
	return backends.Internal, false
}

// escapes recognises os.Root's refusal, which has no exported name.
func escapes(err error) bool {
	var e *fs.PathError
	return errors.As(err, &e) && e.Err != nil && e.Err.Error() == "path escapes from parent"
}
