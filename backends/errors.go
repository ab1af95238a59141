package backends

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// Kind is the reason of a failure, as far as it decides what is told to a client.
type Kind int

// The kinds, and what an adapter means by them.
const (
	// Internal is anything that has no better kind.
	Internal Kind = iota
	// NotExist: no such object or folder.
	NotExist
	// Exist: there is one already.
	Exist
	// Permission: the store refuses this key to us.
	Permission
	// IsDir: an object was expected, a folder is there.
	IsDir
	// NotDir: a folder was expected, an object is there, or stands in the way of the path.
	NotDir
	// NotEmpty: the folder has something in it.
	NotEmpty
	// InvalidName: the key cannot be one in this store.
	InvalidName
	// TooLarge: over a bound of the object's size or over a quota.
	TooLarge
	// NoSpace: the store is full.
	NoSpace
	// BadOffset: past the end of the object.
	BadOffset
	// Busy: someone else holds it; trying later helps.
	Busy
	// Conflict: the version asked for is not the present one any more.
	Conflict
	// Fenced: another process took this upload over.
	Fenced
	// Unavailable: the store does not answer or asks to slow down; trying later helps.
	Unavailable
	// Misconfigured: the store does not know us or the bucket. The operator has to act.
	Misconfigured
	// Archived: the object has to be restored before it can be read.
	Archived
	// Corrupt: a checksum does not match.
	Corrupt
	// Unsupported: this adapter cannot do it.
	Unsupported
)

var kindNames = [...]string{
	"internal error", "does not exist", "already exists", "permission denied", "is a folder",
	"is not a folder", "folder is not empty", "invalid name", "too large", "no space left",
	"offset past the end", "busy", "changed meanwhile", "taken over", "store unavailable",
	"store misconfigured", "archived", "corrupt", "not supported",
}

// String returns the kind in words.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return fmt.Sprintf("kind %d", int(k))
	}
	return kindNames[k]
}

// Error is what every method of an adapter returns. Its text is for the operator's log: it may
// name buckets and paths, so a client never sees it.
type Error struct {
	// Op is the method in lower case: "put", "list".
	Op string
	// Key is the key as the adapter was given it.
	Key string
	// Kind decides the reply.
	Kind Kind
	// Temporary: the same call may succeed later.
	Temporary bool
	// RequestID is the store's own name of the failed request, for its support.
	RequestID string
	// Err is the cause; it may be nil.
	Err error
}

// Error names the verb, the object and the cause.
func (e *Error) Error() string {
	s := fmt.Sprintf("%s %q: %s", e.Op, e.Key, e.Kind)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.RequestID != "" {
		s += " (request " + e.RequestID + ")"
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is lets errors.Is match the standard sentinels by kind.
func (e *Error) Is(target error) bool {
	switch target {
	case fs.ErrNotExist:
		return e.Kind == NotExist
	case fs.ErrExist:
		return e.Kind == Exist
	case fs.ErrPermission:
		return e.Kind == Permission
	case errors.ErrUnsupported:
		return e.Kind == Unsupported
	}
	return false
}

// KindOf returns the kind of the first *Error in err's tree, and Internal for any other error.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Alive returns an error of kind Internal once ctx is done, that matches ctx.Err and its cause.
func Alive(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != err { //nolint:errorlint // the same value or another
		err = fmt.Errorf("%w: %w", err, cause)
	}
	return &Error{Kind: Internal, Err: err}
}

// ErrDiffers is in the error of a Put that continues an upload with something else than what was kept.
var ErrDiffers = errors.New("what was sent again is not what was kept")

// ReadError is what the reader given to Put said, which is no failure of the store's whatever it looks
// like, and why ctx is done if it is: often the first is only a consequence of the second.
func ReadError(ctx context.Context, err error) error {
	if Alive(ctx) != nil && !errors.Is(err, context.Cause(ctx)) {
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return &Error{Kind: Internal, Err: err}
}
