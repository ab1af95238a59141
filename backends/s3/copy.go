package s3

import (
	"cmp"
	"context"
	"crypto/rand"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-ftp/sluice/backends"
)

const (
	// maxCopy is the largest object that S3 copies by one request.
	maxCopy = 5 * gib
	// copyPart is what one request copies of a larger one.
	copyPart = 512 * mib
	// copiers is how many of them are on their way at once.
	copiers = 16
)

// copying is the patience with a copy: the store works for minutes, and is silent meanwhile.
var copying = patience{attempt: 10 * time.Minute, total: 15 * time.Minute}

// Copy implements backends.CloudStorageAdapter.
func (a *Adapter) Copy(ctx context.Context, from, to string, o backends.CopyOptions) (backends.Object, error) {
	obj, err := a.copy(ctx, from, to, o)
	return obj, translate("copy", from, err)
}

func (a *Adapter) copy(ctx context.Context, from, to string, o backends.CopyOptions) (backends.Object, error) {
	var none backends.Object
	if err := a.begin(ctx, from, to); err != nil {
		return none, err
	}
	if o.IfAbsent && !a.Capabilities().IfAbsent {
		return none, fault(backends.Unsupported, nil)
	}
	if from == "" || to == "" {
		return none, fault(backends.IsDir, nil)
	}
	looking, cancel := context.WithCancel(ctx)
	defer cancel()
	folder := a.ask(looking, asking, to)
	head, err := a.head(ctx, from)
	f := <-folder
	switch {
	case isMissing(err):
		return none, a.isFolder(ctx, from, err)
	case err != nil:
		return none, err
	case f.err != nil:
		return none, f.err
	case f.exists:
		return none, fault(backends.IsDir, nil)
	}
	return a.copyObject(ctx, object(from, head), head, to, o.IfAbsent)
}

// copyObject copies one version, which head describes. The new object gets the time of the old.
func (a *Adapter) copyObject(
	ctx context.Context, from backends.Object, head *s3.HeadObjectOutput, to string, ifAbsent bool,
) (backends.Object, error) {
	return a.copyAs(ctx, from, head, to, ifAbsent, rand.Text())
}

// copyAs does it with a token that says whose copy it is.
func (a *Adapter) copyAs(
	ctx context.Context, from backends.Object, head *s3.HeadObjectOutput, to string, ifAbsent bool, token string,
) (backends.Object, error) {
	c := &objectCopy{adapter: a, from: from, head: head, to: to, ifAbsent: ifAbsent, token: token}
	c.metadata = maps.Clone(head.Metadata)
	if c.metadata == nil {
		c.metadata = map[string]string{}
	}
	c.metadata[metaModTime] = formatModTime(from.ModTime)
	c.metadata[metaToken] = c.token
	etag, err := c.run(ctx)
	if err != nil {
		return backends.Object{}, err
	}
	return backends.Object{Key: to, Size: from.Size, ModTime: from.ModTime, Version: etag}, nil
}

// objectCopy is one object being copied.
type objectCopy struct {
	adapter  *Adapter
	from     backends.Object
	head     *s3.HeadObjectOutput
	to       string
	ifAbsent bool
	token    string
	metadata map[string]string
}

func (c *objectCopy) run(ctx context.Context) (etag string, err error) {
	a := c.adapter
	switch {
	case c.from.Size <= a.maxCopy && (!c.ifAbsent || a.Profile.ConditionalCopy):
		return c.whole(ctx)
	case c.from.Size == 0:
		return c.empty(ctx)
	case !a.Profile.PartCopy:
		return "", fault(backends.Unsupported, nil)
	}
	return c.parts(ctx)
}

// publish makes the copy visible by do.
func (c *objectCopy) publish(ctx context.Context, p patience, do func(ctx context.Context) (string, error)) (string, error) {
	w := &writing{
		adapter: c.adapter, full: c.adapter.full(c.to), token: c.token, ifAbsent: c.ifAbsent, patience: p, do: do,
	}
	return w.publish(ctx)
}

