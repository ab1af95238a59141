// Package s3fake is Amazon S3 in memory, for tests: one bucket, strict where AWS is strict, with the
// deviations of other stores as switches and with faults on any request. It verifies signatures,
// digests and conditions, because a fake that forgives hides the bugs it is there to find. What it
// does not know it refuses with 501, never with a guess.
package s3fake

import (
	"net/http"
	"time"

	"github.com/sluice-ftp/sluice/backends/storefake"
)

// Options are the bucket, its one user and how the server behaves; the zero value is a fast and
// faultless AWS.
type Options struct {
	Bucket    string // default "bucket"; any other answers NoSuchBucket
	Region    string // default "us-east-1"; requests signed for another are refused
	AccessKey string // default "testkey"
	SecretKey string // default "testsecret"
	Quirks    Quirks
	PageSize  int           // most entries of a listing page; default and most 1,000
	Latency   time.Duration // before each reply, after the effect
	Rate      int64         // bytes per second of each body, so of each connection; 0 is unlimited
	Discard   bool          // keep size and CRC-32 of bodies, not the bytes: GET returns that many zeros
	Now       func() time.Time
}

// Quirks are deviations of other stores from AWS; the zero value is AWS.
type Quirks struct {
	UniformParts              bool // R2: all parts but the last of equal size, else InvalidPart at Complete
	NoConditionalPut          bool // B2: If-None-Match and If-Match on Put are 501
	IgnoreConditionalComplete bool // GCS
	NoConditionalComplete     bool // B2: 501
	IgnoreConditionalCopy     bool // versitygw, MinIO: conditions on the destination of a copy
	IgnoreConditionalDelete   bool // MinIO
	CompleteOnce              bool // MinIO: the second Complete of an upload is NoSuchUpload
	CompleteAfterAbort        bool // versitygw: Complete of an unknown upload is 200 when the key exists
	NoChecksums               bool // R2 once, GCS: x-amz-checksum-* request headers are 501
	NoPartCopy                bool // UploadPartCopy is 501
	NoEncodingType            bool // versitygw: encoding-type=url is ignored, control characters become U+FFFD
	RepeatPrefixes            bool // a CommonPrefix that spans pages is repeated on the next
	ExactUploadPrefix         bool // MinIO: ListMultipartUploads finds an upload only by prefix == key
	NoKeyBelowObject          bool // versitygw: `a` and `a/b` cannot both exist
	NoLifecycle               bool // GetBucketLifecycleConfiguration is 501

	MinPartSize int64 // smallest part but the last; default 5 MiB
	MaxParts    int   // highest part number; default 10,000
}

// Request is one request as a fault sees it.
type Request struct {
	storefake.Request     // Op is the name in the API of S3, as "PutObject"; "Unknown" if there is none
	Part              int // of UploadPart and UploadPartCopy
}

func (r *Request) common() *storefake.Request { return &r.Request }

// Fault is what goes wrong with a request; the zero value is nothing. Stall comes first, then
// Before, Status and BodyError, of which the first that is set counts, then the operation with
// FlipBit, then Delay and Latency, then After, CutBody and StallBody.
type Fault struct {
	// Status and Code answer with this error and do nothing. One is enough: the other is what
	// goes with it.
	Status int
	Code   string

	Before bool // close the connection and do nothing; the body may be partly read
	After  bool // do it, then close the connection without a reply

	// BodyError answers 200 with an error of this code as body and does nothing, as AWS does on
	// CompleteMultipartUpload, CopyObject and UploadPartCopy.
	BodyError string

	CutBody int64 // > 0: of the reply's body send only so many bytes, then close the connection
	FlipBit bool  // the first byte of the request's body arrives changed

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

// Upload is an open multipart upload.
type Upload struct {
	Key, ID   string
	Parts     int
	Initiated time.Time
	Metadata  map[string]string
}

// Object is what is stored at a key.
type Object struct {
	Data         []byte // nil with Options.Discard
	Size         int64
	ETag         string // with its quotes
	CRC32        uint32
	Metadata     map[string]string // x-amz-meta-*, names without the prefix in lower case
	Header       http.Header       // Content-Type, X-Amz-Storage-Class, X-Amz-Tagging, ... as sent
	LastModified time.Time         // whole seconds, as at AWS
}
