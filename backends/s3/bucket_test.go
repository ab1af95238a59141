package s3_test

import (
	"cmp"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/sluice-ftp/sluice/backends/bucket"
	"github.com/sluice-ftp/sluice/backends/buckettest"
	"github.com/sluice-ftp/sluice/backends/s3"
	"github.com/sluice-ftp/sluice/backends/s3fake"
)

// fake is an s3fake in the words of buckettest.
type fake struct{ *s3fake.Server }

// ops are what operations are for.
var ops = map[string]string{
	"PutObject": buckettest.Write, "HeadObject": buckettest.Head, "GetObject": buckettest.Get,
	"DeleteObject": buckettest.Delete, "ListObjectsV2": buckettest.List, "CopyObject": buckettest.Copy,
	"CreateMultipartUpload": buckettest.Begin, "UploadPart": buckettest.SendPart, "UploadPartCopy": buckettest.CopyPart,
	"CompleteMultipartUpload": buckettest.Complete, "AbortMultipartUpload": buckettest.Abort,
}

func inCommon(r s3fake.Request) buckettest.Request {
	q := buckettest.Request{Request: r.Request, Part: -1}
	q.Op = cmp.Or(ops[r.Op], r.Op)
	if q.Op == buckettest.Write || q.Op == buckettest.SendPart {
		q.Part = r.Part
	}
	return q
}

// OnRequest implements buckettest.Fake.
func (f fake) OnRequest(each func(buckettest.Request) buckettest.Fault) {
	f.Server.OnRequest(func(r s3fake.Request) s3fake.Fault {
		x := each(inCommon(r))
		return s3fake.Fault{
			Status: x.Status, Code: x.Code, Before: x.Before, After: x.After, CutBody: x.CutBody, FlipBit: x.FlipBit,
			Stall: x.Stall, StallBody: x.StallBody, Delay: x.Delay,
		}
	})
}

// Requests implements buckettest.Fake.
func (f fake) Requests() []buckettest.Request {
	var all []buckettest.Request
	for _, r := range f.Server.Requests() {
		all = append(all, inCommon(r))
	}
	return all
}

// Object implements buckettest.Fake.
func (f fake) Object(key string) (buckettest.Object, bool) {
	o, ok := f.Server.Object(key)
	return buckettest.Object{Data: o.Data, Size: o.Size, CRC: o.CRC32, Version: o.ETag, Metadata: o.Metadata}, ok
}

// Uploads implements buckettest.Fake.
func (f fake) Uploads() []buckettest.Upload {
	var all []buckettest.Upload
	for _, u := range f.Server.Uploads() {
		all = append(all, buckettest.Upload{Key: u.Key, ID: u.ID})
	}
	return all
}

// quirks are of the servers that the profiles are for, as the suites want them.
var quirks = map[string]s3fake.Quirks{
	"minio": {IgnoreConditionalCopy: true, IgnoreConditionalDelete: true, CompleteOnce: true, ExactUploadPrefix: true},
	"r2":    {UniformParts: true, NoChecksums: true},
}

// opened is an adapter of a Setup.
func opened(t testing.TB, setup buckettest.Setup, change ...func(*s3.Config)) *s3.Adapter {
	t.Helper()
	c := configAt(t, setup.Endpoint)
	c.Profile, _ = s3.ProfileByName(cmp.Or(setup.Variant, "aws"))
	if setup.Change != nil {
		setup.Change(&c.Config)
	}
	for _, change := range change {
		change(&c)
	}
	c.Transport = setup.Wired(c.Transport)
	a, err := s3.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	if setup.Part > 0 {
		a.SetSizes(setup.Part, setup.Whole, setup.Part)
	}
	return a
}

// strangers begins uploads that are not ours.
func strangers(b *buckettest.Bubble) {
	b.Helper()
	if b.Options.Variant == "r2" {
		return // for it has no checksums
	}
	client := opened(b, b.Setup()).Client()
	begin := func(key string, part string) {
		out, err := client.CreateMultipartUpload(b.Context(), &sdk.CreateMultipartUploadInput{
			Bucket: aws.String("bucket"), Key: &key,
			ChecksumAlgorithm: types.ChecksumAlgorithmCrc32, ChecksumType: types.ChecksumTypeFullObject,
		})
		if err != nil {
			b.Fatal(err)
		}
		if part != "" {
			sendPart(b, client, buckettest.Upload{Key: key, ID: *out.UploadId}, 1, part)
		}
	}
	begin("k", "") // long before anything of ours
	b.Pass(time.Hour)
	begin("k", "part")
	begin("k2", "")
	begin("k/2", "part")
	begin("d", "")
}

