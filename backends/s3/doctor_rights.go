package s3

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
)

// right is what a request needs at AWS, and whether on the bucket or on its objects.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
type right struct {
	action string
	bucket bool
}

var rights = map[string]right{
	"ListObjectsV2":                   {"s3:ListBucket", true},
	"HeadBucket":                      {"s3:ListBucket", true},
	"ListMultipartUploads":            {"s3:ListBucketMultipartUploads", true},
	"GetBucketLifecycleConfiguration": {"s3:GetLifecycleConfiguration", true},
	"GetObject":                       {"s3:GetObject", false},
	"HeadObject":                      {"s3:GetObject", false},
	"GetObjectTagging":                {"s3:GetObjectTagging", false},
	"PutObject":                       {"s3:PutObject", false},
	"CreateMultipartUpload":           {"s3:PutObject", false},
	"UploadPart":                      {"s3:PutObject", false},
	"CompleteMultipartUpload":         {"s3:PutObject", false},
	"CopyObject":                      {"s3:GetObject and s3:PutObject", false},
	"UploadPartCopy":                  {"s3:GetObject and s3:PutObject", false},
	"DeleteObject":                    {"s3:DeleteObject", false},
	"AbortMultipartUpload":            {"s3:AbortMultipartUpload", false},
	"ListParts":                       {"s3:ListMultipartUploadParts", false},
}

// missingRight names what a request was refused for.
func (d *doctor) missingRight(err error) string {
	var op *smithy.OperationError
	if !errors.As(err, &op) || rights[op.OperationName].action == "" {
		return "give the credentials the rights of docs/backends.md"
	}
	r := rights[op.OperationName]
	actions, on := r.action, "arn:aws:s3:::"+d.s.Bucket
	if !r.bucket {
		on += "/" + d.s.Prefix + "*"
	}
	writes := strings.HasSuffix(r.action, "s3:PutObject")
	if writes && len(d.s.Tags) > 0 {
		actions += ", s3:PutObjectTagging, s3:GetObjectTagging"
	}
	if writes && d.s.ACL != "" {
		actions += ", s3:PutObjectAcl"
	}
	todo := "give the credentials " + actions + " on " + on
	if !r.bucket && d.s.SSE == string(types.ServerSideEncryptionAwsKms) {
		todo += ", and kms:GenerateDataKey and kms:Decrypt on the key"
	}
	return todo
}

func (d *doctor) list(ctx context.Context, _ string) (answer, error) {
	return answer{}, bucket.Once(ctx, bucket.Asking.Attempt, func(ctx context.Context) error {
		_, err := d.ourPage(ctx)
		return err
	})
}

// missingKey: a store that does not show who may not list hides also that a key does not exist.
func (d *doctor) missingKey(ctx context.Context, dir string) (answer, error) {
	_, err := d.head(ctx, dir+"none")
	kind, _ := classify(err)
	switch {
	case isMissing(err):
		return answer{}, nil
	case err == nil:
		return answer{
			outcome: bucket.OutcomeFailed, found: "the store says that there is an object which there is not",
			todo: "endpoint: is there a proxy or a cache in between?",
		}, nil
	case kind == backends.Permission:
		return answer{
			outcome: bucket.OutcomeFailed, found: "it is refused instead of not found: " + brief(err),
			todo: "give the credentials s3:GetObject, and s3:ListBucket for all that begins with the prefix",
		}, nil
	}
	return answer{}, err
}

// sample is the content of most objects that are written.
const sample = "sluice doctor"

func (d *doctor) putObject(ctx context.Context, dir string) (answer, error) {
	key := dir + "object"
	etag, err := d.put(ctx, key, sample, nil)
	d.object = stored{key, etag, int64(len(sample))}
	return answer{}, err
}

func (d *doctor) deleteObject(ctx context.Context, dir string) (answer, error) {
	if _, err := d.put(ctx, dir+"object", sample, nil); err != nil {
		return answer{}, err
	}
	if err := d.remove(ctx, dir+"object", ""); err != nil {
		return answer{}, err
	}
	if _, err := d.head(ctx, dir+"object"); err == nil {
		return answer{
			outcome: bucket.OutcomeFailed, found: "the object is still there",
			todo: "look for a rule that keeps objects: object lock, retention, a legal hold",
		}, nil
	}
	return answer{}, nil
}

func (d *doctor) getObject(ctx context.Context, _ string) (answer, error) {
	head, err := d.head(ctx, d.object.key)
	if err != nil {
		return answer{}, err
	}
	content, err := d.read(ctx, &s3.GetObjectInput{Key: &d.object.key})
	switch {
	case err != nil:
		return answer{}, err
	case content != sample:
		return answer{
			outcome: bucket.OutcomeFailed, found: "the content is not what was written",
			todo: "endpoint: is there a proxy in between that changes content?",
		}, nil
	case head.Metadata[bucket.MetaToken] != d.token:
		return answer{
			outcome: bucket.OutcomeFailed, found: "the metadata is not what was written",
			todo: "use another store: times of files and lost answers are known by metadata",
		}, nil
	}
	return answer{}, nil
}

