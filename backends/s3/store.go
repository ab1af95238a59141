package s3

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
)

// Bounds of S3: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
const (
	smallestPart = 5 * mib
	maxParts     = 10_000
	// maxCopy is the largest object that is copied by one request.
	maxCopy = 5 * gib
)

const (
	mib = 1 << 20
	gib = 1 << 30

	// minPart is the size of the first parts where memory allows. Larger ones cost as much a byte,
	// and wait longer before they leave.
	minPart = 8 * mib
	// maxPart bounds what one part holds of the budget; an object grows to 910 GiB with it.
	maxPart = 128 * mib
	// uniformPart is every part's size where all have to be of one; 10,000 of them are 156 GiB.
	uniformPart = 16 * mib
	// growth: a part is this much smaller than what went before, so that an upload whose end nobody
	// knows does not run out of parts.
	growth = 1000
	// inFlight is how many parts of one upload are on their way at once.
	inFlight = 16
	// copyPart is what one request copies of an object that is too large for one.
	copyPart = 512 * mib
)

// store is a bucket as S3 has it.
type store struct {
	Config
	client *s3.Client
	hot    *hot
	// maxCopy and the next are the bounds of the same names, which tests make small.
	maxCopy, copyPart, partSize, smallest int64
}

var _ bucket.Store = (*store)(nil)

// Traits implements bucket.Store.
func (s *store) Traits() bucket.Traits {
	p := s.Profile
	return bucket.Traits{
		Conditional: p.ConditionalPut, IfAbsent: p.IfAbsent(), CopyIfAbsent: p.ConditionalCopy,
		MaxCopy: s.maxCopy, CopyPiece: s.copyPart, CopyPieces: p.PartCopy,
		Polynomial: crc32.IEEE, PartSize: s.partSize, Smallest: s.smallest, Uniform: p.UniformParts,
		Growth: growth, MaxPart: maxPart, MaxParts: maxParts, InFlight: inFlight,
	}
}

// firstPart is the size of an upload's first parts, or of all: less than it might be if the budget has
// no room for two.
func (c *Config) firstPart() int64 {
	size := int64(minPart)
	if c.Profile.UniformParts {
		size = uniformPart
	}
	if c.Memory != nil {
		size = min(size, c.Memory.Parts()/2)
	}
	return max(size, smallestPart)
}

// Head implements bucket.Store.
func (s *store) Head(ctx context.Context, name string) (*bucket.Info, error) {
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.Bucket, Key: &name, RequestPayer: s.payer()})
	if kind, _ := classify(err); err != nil && (kind == backends.Permission || kind == backends.Misconfigured) {
		// The answer to HEAD has no body: another question tells more.
		if _, listErr := s.hot.list(ctx, bucket.Query{Prefix: name, Most: 1}); listErr != nil {
			err = listErr
		}
	}
	if err != nil {
		return nil, err
	}
	return &bucket.Info{ // versitygw has no ETag of what was put into its folder
		Name: name, Size: aws.ToInt64(out.ContentLength), Version: aws.ToString(out.ETag),
		Written: aws.ToTime(out.LastModified), Metadata: out.Metadata, Tagged: aws.ToInt32(out.TagCount) > 0,
		Description: bucket.Description{
			ContentType: aws.ToString(out.ContentType), ContentEncoding: aws.ToString(out.ContentEncoding),
			ContentLanguage: aws.ToString(out.ContentLanguage), ContentDisposition: aws.ToString(out.ContentDisposition),
			CacheControl: aws.ToString(out.CacheControl), Class: string(out.StorageClass),
		},
	}, nil
}

