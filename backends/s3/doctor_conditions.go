package s3

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
)

// met says what a server made of a condition that does not hold: it is honoured if the request was
// refused because of it. An answer that is about something else is returned as an error.
func met(err error) (able, error) {
	kind, _ := classify(err)
	switch {
	case err == nil:
		return no, nil
	case kind == backends.Conflict && code(err) != noSuchUpload && code(err) != "OperationAborted":
		return yes, nil
	case refusal(err):
		return no, nil
	}
	return unmeasured, err
}

// unmet is the answer about a condition that is not honoured.
func unmet(err error, replaced string) answer {
	if err != nil {
		return answer{can: no, found: "refused: " + brief(err)}
	}
	return answer{can: no, found: "ignored: " + replaced}
}

func ifAbsent(in *s3.PutObjectInput) { in.IfNoneMatch = aws.String("*") }

func (d *doctor) putIfAbsent(ctx context.Context, dir string) (answer, error) {
	key := dir + "object"
	first, err := d.put(ctx, key, "first", ifAbsent)
	if refusal(err) {
		return unmet(err, ""), nil
	}
	if err != nil {
		return answer{}, err
	}
	_, err = d.put(ctx, key, "second", ifAbsent)
	can, failed := met(err)
	if failed != nil {
		return answer{}, failed
	}
	if can == no {
		return unmet(err, "a second write replaced the first"), nil
	}
	head, err := d.head(ctx, key)
	if err != nil {
		return answer{}, err
	}
	if head.Version != first {
		return answer{can: no, found: "a second write was refused and took effect all the same"}, nil
	}
	return d.race(ctx, dir+"race")
}

// racers is how many write the same object at once.
const racers = 8

// race: of several that write an object if it is not there, one may succeed.
func (d *doctor) race(ctx context.Context, key string) (answer, error) {
	d.keys[key] = true
	var won atomic.Int32
	var g errgroup.Group
	for i := range racers {
		g.Go(func() error {
			_, err := d.store(ctx, key, fmt.Sprint("racer ", i), ifAbsent)
			if err == nil {
				won.Add(1)
				return nil
			}
			if can, failed := met(err); can != no {
				return failed
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return answer{}, err
	}
	if n := won.Load(); n != 1 {
		return answer{can: no, found: fmt.Sprintf("of %d writers at once %d succeeded", racers, n)}, nil
	}
	return answer{can: yes, found: fmt.Sprintf("of %d writers at once one succeeds", racers)}, nil
}

func (d *doctor) putIfUnchanged(ctx context.Context, dir string) (answer, error) {
	key := dir + "object"
	first, err := d.put(ctx, key, "first", nil)
	if err != nil {
		return answer{}, err
	}
	_, err = d.put(ctx, key, "second", func(in *s3.PutObjectInput) { in.IfMatch = aws.String(noETag) })
	can, failed := met(err)
	if failed != nil {
		return answer{}, failed
	}
	if can == no {
		return unmet(err, "a write for another version succeeded"), nil
	}
	if _, err = d.put(ctx, key, "third", func(in *s3.PutObjectInput) { in.IfMatch = &first }); err == nil {
		return answer{can: yes}, nil
	}
	if can, failed := met(err); can == unmeasured {
		return answer{}, failed
	}
	return answer{can: no, found: "refused though nothing had changed: " + brief(err)}, nil
}

func (d *doctor) copyIfAbsent(ctx context.Context, dir string) (answer, error) {
	absent := func(in *s3.CopyObjectInput) { in.IfNoneMatch = aws.String("*") }
	_, err := d.copy(ctx, dir+"copy", absent)
	if refusal(err) {
		return unmet(err, ""), nil
	}
	if err != nil {
		return answer{}, err
	}
	// Another content, so that the ETag tells whether it was replaced.
	first, err := d.put(ctx, dir+"copy", "another "+sample, nil)
	if err != nil {
		return answer{}, err
	}
	_, err = d.copy(ctx, dir+"copy", absent)
	can, failed := met(err)
	if failed != nil {
		return answer{}, failed
	}
	if can == no {
		return unmet(err, "the copy replaced what was there"), nil
	}
	head, err := d.head(ctx, dir+"copy")
	if err == nil && head.Version != first {
		return answer{can: no, found: "a copy was refused and took effect all the same"}, nil
	}
	return answer{can: yes}, err
}

func (d *doctor) completeIfAbsent(ctx context.Context, dir string) (answer, error) {
	return d.completeIf(ctx, dir, func(in *s3.CompleteMultipartUploadInput) { in.IfNoneMatch = aws.String("*") })
}

func (d *doctor) completeIfUnchanged(ctx context.Context, dir string) (answer, error) {
	return d.completeIf(ctx, dir, func(in *s3.CompleteMultipartUploadInput) { in.IfMatch = aws.String(noETag) })
}

// completeIf completes an upload onto an object under a condition that does not hold, and then, if it
// was refused, under one that does.
func (d *doctor) completeIf(ctx context.Context, dir string, condition func(*s3.CompleteMultipartUploadInput)) (answer, error) {
	key := dir + "object"
	first, err := d.put(ctx, key, "first", nil)
	if err != nil {
		return answer{}, err
	}
	u, part, err := d.begin(ctx, key, false)
	if err != nil {
		return answer{}, err
	}
	parts := []types.CompletedPart{part}
	_, err = d.complete(ctx, u, parts, condition)
	can, failed := met(err)
	if failed != nil {
		return answer{}, failed
	}
	if can == no {
		return unmet(err, "the upload replaced what was there"), nil
	}
	head, err := d.head(ctx, key)
	if err != nil {
		return answer{}, err
	}
	if head.Version != first {
		return answer{can: no, found: "the upload was refused and took effect all the same"}, nil
	}
	_, err = d.complete(ctx, u, parts, func(in *s3.CompleteMultipartUploadInput) { in.IfMatch = &first })
	if can, failed := met(err); err != nil && can == unmeasured {
		return answer{}, failed
	}
	if err != nil {
		return answer{can: no, found: "refused though nothing had changed: " + brief(err)}, nil
	}
	return answer{can: yes}, nil
}

func (d *doctor) deleteIfUnchanged(ctx context.Context, dir string) (answer, error) {
	key := dir + "object"
	etag, err := d.put(ctx, key, sample, nil)
	if err != nil {
		return answer{}, err
	}
	err = d.remove(ctx, key, noETag)
	can, failed := met(err)
	if failed != nil {
		return answer{}, failed
	}
	if can == no {
		return unmet(err, "another version was deleted"), nil
	}
	err = d.remove(ctx, key, etag)
	if can, failed := met(err); err != nil && can == unmeasured {
		return answer{}, failed
	}
	if err != nil {
		return answer{can: no, found: "refused though nothing had changed: " + brief(err)}, nil
	}
	if _, err := d.head(ctx, key); !isMissing(err) {
		return answer{can: no, found: "the object is still there"}, err
	}
	return answer{can: yes}, nil
}

// resume says whether uploads that break off will be kept. It takes no request: it follows from the
// profile, which is compared with the server elsewhere.
func (d *doctor) resume(context.Context, string) (answer, error) {
	switch {
	case d.s.NoResume:
		return answer{found: "off in the configuration"}, nil
	case d.configured.IfAbsent():
		return answer{found: "uploads that break off are kept"}, nil
	}
	return answer{
		outcome: bucket.OutcomeWarning, found: "uploads that break off are not kept",
		todo: "that takes conditional writes, which this profile does not promise; set one that fits, if there is one",
	}, nil
}
