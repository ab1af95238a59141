// Package gcsfake is Google Cloud Storage's JSON API in memory, for tests: one bucket, strict where
// Google is strict, with deviations as switches and with faults on any request. It verifies tokens,
// checksums and preconditions, because a fake that forgives hides the bugs it is there to find. What
// it does not know it refuses with 501, never with a guess. It is the twin of backends/s3fake.
package gcsfake

import (
	"net/http"
	"time"

	"github.com/sluice-ftp/sluice/backends/storefake"
)

// Options are the bucket, its one user and how the server behaves; the zero value is a fast and
// faultless Google.
type Options struct {
	Bucket        string // default "bucket"; any other is notFound
	Token         string // default "testtoken": what requests carry as Authorization: Bearer
	NoAuth        bool   // requests without Authorization are served as well
	Hierarchical  bool   // the bucket has a hierarchical namespace: folders are things of their own
	RequesterPays bool   // requests have to say userProject
	Quirks        Quirks
	PageSize      int           // most entries of a listing page; default and most 1,000
	Latency       time.Duration // before each reply, after the effect
	Rate          int64         // bytes per second of each body, so of each connection; 0 is unlimited
	Discard       bool          // keep size and CRC-32C of contents, not the bytes: a read returns that many zeros
	Now           func() time.Time
}

// Quirks are what Google does at times and in places; the zero value is Google on a good day.
type Quirks struct {
	RepeatPrefixes bool // a prefix that spans pages is repeated on the next
	PersistNothing bool // of a chunk that breaks off nothing is kept, not even whole granules
	RateLimit      bool // a second write to a name within a second is rateLimitExceeded; deleting is none
	NoMove         bool // moving an object is 400
	SlowRename     bool // a folder is renamed when its operation is asked for the second time

	RewriteStep int64 // most bytes that one request rewrites; default 1 TiB
}

// Request is one request as a fault sees it. Op is the name of the method in the JSON API, as
// "objects.get"; with "objects.media", "session.start", "session.put", "session.status",
// "session.cancel", "token" and "generateAccessToken" for what has no such name, and "Unknown" for
// what this package does not know. Key is an object or a folder: of a copy, a move, a composition
// and a renaming what it becomes. Index is in order of arrival; what describes an object that is to
// be made has arrived by then.
type Request = storefake.Request

// Fault is what goes wrong with a request; the zero value is nothing. Stall comes first, then
// Before and Status, of which the first that is set counts, then the operation with FlipBit, then
// Delay and Latency, then After, CutBody and StallBody.
type Fault struct {
	// Status and Reason answer with this error and do nothing. One is enough: the other is what goes
	// with it. Reason is Google's word for the cause, as "backendError".
	Status int
	Reason string

	Before bool // close the connection and do nothing; the body may be partly read
	After  bool // do it, then close the connection without a reply

	CutBody int64 // > 0: of the reply's body send only so many bytes, then close the connection
	FlipBit bool  // the first byte of the content in the request's body arrives changed

	// Stall does nothing and answers nothing until it is closed or the client has hung up; then the
	// request goes on as if it were no fault, unless the server closes. As long as a request's body
	// is unread nobody sees that its client has hung up.
	Stall <-chan struct{}

	StallBody <-chan struct{} // send headers and half the body, wait like Stall, send the rest
	Delay     time.Duration   // before the reply, after the effect, beside Options.Latency
}

// wire is the part of the fault that is the same for every fake.
func (f Fault) wire() storefake.Fault {
	return storefake.Fault{
		Before: f.Before, After: f.After, CutBody: f.CutBody, FlipBit: f.FlipBit,
		Stall: f.Stall, StallBody: f.StallBody, Delay: f.Delay,
	}
}

// Session is an open resumable upload.
type Session struct {
	Name, ID string
	Size     int64 // bytes that are persisted
	Begun    time.Time
	Metadata map[string]string
}

// Object is what is stored under a name.
type Object struct {
	Data           []byte // nil with Options.Discard
	Size           int64
	Generation     int64
	Metageneration int64
	ETag           string
	CRC32C         uint32
	MD5            []byte // nil for what was composed, and with Options.Discard unless somebody said it
	Components     int    // 0 for what was not composed
	Metadata       map[string]string
	Header         http.Header // Content-Type, Cache-Control, X-Goog-Storage-Class, ... as a reader gets them
	KMSKey         string      // with its version
	Created        time.Time   // milliseconds, as at Google
	LastModified   time.Time
}