// getRange: a download that broke goes on where it was, in the same version.
func (d *doctor) getRange(ctx context.Context, _ string) (answer, error) {
	const first, behind = 2, 7
	in := &s3.GetObjectInput{Key: &d.object.key, Range: aws.String(bucket.Span{Begin: first, End: behind}.Header()), IfMatch: &d.object.etag}
	content, err := d.read(ctx, in)
	if err != nil {
		return answer{}, err
	}
	todo := "use another store, or leave out a proxy in between: broken downloads would go on with wrong bytes"
	if content != sample[first:behind] {
		return answer{outcome: bucket.OutcomeFailed, found: "the range is not what was asked for", todo: todo}, nil
	}
	in.IfMatch = aws.String(noETag)
	_, err = d.read(ctx, in)
	if err == nil {
		return answer{outcome: bucket.OutcomeFailed, found: "If-Match is ignored", todo: todo}, nil
	}
	_, err = met(err)
	return answer{}, err
}

// read returns the first bytes of what is asked for, more than any sample has.
func (d *doctor) read(ctx context.Context, in *s3.GetObjectInput) (string, error) {
	in.Bucket, in.RequestPayer = &d.s.Bucket, d.s.payer()
	var content []byte
	err := bucket.Once(ctx, bucket.Asking.Attempt, func(ctx context.Context) error {
		out, err := d.s.client.GetObject(ctx, in)
		if err != nil {
			return err
		}
		defer out.Body.Close()
		content, err = io.ReadAll(io.LimitReader(out.Body, maxErrorDocument))
		return err
	})
	return string(content), err
}

func (d *doctor) copyObject(ctx context.Context, dir string) (answer, error) {
	if _, err := d.copy(ctx, dir+"copy", nil); err != nil {
		return answer{}, err
	}
	head, err := d.head(ctx, dir+"copy")
	if err == nil && (head.Size != d.object.size || head.Metadata[bucket.MetaToken] != ofCopy) {
		return answer{
			outcome: bucket.OutcomeFailed, found: "the copy is not like what was copied, with the metadata that was given",
			todo: "use another store: renames would lose something",
		}, nil
	}
	return answer{}, err
}

// ofCopy is in the metadata of copies, which is not that of what was copied.
const ofCopy = "copy"

func (d *doctor) beginUpload(ctx context.Context, dir string) (answer, error) {
	u, _, err := d.begin(ctx, dir+"upload", false)
	d.open = u
	return answer{}, err
}

func (d *doctor) listParts(ctx context.Context, _ string) (answer, error) {
	var out *s3.ListPartsOutput
	err := bucket.Once(ctx, bucket.Asking.Attempt, func(ctx context.Context) (err error) {
		out, err = d.s.client.ListParts(ctx, &s3.ListPartsInput{
			Bucket: &d.s.Bucket, Key: &d.open.key, UploadId: &d.open.id, RequestPayer: d.s.payer(),
		})
		return err
	})
	if err == nil && len(out.Parts) != 1 {
		return answer{
			outcome: bucket.OutcomeWarning, found: "a part that was sent is not listed",
			todo: "set the lifecycle rule of docs/backends.md: aborted uploads may keep parts",
		}, nil
	}
	return answer{}, err
}

// listUploads: Sluice asks for the uploads of one key, so a shorter prefix is only worth a word.
func (d *doctor) listUploads(ctx context.Context, _ string) (answer, error) {
	byKey, err := d.findUploads(ctx, d.open.key)
	if err != nil {
		return answer{}, err
	}
	if len(byKey) != 1 || byKey[0].opened != d.open {
		return answer{
			outcome: bucket.OutcomeWarning, found: "an upload that was begun is not listed",
			todo: "set the lifecycle rule of docs/backends.md: uploads that a killed process began may stay",
		}, nil
	}
	below, err := d.findUploads(ctx, d.Folder)
	if err == nil && len(below) == 0 {
		return answer{found: "by whole keys only, which is enough"}, nil
	}
	return answer{}, err
}

func (d *doctor) abortUpload(ctx context.Context, _ string) (answer, error) {
	if err := d.abort(ctx, d.open); err != nil {
		return answer{}, err
	}
	if d.Outcome("list parts") != bucket.OutcomeOK {
		return answer{}, nil
	}
	if _, err := d.s.countParts(ctx, d.open.key, d.open.id); code(err) != noSuchUpload {
		return answer{
			outcome: bucket.OutcomeWarning, found: "the upload is still there after its abort",
			todo: "set the lifecycle rule of docs/backends.md",
		}, nil
	}
	return answer{}, nil
}

// refusal: an answer that says no for good to what was asked, and not because of who asked.
func refusal(err error) bool {
	kind, temporary := classify(err)
	return err != nil && code(err) != "" && !temporary && kind != backends.Permission && kind != backends.Misconfigured
}