// source names what is copied: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
func (c *objectCopy) source() *string {
	elements := strings.Split(c.adapter.full(c.from.Key), "/")
	for i, e := range elements {
		elements[i] = strings.ReplaceAll(url.QueryEscape(e), "+", "%20")
	}
	return aws.String(url.QueryEscape(c.adapter.Bucket) + "/" + strings.Join(elements, "/"))
}

func (c *objectCopy) absent() *string {
	if c.ifAbsent {
		return aws.String("*")
	}
	return nil
}

// class is the configured one, or the source's: a rename is no reason for another price.
func (c *objectCopy) class() types.StorageClass {
	return cmp.Or(c.adapter.class(), c.head.StorageClass)
}

// tags are the source's, as a header, for where the store does not copy them by itself.
func (c *objectCopy) tags(ctx context.Context) (string, error) {
	if aws.ToInt32(c.head.TagCount) == 0 {
		return "", nil
	}
	a := c.adapter
	var out *s3.GetObjectTaggingOutput
	err := retry(ctx, asking, func(ctx context.Context) (err error) {
		out, err = a.client.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{
			Bucket: &a.Bucket, Key: aws.String(a.full(c.from.Key)), RequestPayer: a.payer(),
		})
		return err
	})
	if err != nil {
		return "", err
	}
	v := url.Values{}
	for _, tag := range out.TagSet {
		v.Set(aws.ToString(tag.Key), aws.ToString(tag.Value))
	}
	return v.Encode(), nil
}

// describeObject has a new object described as the source is.
func (c *objectCopy) describeObject(h http.Header, tags string) {
	for name, value := range map[string]*string{
		"Content-Type": c.head.ContentType, "Content-Encoding": c.head.ContentEncoding,
		"Content-Language": c.head.ContentLanguage, "Content-Disposition": c.head.ContentDisposition,
		"Cache-Control": c.head.CacheControl,
	} {
		set(h, name, aws.ToString(value))
	}
	h.Del("X-Amz-Tagging")
	set(h, "X-Amz-Tagging", tags)
	set(h, "X-Amz-Storage-Class", string(c.class()))
}

// describeUpload does the same for one in parts into which the source is copied. Some servers cannot
// do that if it was begun with checksums.
func (c *objectCopy) describeUpload(in *s3.CreateMultipartUploadInput, tags string) {
	in.ContentType, in.ContentEncoding, in.ContentLanguage = c.head.ContentType, c.head.ContentEncoding, c.head.ContentLanguage
	in.ContentDisposition, in.CacheControl = c.head.ContentDisposition, c.head.CacheControl
	in.Tagging, in.StorageClass = optional(tags), c.class()
	in.ChecksumAlgorithm, in.ChecksumType = "", ""
}

// whole copies by one request.
func (c *objectCopy) whole(ctx context.Context) (string, error) {
	a := c.adapter
	in := &s3.CopyObjectInput{
		Bucket: &a.Bucket, Key: aws.String(a.full(c.to)), CopySource: c.source(), CopySourceIfMatch: &c.from.Version,
		IfNoneMatch: c.absent(), RequestPayer: a.payer(),
		MetadataDirective: types.MetadataDirectiveReplace, Metadata: c.metadata,
		ContentType: c.head.ContentType, ContentEncoding: c.head.ContentEncoding, ContentLanguage: c.head.ContentLanguage,
		ContentDisposition: c.head.ContentDisposition, CacheControl: c.head.CacheControl,
		StorageClass: c.class(), ServerSideEncryption: a.sse(), SSEKMSKeyId: a.kmsKey(), BucketKeyEnabled: a.bucketKey(),
		ACL: a.acl(),
	}
	return c.publish(ctx, copying, func(ctx context.Context) (string, error) {
		out, err := a.client.CopyObject(ctx, in)
		if err != nil {
			return "", err
		}
		if out.CopyObjectResult == nil {
			return "", errNoVersion
		}
		return version(out.CopyObjectResult.ETag)
	})
}

