package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
)

// greeting is the first answer of a store: it tells of endpoint, clock, region, keys and bucket.
type greeting struct {
	err error
	// known: the error is one of S3, not of whatever else speaks HTTP.
	known bool
	// skew is how far the store's clock is ahead; dated says that it told.
	skew  time.Duration
	dated bool
}

const (
	// warnSkew is a clock to mend, maxSkew what S3 refuses.
	warnSkew = time.Minute
	maxSkew  = 15 * time.Minute
)

var errNoListing = errors.New("it answers, but with no listing")

// credentials gets some, which may take a request to who gives them out.
func (d *doctor) credentials(ctx context.Context, _ string) (answer, error) {
	var source string
	err := bucket.Once(ctx, bucket.Asking.Attempt, func(ctx context.Context) error {
		c, err := d.s.client.Options().Credentials.Retrieve(ctx)
		source = c.Source
		return err
	})
	if err == nil {
		return answer{found: "from " + source}, nil
	}
	setting, todo := d.s.advice(errCredentials)
	todo = setting + ": " + todo
	if d.s.AssumeRole != "" {
		todo = "assume_role: correct it, or let these credentials take the role (sts:AssumeRole, and the role's own trust policy)"
	}
	return answer{outcome: bucket.OutcomeFailed, found: bucket.Plain(err.Error()), todo: todo}, nil
}

// endpoint asks for a key of ours. Every answer that S3 may give shows that there is a store.
func (d *doctor) endpoint(ctx context.Context, _ string) (answer, error) {
	begun := time.Now()
	err := d.greet(ctx)
	took := time.Since(begun)
	if code(err) == "RequestTimeTooSkewed" {
		err = d.greet(ctx) // the SDK has corrected its clock by the answer
	}
	const stranger = "endpoint: correct it; this is another kind of server"
	var re *awshttp.ResponseError
	switch kind, _ := classify(err); {
	case err == nil, d.greeting.known && kind != backends.Unavailable:
		return answer{found: "answers in " + took.Round(time.Millisecond).String()}, nil
	case errors.Is(err, errNoListing):
		return answer{outcome: bucket.OutcomeFailed, found: brief(err), todo: stranger}, nil
	case errors.As(err, &re) && (re.HTTPStatusCode() == http.StatusOK ||
		answered(re.HTTPStatusCode()) && kind != backends.Unavailable):
		found := fmt.Sprintf("it answers %d, but not as S3 does", re.HTTPStatusCode())
		return answer{outcome: bucket.OutcomeFailed, found: found, todo: stranger}, nil
	}
	return answer{}, err
}

func (d *doctor) greet(ctx context.Context) error {
	var page *s3.ListObjectsV2Output
	err := bucket.Once(ctx, bucket.Asking.Attempt, func(ctx context.Context) (err error) {
		page, err = d.ourPage(ctx)
		return err
	})
	now := time.Now()
	d.greeting = greeting{err: err}
	var date time.Time
	var re *awshttp.ResponseError
	switch {
	case err == nil:
		date, _ = awsmiddleware.GetServerTime(page.ResultMetadata)
	case errors.As(err, &re) && re.Response != nil:
		date, _ = http.ParseTime(re.Response.Header.Get("Date"))
		d.greeting.known = hasDocument(err, re.HTTPStatusCode())
	}
	if d.greeting.dated = !date.IsZero(); d.greeting.dated {
		d.greeting.skew = date.Add(time.Second / 2).Sub(now) // a date has no fractions
	}
	return err
}

// hasDocument: the error came as S3 says such things. The SDK makes one of any status that has no
// document, from the words of HTTP.
func hasDocument(err error, status int) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() != "" && api.ErrorMessage() != http.StatusText(status)
}

// ourPage asks once for a key of ours.
func (d *doctor) ourPage(ctx context.Context) (*s3.ListObjectsV2Output, error) {
	one := int32(1)
	page, err := d.s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket: &d.s.Bucket, Prefix: &d.root, MaxKeys: &one, RequestPayer: d.s.payer(),
		EncodingType: types.EncodingTypeUrl,
	})
	if err == nil && page.Name == nil && page.KeyCount == nil && page.IsTruncated == nil {
		err = errNoListing
	}
	return page, err
}

