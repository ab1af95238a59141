package s3

import (
	"context"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/sluice-ftp/sluice/backends/bucket"
)

// partsOfAnySize sends three parts, of which the second is larger than the first, and asks for a few
// bytes of where they meet. If that is refused it tries parts of one size.
func (d *doctor) partsOfAnySize(ctx context.Context, dir string) (answer, error) {
	more := d.part / 80 // 64 KiB
	content := pattern(d.part + more)
	unequal, err := d.sendWhole(ctx, dir+"unequal", content[:d.part], content, sample)
	if err != nil && !refusal(err) {
		return answer{}, err
	}
	if err == nil {
		d.whole = unequal
		return d.compareSeam(ctx, content[d.part-4:d.part]+content[:4]) // a few bytes of each
	}
	why := err
	uniform, err := d.sendWhole(ctx, dir+"equal", content[:d.part], content[more:], sample)
	if err != nil {
		return answer{}, err
	}
	d.whole = uniform
	found, err := d.compareSeam(ctx, content[d.part-4:d.part]+content[more:more+4])
	if found.outcome == "" {
		found = answer{can: no, found: "refused: " + brief(why)}
	}
	return found, err
}

// compareSeam reads the last bytes of the first part and the first of the second.
func (d *doctor) compareSeam(ctx context.Context, want string) (answer, error) {
	half := int64(len(want) / 2) // of each
	got, err := d.read(ctx, &s3.GetObjectInput{Key: &d.whole.key, Range: aws.String(bucket.Span{Begin: d.part - half, End: d.part + half}.Header())})
	if err == nil && got != want {
		return answer{
			outcome: bucket.OutcomeFailed, found: "the object is not its parts in their order",
			todo: "use another store: it damages files",
		}, nil
	}
	return answer{can: yes}, err
}

// pattern is content that is nowhere the same for long.
func pattern(n int64) string {
	var b strings.Builder
	for i := 0; int64(b.Len()) < n; i++ {
		fmt.Fprintf(&b, "%08x", i*2654435761) // Knuth's multiplicative hash
	}
	return b.String()[:n]
}

// sendWhole stores an object of several parts, with a checksum of all of it if the server has such.
func (d *doctor) sendWhole(ctx context.Context, key string, contents ...string) (stored, error) {
	checksums := d.verdicts["checksum of a whole"] == yes
	u, err := d.beginEmpty(ctx, key, checksums)
	if err != nil {
		return stored{}, err
	}
	o := stored{key: key}
	var parts []types.CompletedPart
	var crc uint32
	for i, content := range contents {
		p, err := d.sendPart(ctx, u, int32(i)+1, content, checksums)
		if err != nil {
			return stored{}, err
		}
		parts = append(parts, p)
		crc = bucket.AppendCRC(crc32.IEEE, crc, crc32.ChecksumIEEE([]byte(content)), int64(len(content)))
		o.size += int64(len(content))
	}
	o.etag, err = d.complete(ctx, u, parts, func(in *s3.CompleteMultipartUploadInput) {
		if checksums {
			in.ChecksumCRC32, in.ChecksumType = aws.String(bucket.Base64(crc)), types.ChecksumTypeFullObject
		}
	})
	return o, err
}

// lastPart sends the part with the highest number that S3 has.
func (d *doctor) lastPart(ctx context.Context, dir string) (answer, error) {
	u, _, err := d.begin(ctx, dir+"upload", false)
	if err != nil {
		return answer{}, err
	}
	_, err = d.sendPart(ctx, u, maxParts, sample, false)
	if refusal(err) {
		return answer{
			outcome: bucket.OutcomeWarning, found: "refused: " + brief(err),
			todo: "objects can have fewer parts than at AWS, so the largest are smaller; see the store's documentation",
		}, nil
	}
	return answer{}, err
}

