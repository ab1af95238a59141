package s3

import (
	"maps"
	"slices"
)

// Profile is what a server can do. Servers that say they speak S3 differ; `sluice doctor` finds out.
type Profile struct {
	// Name is what the configuration calls it.
	Name string
	// ConditionalPut: PutObject honours If-None-Match and If-Match, ConditionalComplete
	// CompleteMultipartUpload, ConditionalCopy CopyObject's target.
	ConditionalPut, ConditionalComplete, ConditionalCopy bool
	// ConditionalDelete: DeleteObject honours If-Match.
	ConditionalDelete bool
	// Checksums: the server checks x-amz-checksum-crc32 of objects and parts, and of a whole
	// multipart upload.
	Checksums bool
	// PartCopy: UploadPartCopy works.
	PartCopy bool
	// UniformParts: all parts of an upload but the last have to be of one size.
	UniformParts bool
	// CompleteTwice: a CompleteMultipartUpload that succeeded may be repeated.
	CompleteTwice bool
	// ObjectSize: CompleteMultipartUpload checks the whole size.
	ObjectSize bool
	// AbortByRule: the server has lifecycle rules for stale multipart uploads.
	AbortByRule bool
}

// IfAbsent says whether the server can write an object only if there is none of that name.
func (p Profile) IfAbsent() bool { return p.ConditionalPut && p.ConditionalComplete }

// profiles are the servers that are known. What the sources disagree on is given as the weaker.
var profiles = map[string]Profile{
	"aws": {
		ConditionalPut: true, ConditionalComplete: true, ConditionalCopy: true, ConditionalDelete: true,
		Checksums: true, PartCopy: true, CompleteTwice: true, ObjectSize: true, AbortByRule: true,
	},
	"minio": {ConditionalPut: true, ConditionalComplete: true, Checksums: true, PartCopy: true},
	"versity": {
		ConditionalPut: true, ConditionalComplete: true, ConditionalDelete: true,
		Checksums: true, PartCopy: true, CompleteTwice: true, ObjectSize: true,
	},
	"r2":      {ConditionalPut: true, ConditionalComplete: true, PartCopy: true, UniformParts: true, AbortByRule: true},
	"ceph":    {PartCopy: true, AbortByRule: true},
	"b2":      {PartCopy: true},
	"wasabi":  {PartCopy: true, AbortByRule: true},
	"gcs":     {AbortByRule: true},
	"generic": {PartCopy: true},
}

// ProfileByName returns a known profile.
func ProfileByName(name string) (Profile, bool) {
	p, ok := profiles[name]
	p.Name = name
	return p, ok
}

// ProfileNames returns the names of the known profiles, in order.
func ProfileNames() []string { return slices.Sorted(maps.Keys(profiles)) }