// Get implements bucket.Store.
func (s *store) Get(ctx context.Context, name string, span bucket.Span, version string) (*bucket.Content, error) {
	r := request{method: http.MethodGet, full: name, header: make(http.Header)}
	set(r.header, "Range", span.Header())
	set(r.header, "If-Match", version)
	resp, err := s.hot.do(ctx, r) //nolint:bodyclose // the caller does
	if err != nil {
		return nil, err
	}
	h := resp.Header
	written, _ := http.ParseTime(h.Get("Last-Modified")) // without one there is none
	c := &bucket.Content{
		Info:   bucket.Info{Name: name, Version: h.Get("ETag"), Written: written},
		Length: resp.ContentLength, Body: resp.Body, Asked: bucket.ServerTime(h),
	}
	if t := h.Get("X-Amz-Meta-" + bucket.MetaModTime); t != "" {
		c.Metadata = map[string]string{bucket.MetaModTime: t}
	}
	c.From = bucket.RangeBegin(h.Get("Content-Range"))
	return c, nil
}

// Write implements bucket.Store. A file is known by its CRC; what is small and ours by its signature.
func (s *store) Write(ctx context.Context, o *bucket.NewObject, content ...*bucket.Part) (string, error) {
	r := request{full: o.Name, header: s.newHeader(o), body: content, hash: unsigned}
	switch {
	case o.Purpose != bucket.File || len(content) == 0:
		r.hash = hashOf(content...)
	case s.Profile.Checksums:
		r.header.Set(headerCRC, bucket.Base64(content[0].CRC()))
	}
	if o.IfAbsent {
		r.header.Set("If-None-Match", "*")
	}
	set(r.header, "If-Match", o.IfVersion)
	etag, err := s.hot.write(ctx, r)
	return etag, s.doubtFolder(ctx, o.Name, err)
}

// doubtFolder has a request tried again that was refused because of a folder which is not there: versitygw
// says so of whatever its file system could not do when it gave the object its name.
func (s *store) doubtFolder(ctx context.Context, name string, err error) error {
	if code(err) != "ExistingObjectIsDirectory" || strings.HasSuffix(name, "/") {
		return err
	}
	page, failed := s.List(ctx, bucket.Query{Prefix: name + "/", Most: 1})
	if failed != nil || len(page.Objects) > 0 {
		return err
	}
	return fmt.Errorf("%w: %v", errNoFolder, err) //nolint:errorlint // its code is not to be believed
}

var errNoFolder = errors.New("the store took the name for a folder, and there is none")

// Delete implements bucket.Store. S3 is content with a name that has gone.
func (s *store) Delete(ctx context.Context, name, version string) error {
	in := &s3.DeleteObjectInput{Bucket: &s.Bucket, Key: &name, RequestPayer: s.payer()}
	switch {
	case version == "":
	case s.Profile.ConditionalDelete:
		in.IfMatch = &version
	default:
		if info, err := s.Head(ctx, name); err != nil || info.Version != version {
			return err
		}
	}
	_, err := s.client.DeleteObject(ctx, in)
	return err
}

// TagsOf implements bucket.Store.
func (s *store) TagsOf(ctx context.Context, name string) (string, error) {
	out, err := s.client.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: &s.Bucket, Key: &name, RequestPayer: s.payer()})
	if err != nil {
		return "", err
	}
	v := url.Values{}
	for _, tag := range out.TagSet {
		v.Set(aws.ToString(tag.Key), aws.ToString(tag.Value))
	}
	return v.Encode(), nil
}

// Move implements bucket.Store: S3 renames nothing.
func (s *store) Move(context.Context, *bucket.Copying) (string, error) {
	return "", bucket.Fault(backends.Unsupported, nil)
}

// SetMetadata implements bucket.Store: S3 changes none.
func (s *store) SetMetadata(context.Context, *bucket.Info, map[string]string) error {
	return bucket.Fault(backends.Unsupported, nil)
}

// Compose implements bucket.Store: S3 joins nothing but parts.
func (s *store) Compose(context.Context, *bucket.NewObject, ...*bucket.Info) (string, error) {
	return "", bucket.Fault(backends.Unsupported, nil)
}
