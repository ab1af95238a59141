package s3

import (
	"context"
	"hash/crc32"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/sluice-ftp/sluice/backends/bucket"
)

// rightCRC and wrongCRC are checksums of the sample, as it is and as it is not.
var (
	rightCRC = aws.String(bucket.Base64(crc32.ChecksumIEEE([]byte(sample))))
	wrongCRC = aws.String(bucket.Base64(^crc32.ChecksumIEEE([]byte(sample))))
)

// checked is the answer about a checksum: err is what the server said to a wrong one.
func checked(err error) (answer, error) {
	switch {
	case err == nil:
		return answer{can: no, found: "a wrong one is ignored"}, nil
	case refusal(err):
		return answer{can: yes, found: "a wrong one is refused"}, nil
	}
	return answer{}, err
}

// unchecked is the answer about a checksum that is right and was refused.
func unchecked(err error) answer { return answer{can: no, found: "refused: " + brief(err)} }

func (d *doctor) checksumOfObject(ctx context.Context, dir string) (answer, error) {
	_, err := d.put(ctx, dir+"right", sample, func(in *s3.PutObjectInput) { in.ChecksumCRC32 = rightCRC })
	if refusal(err) {
		return unchecked(err), nil
	}
	if err != nil {
		return answer{}, err
	}
	_, err = d.put(ctx, dir+"wrong", sample, func(in *s3.PutObjectInput) { in.ChecksumCRC32 = wrongCRC })
	if refusal(err) {
		if _, missing := d.head(ctx, dir+"wrong"); missing == nil {
			return answer{can: no, found: "a wrong one is refused, and the object is there"}, nil
		}
	}
	return checked(err)
}

func (d *doctor) checksumOfPart(ctx context.Context, dir string) (answer, error) {
	u, _, err := d.begin(ctx, dir+"upload", true)
	if refusal(err) {
		return unchecked(err), nil
	}
	if err != nil {
		return answer{}, err
	}
	_, err = d.sendPartAs(ctx, u, types.CompletedPart{PartNumber: aws.Int32(2), ChecksumCRC32: wrongCRC}, sample)
	return checked(err)
}

// checksumOfWhole completes one upload with a wrong checksum and another one with the right: whether
// an upload survives the first is not said anywhere.
func (d *doctor) checksumOfWhole(ctx context.Context, dir string) (answer, error) {
	complete := func(key string, crc *string) error {
		u, part, err := d.begin(ctx, key, true)
		if err != nil {
			return err
		}
		_, err = d.complete(ctx, u, []types.CompletedPart{part}, func(in *s3.CompleteMultipartUploadInput) {
			in.ChecksumCRC32, in.ChecksumType = crc, types.ChecksumTypeFullObject
		})
		return err
	}
	err := complete(dir+"right", rightCRC)
	if refusal(err) {
		return unchecked(err), nil
	}
	if err != nil {
		return answer{}, err
	}
	return checked(complete(dir+"wrong", wrongCRC))
}
