package local_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
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
		syscall.EROFS:        {Kind: backends.Misconfigured},
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

// An error of a call on two keys names the one that it is about.
func TestErrorsNameTarget(t *testing.T) {
	a := open(t, local.Config{Root: t.TempDir()})
	ctx := t.Context()
	for _, key := range []string{"from", "file", "folder/o"} {
		put(t, a, key, "x")
	}
	rename := func(from, to string) error { return a.Rename(ctx, from, to, backends.RenameOptions{}) }
	duplicate := func(from, to string) error { return second(a.Copy(ctx, from, to, backends.CopyOptions{})) }
	for _, test := range []struct {
		err   error
		kind  backends.Kind
		about string
	}{
		{rename("from", "folder"), backends.Exist, "folder"},
		{rename("from", "file/below"), backends.NotDir, "file/below"},
		{rename("from", strings.Repeat("x", 256)), backends.InvalidName, strings.Repeat("x", 256)},
		{rename("folder", "folder/below"), backends.InvalidName, "folder/below"},
		{rename("folder", "file"), backends.NotDir, "file"},
		{rename("file/below", "to"), backends.NotDir, ""},
		{rename("none", "to"), backends.NotExist, ""},
		{duplicate("from", "folder"), backends.IsDir, "folder"},
		{duplicate("from", "file/below"), backends.NotDir, "file/below"},
		{duplicate("from", "nul\x00"), backends.InvalidName, `nul\x00`},
		{duplicate("file/below", "to"), backends.NotDir, ""},
		{duplicate("none", "to"), backends.NotExist, ""},
	} {
		wantKind(t, "with "+test.about, test.err, test.kind)
		if test.err == nil {
			continue
		}
		about := strings.Contains(test.err.Error(), `to "`)
		if about != (test.about != "") || !strings.Contains(test.err.Error(), `"`+test.about+`"`) == about {
			t.Errorf("%v does not say that it is about %q", test.err, test.about)
		}
	}
}

// A clone of what was made shorter meanwhile is not filled up with zeros.
func TestCut(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "clone"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("12345"); err != nil {
		t.Fatal(err)
	}
	wantUnexpectedEOF(t, local.Cut(f, 6))
	for _, n := range []int64{5, 3} {
		if err := local.Cut(f, n); err != nil {
			t.Error(err)
		}
		if fi, err := f.Stat(); err != nil || fi.Size() != n {
			t.Errorf("cut at %d: %v, %v", n, fi.Size(), err)
		}
	}
	if _, err := f.WriteString("!"); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(f.Name()); err != nil || string(b) != "123!" {
		t.Errorf("it goes on with %q, %v", b, err)
	}
}

func TestProduct(t *testing.T) {
	for _, test := range []struct {
		a, b uint64
		want int64
	}{{0, 4096, 0}, {3, 4096, 12288}, {math.MaxUint64, 4096, math.MaxInt64}, {1 << 51, 4096, math.MaxInt64}, {1<<51 - 1, 4096, 1<<63 - 4096}} {
		if got := local.Product(test.a, test.b); got != test.want {
			t.Errorf("%d times %d is %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
