// Package backends is the contract between the gateway and a store of objects.
//
// CloudStorageAdapter is the whole of it: a dozen verbs on objects, the errors they return and the
// keys they take. Each folder below is one adapter; backendtest is the contract in code, and every
// adapter and every wrapper of one passes it.
package backends

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"iter"
	"time"
)

// CloudStorageAdapter stores objects under keys, and folders of them.
//
// What every adapter guarantees:
//
//   - An object is published whole or not at all. Whoever reads a key, at any moment and from any
//     process, sees the version that was there before a Put or the complete one that it wrote,
//     never a prefix and never a mixture.
//   - A method that returns nil has made its effect durable, as far as the adapter was configured to.
//   - A method that returns an error has had no effect that a reader can see. Two exceptions: Rename
//     of a folder on a store that cannot do it atomically (its adapter says how it recovers), and an
//     effect that is there but could not be made durable.
//   - Keys are what CleanKey returns; "" is the root, which always exists. A key with a bad form is
//     refused with InvalidName before anything is touched.
//   - Errors are *Error, so that errors.Is matches fs.ErrNotExist, fs.ErrExist, fs.ErrPermission and
//     errors.ErrUnsupported. What the reader given to Put returns is wrapped and still matches; its
//     kind is Internal, whatever it is, so that a broken connection is never taken for a full disk.
//   - All methods may be called at once from any number of goroutines. An adapter has no notion of
//     a session and no state that a second process would miss.
//   - A call ends soon after its context does. What has to be cleaned up then is cleaned up under a
//     context of its own.
//
// An adapter that cannot do something returns an error of kind Unsupported; there are no optional
// interfaces, so that a wrapper is a struct that embeds an adapter.
type CloudStorageAdapter interface {
	// Capabilities says what the store can do. It is constant for the adapter's life.
	Capabilities() Capabilities

	// Stat describes the object or the folder at key. Where a store holds both (key and key/x), it
	// describes the object. A missing one is NotExist.
	Stat(ctx context.Context, key string) (Object, error)

	// List yields the direct children of dir, each once, while the store delivers them: memory
	// does not depend on their number. They come in key order where Capabilities.Ordered. An error
	// is yielded once, as the last pair. A missing dir is NotExist. Breaking out of the loop ends
	// the listing and frees what it held. An object that appears or goes meanwhile may be missed.
	List(ctx context.Context, dir string, o ListOptions) iter.Seq2[Object, error]

	// Open opens the object at key for reading from o.Offset to its end, pinned to one version:
	// an overwrite meanwhile is not seen. A folder is IsDir; an offset past the end is BadOffset,
	// one exactly at the end reads nothing.
	Open(ctx context.Context, key string, o OpenOptions) (Reader, error)

	// Put reads r to io.EOF and publishes what it read as the object at key; it becomes visible
	// only then. Missing folders above it come into being. If r or ctx fails, the key holds what it
	// held before, never a prefix of r, and nothing is left behind, except what o.Resumable
	// asked to keep. An existing folder at key is IsDir, also with IfAbsent.
	//
	// r is read from the calling goroutine or from one that has ended when Put returns. r may
	// implement io.WriterTo; an adapter may use it and must then treat its nil error as io.EOF.
	Put(ctx context.Context, key string, r io.Reader, o PutOptions) (Object, error)

	// Pending describes what was kept for owner of an upload to key that broke off. Nothing kept, or
	// an object at key that is newer, is NotExist; an upload that some process still writes is Busy.
	Pending(ctx context.Context, key, owner string) (Pending, error)

	// Discard drops what Pending describes. Nothing kept is no error.
	Discard(ctx context.Context, key, owner string) error

	// Copy makes to a copy of the object from, inside the store, with its times and metadata. Missing
	// folders above to come into being. A folder at either end is IsDir.
	Copy(ctx context.Context, from, to string, o CopyOptions) (Object, error)

	// Rename moves an object, or a folder with all below it. Missing folders above to come into
	// being. An object replaces an object at to unless o.IfAbsent; a folder replaces nothing (Exist
	// or NotDir). A folder at to is Exist, whatever moves; a folder moved into itself is
	// InvalidName. An object moved onto itself stays, unless o.IfAbsent.
	Rename(ctx context.Context, from, to string, o RenameOptions) error

	// Remove deletes the object at key. A missing one is NotExist, a folder IsDir. The folder
	// that held it stays, also when it is empty now.
	Remove(ctx context.Context, key string) error

	// Mkdir makes the folder dir, and missing ones above it. One that exists, or an object of
	// that name, is Exist.
	Mkdir(ctx context.Context, dir string) error

	// Rmdir deletes the empty folder dir. Anything in it is NotEmpty, an object of that name
	// NotDir, a missing one NotExist. The root cannot be removed: Permission.
	Rmdir(ctx context.Context, dir string) error

	// SetModTime sets the time that Stat reports for the object at key, to the second or better. A
	// folder is IsDir.
	SetModTime(ctx context.Context, key string, t time.Time) error

	// Available returns the bytes that can still be stored under dir, for AVBL and ALLO. A store
	// without such a bound is Unsupported.
	Available(ctx context.Context, dir string) (int64, error)

	// Close frees what the adapter holds. No call may be running or follow.
	io.Closer
}