// copyInParts copies an object by two ranges of it.
func (d *doctor) copyInParts(ctx context.Context, dir string) (answer, error) {
	u, err := d.beginEmpty(ctx, dir+"copy", false)
	if err != nil {
		return answer{}, err
	}
	var parts []types.CompletedPart
	for _, r := range [][2]int64{{0, d.part}, {d.part, d.whole.size}} {
		p, err := d.copyRange(ctx, u, int32(len(parts))+1, bucket.Span{Begin: r[0], End: r[1]}.Header())
		if refusal(err) {
			return answer{can: no, found: "refused: " + brief(err)}, nil
		}
		if err != nil {
			return answer{}, err
		}
		parts = append(parts, p)
	}
	if _, err := d.complete(ctx, u, parts, nil); err != nil {
		return answer{}, err
	}
	head, err := d.head(ctx, u.key)
	if err == nil && head.Size != d.whole.size {
		return answer{can: no, found: "the copy has another size"}, nil
	}
	return answer{can: yes}, err
}

func (d *doctor) copyRange(ctx context.Context, u opened, number int32, bytes string) (types.CompletedPart, error) {
	p := types.CompletedPart{PartNumber: &number}
	err := d.write(ctx, bucket.Finishing.Attempt, func(ctx context.Context) error {
		out, err := d.s.client.UploadPartCopy(ctx, &s3.UploadPartCopyInput{
			Bucket: &d.s.Bucket, Key: &u.key, UploadId: &u.id, PartNumber: &number, RequestPayer: d.s.payer(),
			CopySource: d.s.source(d.whole.key), CopySourceIfMatch: &d.whole.etag, CopySourceRange: &bytes,
		})
		switch {
		case err != nil:
			return err
		case out.CopyPartResult == nil:
			return bucket.ErrNoVersion
		}
		p.ETag = out.CopyPartResult.ETag
		return nil
	})
	return p, err
}

// completeTwice: who lost the first answer to a Complete may ask again.
func (d *doctor) completeTwice(ctx context.Context, dir string) (answer, error) {
	u, part, err := d.begin(ctx, dir+"object", false)
	if err != nil {
		return answer{}, err
	}
	parts := []types.CompletedPart{part}
	if _, err := d.complete(ctx, u, parts, nil); err != nil {
		return answer{}, err
	}
	_, err = d.complete(ctx, u, parts, nil)
	switch {
	case err == nil:
		return answer{can: yes}, nil
	case code(err) == noSuchUpload, refusal(err):
		return answer{can: no, found: "refused; Sluice then looks whose object is there"}, nil
	}
	return answer{}, err
}

// completeAfterAbort: a server that says yes to everything once there is an object would have an
// upload that someone aborted reported as stored.
func (d *doctor) completeAfterAbort(ctx context.Context, dir string) (answer, error) {
	if _, err := d.put(ctx, dir+"object", "first", nil); err != nil {
		return answer{}, err
	}
	u, part, err := d.begin(ctx, dir+"object", false)
	if err == nil {
		err = d.abort(ctx, u)
	}
	if err != nil {
		return answer{}, err
	}
	switch _, err = d.complete(ctx, u, []types.CompletedPart{part}, nil); {
	case err == nil:
		return answer{
			outcome: bucket.OutcomeWarning, found: "the store says that it succeeded",
			todo: "let nothing abort uploads younger than the longest that a partner may take: no rule, no other program",
		}, nil
	case refusal(err):
		return answer{}, nil
	}
	return answer{}, err
}

// sizeAtComplete: the server compares the size of the whole with what it is told.
func (d *doctor) sizeAtComplete(ctx context.Context, dir string) (answer, error) {
	u, part, err := d.begin(ctx, dir+"object", false)
	if err != nil {
		return answer{}, err
	}
	size := int64(len(sample))
	tell := func(size int64) error {
		_, err := d.complete(ctx, u, []types.CompletedPart{part}, func(in *s3.CompleteMultipartUploadInput) {
			in.MpuObjectSize = &size
		})
		return err
	}
	switch err = tell(size + 1); {
	case err == nil:
		return answer{can: no, found: "a wrong one is ignored"}, nil
	case !refusal(err):
		return answer{}, err
	}
	if err = tell(size); refusal(err) {
		return answer{can: no, found: "refused: " + brief(err)}, nil
	}
	return answer{can: yes}, err
}
