package bucket

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-ftp/sluice/backends"
)

// Store is what a bucket's own API can do. Each method is one attempt: whoever calls it tries again,
// by what Failure says of the error. Names are those in the bucket. All methods may be called at once.
type Store interface {
	// Traits says what the store can do. It is constant while the adapter is used.
	Traits() Traits
	// Failure says what an error of any other method means.
	Failure(err error) Failure

	// Head describes an object.
	Head(ctx context.Context, name string) (*Info, error)
	// List returns one page of a listing.
	List(ctx context.Context, q Query) (*Page, error)
	// Get asks for bytes of one version of an object; "" is any. The body lives as long as ctx. A
	// span that begins behind the last byte is BadOffset, also if it begins at the end.
	Get(ctx context.Context, name string, s Span, version string) (*Content, error)
	// Write publishes an object by one request and returns its version.
	Write(ctx context.Context, o *NewObject, content ...*Part) (version string, err error)
	// Delete removes an object if it is that version; "" is any. One that is missing or has another
	// version is no error, or NotExist or Conflict.
	Delete(ctx context.Context, name, version string) error
	// Copy makes c.To a copy of one version, with its description and c's metadata. If there is more
	// to do it is to be called again with the same c.
	Copy(ctx context.Context, c *Copying) (version string, done bool, err error)
	// Move renames one version of an object, which stays as it is but for its version: only where
	// Traits.Move says so. Unsupported is an object that has to be copied.
	Move(ctx context.Context, c *Copying) (version string, err error)
	// SetMetadata changes metadata of one version: only where Traits.SetMetadata says so. On other
	// stores that is a copy of the object onto itself.
	SetMetadata(ctx context.Context, of *Info, metadata map[string]string) error
	// Compose publishes an object that is the bytes of others, one behind the other: only where
	// Traits.Compose says so.
	Compose(ctx context.Context, o *NewObject, pieces ...*Info) (version string, err error)
	// TagsOf returns the tags of an object as NewObject has them, where Info says that there are some.
	TagsOf(ctx context.Context, name string) (string, error)

	// Begin begins an upload in parts and returns the store's name for it.
	Begin(ctx context.Context, o *NewObject) (id string, err error)
	// Send sends a part.
	Send(ctx context.Context, s *Sending) (Piece, error)
	// CopyPiece makes a piece of an object a part: only where Traits.CopyPieces says so.
	CopyPiece(ctx context.Context, c *Copying, id string, number int32, s Span) (Piece, error)
	// Complete publishes an upload in parts and returns the object's version.
	Complete(ctx context.Context, c *Completion) (version string, err error)
	// Abort ends an upload in parts, so that nothing of it is left. One that is gone is no error.
	Abort(ctx context.Context, name, id string) error
	// Recover finds what a process left that ended without parking: it adds to r.Parts what follows
	// them, and sets r.Next. An upload that is not there any more is Gone.
	Recover(ctx context.Context, r *Record) error
	// AbortStrays ends uploads that were begun for a record and whose names nobody heard.
	AbortStrays(ctx context.Context, r *Record, now time.Time) error
}

// Traits are in what stores differ.
type Traits struct {
	// Conditional: single objects can be written only if none is there, or only over one version.
	Conditional bool
	// IfAbsent: so can uploads in parts. CopyIfAbsent: so can copies.
	IfAbsent, CopyIfAbsent bool
	// Hierarchy: the store is a Hierarchy too.
	Hierarchy bool
	// Move works: objects can be renamed.
	Move bool
	// SetMetadata: metadata can be changed.
	SetMetadata bool
	// Compose: an object and what follows it can be joined in the store.
	Compose bool

	// MaxCopy is the largest object that Copy takes, CopyPiece the bytes that CopyPiece is given of a
	// larger one. CopyPieces says that it works.
	MaxCopy, CopyPiece int64
	CopyPieces         bool

	// Polynomial is that of the checksums, reversed: crc32.IEEE or crc32.Castagnoli.
	Polynomial uint32
	// PartSize is the bytes of an upload's first parts. Smallest is what a part needs at least unless
	// it is the last; it and Uniform say which part may have others behind it.
	PartSize, Smallest int64
	// Uniform: all parts but the last are of PartSize.
	Uniform bool
	// Granule: parts that have others behind them are of a multiple of it; 0 is 1.
	Granule int64
	// Growth is how many times smaller a part is than what went before it, and MaxPart the largest.
	Growth, MaxPart int64
	// MaxParts is the most parts of an object; 0 is no bound.
	MaxParts int32
	// InFlight is how many parts may be on their way at once. Serial: they are sent one after the
	// other all the same, and the last one together with Complete.
	InFlight int
	Serial   bool
	// BeginConditional: the conditions of an upload in parts are given when it begins, and not when it is
	// completed.
	BeginConditional bool
	// Expires: the store forgets uploads in parts that nobody ends, and takes no money for them.
	Expires bool
}