// Capabilities tells what a store can do, so that FEAT and the refusals at start-up are truthful.
type Capabilities struct {
	// Ordered: List yields in key order, bytewise, a folder as if its key ended with a slash.
	Ordered bool
	// Flat: an object and a folder may have one key, and an object may be below another. The
	// adapter makes neither a folder over an object nor an object over a folder; others may.
	Flat bool
	// Offset: PutOptions.Offset may be more than 0.
	Offset bool
	// IfAbsent: Put, Copy and Rename can be told not to replace anything, atomically, and Put to
	// replace only one version.
	IfAbsent bool
	// ModTime: SetModTime works and PutOptions.ModTime is kept.
	ModTime bool
	// Metadata: PutOptions.Metadata is kept.
	Metadata bool
	// Resume: Put can keep what arrived of an upload that breaks off, for any process to continue.
	Resume bool
	// KeepAtLeast is how many bytes there have to be of an upload for Put to keep it.
	KeepAtLeast int64
	// Space: Available has an answer.
	Space bool
}

// Object describes an object or a folder.
type Object struct {
	// Key is the whole key, without a slash at the end.
	Key string
	// Dir is true for a folder; Size and Version are then zero.
	Dir bool
	// Size is in bytes.
	Size int64
	// ModTime is when the object was last written, or what the writer said. It may be zero for a folder.
	ModTime time.Time
	// Version identifies the content: two equal non-empty versions of one key have the same bytes.
	// It is opaque (an ETag, a generation, an inode with its times).
	Version string
}

// ListOptions narrows a listing.
type ListOptions struct {
	// Prefix: only children whose name begins with it. The store does the filtering where it can.
	Prefix string
	// NamesOnly: Size, ModTime and Version need not be filled in, only Key and Dir.
	NamesOnly bool
}

// OpenOptions says what part of which version to read.
type OpenOptions struct {
	// Offset is the first byte to read, 0 or more.
	Offset int64
	// IfVersion: only this version; another one is Conflict. "" is any.
	IfVersion string
}

// Reader is the content of one version of an object. It is not safe for concurrent use; Close may
// be called from another goroutine to end a Read that waits.
type Reader interface {
	io.Reader
	io.WriterTo
	io.Closer
	// Object describes what is read; Size is that of the whole object, whatever the offset.
	Object() Object
}

// PutOptions says how an object is to be published. An option that the adapter cannot honour is
// refused with Unsupported, never ignored, ContentType excepted.
type PutOptions struct {
	// ModTime is stored as the object's time; zero means now.
	ModTime time.Time
	// ContentType is a hint for stores that keep one.
	ContentType string
	// Metadata is kept with the object.
	Metadata map[string]string
	// Offset: the new object begins with that many bytes of the present one, and what r delivers
	// follows; anything the present one has beyond is dropped. 0 replaces it all. More than the
	// present size, or no present object, is BadOffset.
	Offset int64
	// IfVersion: publish only if this version is still the present one, else Conflict. With an
	// Offset and no IfVersion the version found at the start is meant.
	IfVersion string
	// IfAbsent: publish only if nothing is at key at that moment, atomically; else Exist.
	IfAbsent bool
	// MaxSize is the most bytes that the whole object may have; beyond it Put fails with TooLarge.
	// 0 is no bound.
	MaxSize int64
	// Resumable: when r or ctx fails, what arrived is kept for Owner, if it is worth it. The Object
	// that comes with the error has in Size how many bytes are. Where a process still writes what
	// is being kept for the same owner and key, Put is Busy; what was kept before is dropped.
	Resumable bool
	// Owner is whose upload it is; nobody else sees what is kept of it. It is needed for Resumable.
	Owner string
	// Continue is the Version of the Pending that this Put goes on from, and Offset then where in
	// the whole r begins, at most at its Size; it may be 0. What r sends again has to be what is
	// kept, else Conflict with ErrDiffers. Another version than the present one is Busy: someone else
	// goes on with it.
	Continue string
}

// Pending is what was kept of an upload that broke off.
type Pending struct {
	// Size is in bytes.
	Size int64
	// ModTime is when it was kept.
	ModTime time.Time
	// Version is another one as soon as any process goes on with it.
	Version string
}

// Slot names what is kept for owner of an upload to key, in 32 hexadecimal digits: a store may not take
// names as long as a key, and they do not tell whose it is.
func Slot(key, owner string) string {
	sum := sha256.Sum256([]byte(owner + "\x00" + key))
	return hex.EncodeToString(sum[:16])
}

// NotResumable is embedded by an adapter that keeps nothing of an upload that breaks off.
type NotResumable struct{}

// Pending implements CloudStorageAdapter.
func (NotResumable) Pending(_ context.Context, key, _ string) (Pending, error) {
	return Pending{}, &Error{Op: "pending", Key: key, Kind: Unsupported}
}

// Discard implements CloudStorageAdapter.
func (NotResumable) Discard(_ context.Context, key, _ string) error {
	return &Error{Op: "discard", Key: key, Kind: Unsupported}
}

// CopyOptions says how a copy is to be published.
type CopyOptions struct {
	// IfAbsent: only if nothing is at the target, atomically; else Exist.
	IfAbsent bool
}

// RenameOptions says how a rename is to be done.
type RenameOptions struct {
	// IfAbsent: only if nothing is at the target, atomically; else Exist.
	IfAbsent bool
}
