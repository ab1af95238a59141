package backends_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"testing"

	"github.com/sluice-ftp/sluice/backends"
)

func TestErrorMatches(t *testing.T) {
	for kind := backends.Internal; kind <= backends.Unsupported; kind++ {
		err := fmt.Errorf("wrapped: %w", &backends.Error{Op: "put", Key: "k", Kind: kind, Err: io.ErrUnexpectedEOF})
		for sentinel, want := range map[error]backends.Kind{
			fs.ErrNotExist:        backends.NotExist,
			fs.ErrExist:           backends.Exist,
			fs.ErrPermission:      backends.Permission,
			errors.ErrUnsupported: backends.Unsupported,
		} {
			if got := errors.Is(err, sentinel); got != (kind == want) {
				t.Errorf("%v matches %v: %t", err, sentinel, got)
			}
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%v does not match its cause", err)
		}
		if got := backends.KindOf(err); got != kind {
			t.Errorf("KindOf(%v) = %v, want %v", err, got, kind)
		}
	}
}

// The first kind counts: an adapter that wraps a reader's error has decided what it is.
func TestKindOf(t *testing.T) {
	inner := &backends.Error{Op: "get", Kind: backends.NoSpace}
	for _, test := range []struct {
		err  error
		want backends.Kind
	}{
		{nil, backends.Internal},
		{io.EOF, backends.Internal},
		{inner, backends.NoSpace},
		{&backends.Error{Op: "put", Err: inner}, backends.Internal},
		{errors.Join(io.EOF, inner), backends.NoSpace},
	} {
		if got := backends.KindOf(test.err); got != test.want {
			t.Errorf("KindOf(%v) = %v, want %v", test.err, got, test.want)
		}
	}
}

func TestKindString(t *testing.T) {
	seen := map[string]backends.Kind{}
	for kind := backends.Internal; kind <= backends.Unsupported; kind++ {
		s := kind.String()
		if other, twice := seen[s]; twice || s == "" || s == fmt.Sprintf("kind %d", int(kind)) {
			t.Errorf("kind %d is called %q, as is %d", int(kind), s, int(other))
		}
		seen[s] = kind
	}
	for _, kind := range []backends.Kind{-1, backends.Unsupported + 1} {
		if got, want := kind.String(), fmt.Sprintf("kind %d", int(kind)); got != want {
			t.Errorf("an unknown kind is called %q, want %q", got, want)
		}
	}
}

func TestErrorText(t *testing.T) {
	err := &backends.Error{Op: "put", Key: "a\nb", Kind: backends.NoSpace, RequestID: "42", Err: io.EOF}
	if got, want := err.Error(), `put "a\nb": no space left: EOF (request 42)`; got != want {
		t.Errorf("the text is %s, want %s", got, want)
	}
	if got, want := (&backends.Error{Op: "stat", Key: "k"}).Error(), `stat "k": internal error`; got != want {
		t.Errorf("the text is %s, want %s", got, want)
	}
}