// Failure is what an error means.
type Failure struct {
	Kind      backends.Kind
	Temporary bool
	// RequestID is the store's name for the request.
	RequestID string
	// Retry: the same request may be sent again at once.
	Retry bool
	// Unsure: the request may have taken effect.
	Unsure bool
	// Gone: an upload in parts is not there any more; it may have been completed.
	Gone bool
}

// Info describes an object in a bucket.
type Info struct {
	Name    string
	Size    int64
	Version string
	// Written is when, by the store's clock.
	Written  time.Time
	Metadata map[string]string
	Description
	// Tagged: it has tags, which Copy takes along, and other ways do not.
	Tagged bool
}

// Description is what belongs to an object's content, and goes along when it is copied.
type Description struct {
	ContentType, ContentEncoding, ContentLanguage, ContentDisposition, CacheControl string
	Class                                                                           string // of storage
}

// Query asks for a page of a listing: of names that begin with Prefix, and of folders, if there is a
// Delimiter. Token is that of the page before.
type Query struct {
	Prefix, Delimiter, Token string
	Most                     int
	NamesOnly                bool
	// Empty: folders without anything in them are wanted too, where the store has such.
	Empty bool
}

// Page is a part of a listing.
type Page struct {
	// Objects have their names in the bucket as keys, and Written or better as their time.
	Objects []backends.Object
	// Folders end with the delimiter.
	Folders []string
	More    bool
	Token   string
	// Asked is the store's time of the answer.
	Asked time.Time
}

// Content is the answer to Get.
type Content struct {
	// Info is what is known of the whole object; Size is not.
	Info
	// Length is how many bytes the body has, and From where in the object they begin.
	Length, From int64
	Body         io.ReadCloser
	// Asked is the store's time of the answer.
	Asked time.Time
}

// Span is a piece of an object: from Begin to before End. An End below 0 is the object's.
type Span struct{ Begin, End int64 }

// Header writes it as HTTP does (RFC 9110, section 14.1.2); all of the object is "".
func (s Span) Header() string {
	switch {
	case s.Begin == 0 && s.End < 0:
		return ""
	case s.End < 0:
		return fmt.Sprintf("bytes=%d-", s.Begin)
	}
	return fmt.Sprintf("bytes=%d-%d", s.Begin, s.End-1)
}

// RangeBegin is the first byte of a Content-Range; without one an answer begins at the beginning.
func RangeBegin(field string) int64 {
	first, _, _ := strings.Cut(strings.TrimPrefix(field, "bytes "), "-")
	n, _ := strconv.ParseInt(first, 10, 64)
	return n
}

// Purpose is what an object is for.
type Purpose int

// The purposes.
const (
	// File is a client's: it gets all that the configuration says of new objects.
	File Purpose = iota
	// Folder is the placeholder of a folder.
	Folder
	// Private is what the package keeps for itself.
	Private
)

// NewObject is an object that is to be written.
type NewObject struct {
	Name        string
	Purpose     Purpose
	ContentType string
	Metadata    map[string]string
	// IfAbsent and IfVersion are conditions on what has the name now.
	IfAbsent  bool
	IfVersion string
	// Like is the object whose description it gets, if any, and whose tags are LikeTags.
	Like     *Info
	LikeTags string
	// Copied: pieces of Like become parts of it.
	Copied bool
	// Class is the class of storage that it has to have; "" is the configured one.
	Class string
}

// Copying is an object that is copied.
type Copying struct {
	From     *Info
	To       string
	IfAbsent bool
	Metadata map[string]string
	// State is the store's own, from one call to the next.
	State string
}

// Sending is a part on its way.
type Sending struct {
	Upload *NewObject
	ID     string
	// Number counts from 1, Offset is that of the part's first byte in the object.
	Number int32
	Offset int64
	Part   *Part
	// Again: an attempt before may have arrived, or half of it.
	Again bool
}

// Piece is a part that the store has. A CRC of 0 is not known: some stores list none.
type Piece struct {
	Number int32  `json:"n,omitempty"`
	Size   int64  `json:"s"`
	ETag   string `json:"e,omitempty"`
	CRC    uint32 `json:"c"`
}

// Completion publishes an upload in parts.
type Completion struct {
	Upload *NewObject
	ID     string
	// Pieces are all of them in their order, Size their bytes with those of Last.
	Pieces []Piece
	Size   int64
	// CRC is that of the whole, if Checked.
	CRC     uint32
	Checked bool
	// Last is the last part where Traits.Serial; it may be empty.
	Last *Part
	// Again: an attempt before may have arrived, or half of it.
	Again bool
}
