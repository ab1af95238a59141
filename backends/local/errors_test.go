package local_test

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/local"
)

func TestTranslate(t *testing.T) {
	for errno, want := range map[syscall.Errno]backends.Error{
		syscall.ENOENT:       {Kind: backends.NotExist},
		syscall.EEXIST:       {Kind: backends.Exist},
		syscall.EACCES:       {Kind: backends.Permission},
		syscall.EPERM:        {Kind: backends.Permission},
		syscall.EROFS:        {Kind: backends.Permission},
		syscall.EISDIR:       {Kind: backends.IsDir},
		syscall.ENOTDIR:      {Kind: backends.NotDir},
		syscall.ENOTEMPTY:    {Kind: backends.NotEmpty},
		syscall.ENAMETOOLONG: {Kind: backends.InvalidName},
		syscall.EDQUOT:       {Kind: backends.TooLarge},
		syscall.EFBIG:        {Kind: backends.TooLarge},
		syscall.ENOSPC:       {Kind: backends.NoSpace, Temporary: true},
		syscall.EIO:          {Kind: backends.Unavailable, Temporary: true},
		syscall.ESTALE:       {Kind: backends.Unavailable, Temporary: true},
		syscall.EMFILE:       {Kind: backends.Unavailable, Temporary: true},
		syscall.EBUSY:        {Kind: backends.Busy, Temporary: true},
		syscall.EXDEV:        {Kind: backends.Misconfigured},
		syscall.EBADF:        {Kind: backends.Internal},
	} {
		for _, err := range []error{errno, &os.PathError{Op: "openat", Path: "x", Err: errno}} {
			var got *backends.Error
			if !errors.As(local.Translate(err), &got) || got.Kind != want.Kind || got.Temporary != want.Temporary {
				t.Errorf("%v became %+v", err, got)
			}
			if got.Op != "put" || got.Key != "key" || !errors.Is(got, errno) {
				t.Errorf("%v became %v", err, got)
			}
		}
	}
	if local.Translate(nil) != nil {
		t.Error("no error became one")
	}
}