// empty writes an object of no bytes: there is nothing to copy parts of.
func (c *objectCopy) empty(ctx context.Context) (string, error) {
	a := c.adapter
	tags, err := c.tags(ctx)
	if err != nil {
		return "", err
	}
	h := a.newObject(c.metadata)
	c.describeObject(h, tags)
	set(h, "If-None-Match", aws.ToString(c.absent()))
	return c.publish(ctx, asking, func(ctx context.Context) (string, error) {
		return a.writeSmall(ctx, a.full(c.to), h, nil)
	})
}

// parts copies in parts, several at once. It is also the way to copy if nothing is there on a server
// that only knows conditions for uploads.
func (c *objectCopy) parts(ctx context.Context) (etag string, err error) {
	a := c.adapter
	tags, err := c.tags(ctx)
	if err != nil {
		return "", err
	}
	in := a.newUpload(c.to, c.metadata)
	c.describeUpload(in, tags)
	record := &record{Key: *in.Key, name: a.private("uploads/" + c.token)}
	defer func() { a.endUpload(ctx, record, err == nil) }()
	if err := a.startParts(ctx, record, in); err != nil {
		return "", err
	}
	var pieces []span
	for begin := int64(0); begin < c.from.Size; begin += a.copyPart {
		pieces = append(pieces, span{begin, min(begin+a.copyPart, c.from.Size)})
	}
	parts, err := c.copyParts(ctx, record, pieces)
	if err != nil {
		return "", err
	}
	done := a.newComplete(record, parts, c.from.Size)
	done.IfNoneMatch = c.absent()
	return c.publish(ctx, finishing, func(ctx context.Context) (string, error) { return a.completeUpload(ctx, done) })
}

// copyParts makes pieces of the source the first parts of an upload, several at once.
func (c *objectCopy) copyParts(ctx context.Context, record *record, pieces []span) ([]keptPart, error) {
	if len(pieces) > maxParts {
		return nil, fault(backends.TooLarge, errParts)
	}
	parts := make([]keptPart, len(pieces))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(copiers)
	for i, piece := range pieces {
		g.Go(func() (err error) {
			parts[i], err = c.copyPart(ctx, record, int32(i)+1, piece)
			return err
		})
	}
	return parts, g.Wait()
}

func (c *objectCopy) copyPart(ctx context.Context, record *record, number int32, piece span) (keptPart, error) {
	a := c.adapter
	in := &s3.UploadPartCopyInput{
		Bucket: &a.Bucket, Key: aws.String(a.full(c.to)), UploadId: &record.UploadID, PartNumber: &number,
		CopySource: c.source(), CopySourceIfMatch: &c.from.Version, RequestPayer: a.payer(),
	}
	if piece.end-piece.begin < c.from.Size { // S3 takes no range of an object below 5 MiB
		in.CopySourceRange = aws.String(piece.header())
	}
	part := keptPart{Number: number, Size: piece.end - piece.begin}
	err := retry(ctx, copying, func(ctx context.Context) error {
		out, err := a.client.UploadPartCopy(ctx, in)
		if err != nil {
			return err
		}
		if out.CopyPartResult == nil || out.CopyPartResult.ETag == nil {
			return errNoVersion
		}
		part.ETag = *out.CopyPartResult.ETag
		return nil
	})
	return part, err
}

// SetModTime implements backends.CloudStorageAdapter: a copy onto itself, because S3 changes no
// metadata. Beyond the size of a single copy that would be a rewriting in parts, and is refused.
func (a *Adapter) SetModTime(ctx context.Context, key string, t time.Time) error {
	return translate("settime", key, a.setModTime(ctx, key, t))
}

func (a *Adapter) setModTime(ctx context.Context, key string, t time.Time) error {
	if err := a.begin(ctx, key); err != nil {
		return err
	}
	if key == "" {
		return fault(backends.IsDir, nil)
	}
	head, err := a.head(ctx, key)
	if isMissing(err) {
		return a.isFolder(ctx, key, err)
	}
	if err != nil {
		return err
	}
	obj := object(key, head)
	if obj.Size > a.maxCopy {
		return fault(backends.Unsupported, nil)
	}
	obj.ModTime = t
	_, err = a.copyObject(ctx, obj, head, key, false)
	return err
}