func (d *doctor) clock(context.Context, string) (answer, error) {
	g := d.greeting
	todo := "set the clock of this machine by NTP"
	if !g.dated {
		return answer{outcome: bucket.OutcomeWarning, found: "the store does not tell its time", todo: todo}, nil
	}
	direction := "ahead of"
	if g.skew < 0 {
		direction = "behind"
	}
	found := fmt.Sprintf("the store's is %s %s ours", g.skew.Abs().Round(time.Second), direction)
	switch {
	case g.skew.Abs() > maxSkew:
		return answer{outcome: bucket.OutcomeFailed, found: found + "; S3 refuses more than 15 minutes", todo: todo}, nil
	case g.skew.Abs() > warnSkew:
		return answer{outcome: bucket.OutcomeWarning, found: found + "; S3 refuses more than 15 minutes", todo: todo}, nil
	case g.skew.Abs() < 2*time.Second: // what a date cannot tell
		return answer{found: "as ours"}, nil
	}
	return answer{found: found}, nil
}

func (d *doctor) region(ctx context.Context, _ string) (answer, error) {
	ours := d.s.client.Options().Region
	setting, todo := d.s.advice(d.greeting.err)
	if setting != "region" {
		return answer{found: ours}, nil
	}
	if regionOf(d.greeting.err) == "" {
		// Not every refusal says which region would be right, but this one does.
		err := bucket.Once(ctx, bucket.Asking.Attempt, func(ctx context.Context) error {
			_, err := d.s.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &d.s.Bucket})
			return err
		})
		if regionOf(err) != "" {
			setting, todo = "region", "the bucket is in another one: set it to "+regionOf(err)
		}
	}
	return answer{outcome: bucket.OutcomeFailed, found: ours + " is not the bucket's", todo: setting + ": " + todo}, nil
}

// access: the store knows the keys and the bucket. Whether they may list it is another question.
func (d *doctor) access(context.Context, string) (answer, error) {
	err := d.greeting.err
	if kind, _ := classify(err); err != nil && kind != backends.Permission || code(err) == "RequestTimeTooSkewed" {
		return answer{}, err
	}
	return answer{found: "the store knows keys and bucket"}, nil
}

// brief is an error of a request without what only a developer wants to know.
func brief(err error) string {
	var op *smithy.OperationError
	var api smithy.APIError
	var sending *url.Error
	text := err.Error()
	asked := errors.As(err, &op)
	switch {
	case errors.As(err, &api):
		if text = api.ErrorCode(); api.ErrorMessage() != "" && api.ErrorMessage() != text {
			text += ": " + api.ErrorMessage()
		}
	case errors.As(err, &sending):
		text = sending.Err.Error()
	case asked:
		text = op.Err.Error()
	}
	if asked {
		text = op.OperationName + ": " + text
	}
	return bucket.Plain(text)
}

// remedies are for codes that name one key of the configuration, which nothing but a write shows.
var remedies = map[string]string{
	"InvalidObjectState":            "storage_class: choose one whose objects can be read at once",
	"InvalidStorageClass":           "storage_class: correct it; this store does not know it",
	"AccessControlListNotSupported": "acl: leave it out; this bucket takes none",
	"InvalidTag":                    "tags: correct them",
	"KMS.NotFoundException":         "kms_key_id: correct it; there is no such key",
	"KMS.DisabledException":         "kms_key_id: enable the key, or choose another",
	"EntityTooSmall":                "use another store: this one takes no parts of 5 MiB",
}

// remedy is what to do about a request that failed.
func (d *doctor) remedy(err error) string {
	kind, _ := classify(err)
	if kind == backends.Permission {
		return d.missingRight(err)
	}
	if todo := remedies[code(err)]; todo != "" {
		return todo
	}
	setting, todo := d.s.advice(bucket.Translate(failure, "probe", "", err))
	if todo == "" {
		return "Sluice needs this; docs/backends.md says what a store has to do"
	}
	return setting + ": " + todo
}