func sendPart(b *buckettest.Bubble, client *sdk.Client, u buckettest.Upload, number int32, content string) {
	b.Helper()
	if _, err := client.UploadPart(b.Context(), &sdk.UploadPartInput{
		Bucket: aws.String("bucket"), Key: &u.Key, UploadId: &u.ID, PartNumber: &number, Body: strings.NewReader(content),
	}); err != nil {
		b.Error(err)
	}
}

// arriveLate sends content as the parts behind those that are kept, of which the first is of testPart.
func arriveLate(b *buckettest.Bubble, u buckettest.Upload, kept int64, content string) {
	b.Helper()
	client := opened(b, b.Setup()).Client()
	first := int32(2)
	if kept > testPart {
		first++
	}
	for number := range int32(10) {
		sendPart(b, client, u, first+number, content[:testPart])
	}
}

var kind = buckettest.Kind{
	New: func(o buckettest.Options) buckettest.Fake {
		q := quirks[o.Variant]
		q.MinPartSize = testPart
		return fake{s3fake.New(s3fake.Options{Quirks: q, PageSize: o.PageSize, Rate: o.Rate, Discard: o.Discard})}
	},
	Open: func(t testing.TB, s buckettest.Setup) *bucket.Adapter { return opened(t, s).Adapter },

	KilledInParts: []string{"minio", "r2"}, Lost: []string{"minio"}, Continued: []string{"minio", "versity", "r2"},
	Small: slices.DeleteFunc(s3.ProfileNames(), func(name string) bool { return name == "aws" }),

	SlowDown: "SlowDown", Internal: "InternalError", Denied: "AccessDenied", Unreadable: []string{"InvalidObjectState", "AccessDenied"},
	Oops:       "<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>",
	Pinned:     func(r buckettest.Request) string { return r.Header.Get("If-Match") },
	Polynomial: crc32.IEEE,

	CopiesLarge: buckettest.Complete, RenamesSmall: buckettest.Copy, RenamesLarge: buckettest.Complete,
	AppendsParts: buckettest.Complete, AtOnce: 16, WideTime: 30 * time.Second,
	Requests: map[string]buckettest.Cost{
		"put small": buckettest.Asks(2, "list, write"), "put a page": buckettest.Asks(2, "list, write"),
		// The record of the upload is written before it, with its name, and goes at the end.
		"put in parts": buckettest.Asks(6, "begin, complete, delete, list, part, part, write, write"),
		"stat":         buckettest.Asks(1, "head, list"), "stat of a folder": buckettest.Asks(1, "head, list"),
		"list": buckettest.Asks(1, "list"), "open and read": buckettest.Asks(1, "get"), "remove": buckettest.Asks(3, "delete, head, list, list"),
		"mkdir": buckettest.Asks(2, "head, list, write"), "set the time": buckettest.Asks(2, "copy, head"), "copy": buckettest.Asks(2, "copy, head, list"),
		"rename": buckettest.Asks(6, "copy, delete, head, head, head, list, list, list"),
	},
	Appends: []buckettest.Append{
		{Name: "less than a part", Size: testPart, Offset: testPart - 1, Read: true},
		{Name: "a part", Size: testPart, Offset: testPart, Op: buckettest.CopyPart, Times: 1},
		{Name: "to the end of many", Size: 10*testPart + 7, Offset: 10*testPart + 7, Op: buckettest.CopyPart, Times: 10},
		{Name: "to the middle of many", Size: 10 * testPart, Offset: 5*testPart + 1, Op: buckettest.CopyPart, Times: 5},
		{Name: "parts of one size", Variant: "r2", Size: 10 * testPart, Offset: 5*testPart + 9, Op: buckettest.CopyPart, Times: 5, Read: true},
	},
	Stranger: strangers, Late: arriveLate,
}

func TestBucket(t *testing.T) { buckettest.Run(t, kind) }
