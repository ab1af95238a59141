package s3

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-ftp/sluice/backends/bucket"
)

const (
	// tidyTime bounds the cleaning up, tidyRounds how often it is begun anew where it did not succeed.
	tidyTime   = 2 * time.Minute
	tidyRounds = 4
	// leftoverAge is the age of what a doctor left behind that was killed. A living one is younger.
	leftoverAge = 24 * time.Hour
)

// tidy removes what this doctor wrote, and what others left behind. It has its own time, because the
// caller's may be up.
func (d *doctor) tidy(ctx context.Context) {
	const name = "clean up"
	if d.Outcome("access") != bucket.OutcomeOK {
		d.conclude(name, answer{outcome: bucket.OutcomeSkipped, found: "nothing was written"})
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTime)
	defer cancel()
	var old int
	for range tidyRounds {
		before, done := d.tidyRound(ctx)
		old += before
		if done {
			break
		}
	}
	switch left := d.left(); {
	case len(left) > 0:
		d.conclude(name, answer{
			outcome: bucket.OutcomeFailed, found: bucket.Plain("left behind: " + strings.Join(left, ", ")),
			todo: "remove what is below " + d.Folder + " by other means, open uploads included",
		})
	case old > 0:
		d.conclude(name, answer{found: "also of what an earlier run left behind"})
	default:
		d.conclude(name, answer{})
	}
}

// tidyRound removes what is there. It is done when it finds nothing: what was asked for before may
// take effect only now. Uploads come first, because one whose end is on its way becomes an object.
func (d *doctor) tidyRound(ctx context.Context) (old int, done bool) {
	oldUploads, uploads := d.tidyUploads(ctx)
	oldObjects, objects := d.tidyObjects(ctx)
	return oldUploads + oldObjects, uploads && objects
}

// tidyUploads aborts the uploads that are known, and those that are found.
func (d *doctor) tidyUploads(ctx context.Context) (old int, done bool) {
	done = len(d.uploads) == 0
	found, err := d.findUploads(ctx, d.root)
	for _, u := range found {
		if strings.HasPrefix(u.key, d.Folder) {
			d.uploads[u.id] = u.key
			done = false
		} else if d.now().Sub(u.begun) > leftoverAge && d.abort(ctx, u.opened) == nil {
			old++
		}
	}
	for _, key := range slices.Collect(maps.Keys(d.strays)) {
		// Not every server finds an upload by less than its key.
		found, err := d.findUploads(ctx, key)
		for _, u := range found {
			if u.key == key {
				d.uploads[u.id] = key
			}
		}
		if done = false; err == nil {
			delete(d.strays, key)
		}
	}
	for id, key := range maps.Clone(d.uploads) {
		_ = d.abort(ctx, opened{key, id}) // what stays is seen in the next round
	}
	return old, done && (err == nil || len(d.uploads) == 0)
}

// tidyObjects removes the objects that are known, because not every server lists all names as they
// are, and those that a listing finds.
func (d *doctor) tidyObjects(ctx context.Context) (old int, done bool) {
	listed := map[string]bool{}
	err := d.eachObject(ctx, func(key string, written time.Time) {
		switch {
		case strings.HasPrefix(key, d.Folder):
			d.keys[key], listed[key] = true, true
		case d.now().Sub(written) > leftoverAge && d.remove(ctx, key, "") == nil:
			old++
		}
	})
	if len(d.keys) == 0 {
		return old, true
	}
	keys := slices.Sorted(maps.Keys(d.keys))
	failed := make([]error, len(keys))
	var g errgroup.Group
	g.SetLimit(inFlight)
	for i, key := range keys {
		g.Go(func() error {
			failed[i] = d.remove(ctx, key, "")
			return nil // one that fails keeps none of the others
		})
	}
	_ = g.Wait()
	for i, key := range keys {
		if failed[i] == nil || err == nil && !listed[key] {
			delete(d.keys, key)
		}
	}
	return old, err != nil && len(d.keys) == 0 // else the next listing tells
}

// left names what is still in the bucket, or may be.
func (d *doctor) left() []string {
	left := slices.Sorted(maps.Keys(d.keys))
	for _, key := range slices.Sorted(maps.Values(d.uploads)) {
		left = append(left, "an upload of "+key)
	}
	for _, key := range slices.Sorted(maps.Keys(d.strays)) {
		left = append(left, "perhaps an upload of "+key)
	}
	return left
}

// now is the store's time, as far as it is known.
func (d *doctor) now() time.Time { return time.Now().Add(d.greeting.skew) }

// eachObject calls do for the objects of all doctors.
func (d *doctor) eachObject(ctx context.Context, do func(key string, written time.Time)) error {
	return d.a.EachPage(ctx, d.root, func(page *bucket.Page) error {
		for _, o := range page.Objects {
			do(o.Key, o.ModTime)
		}
		return nil
	})
}

// begun is an upload that a server knows.
type begun struct {
	opened
	begun time.Time
}

// findUploads returns the open uploads whose keys begin with prefix.
func (d *doctor) findUploads(ctx context.Context, prefix string) ([]begun, error) {
	in := &s3.ListMultipartUploadsInput{
		Bucket: &d.s.Bucket, Prefix: &prefix, RequestPayer: d.s.payer(), EncodingType: types.EncodingTypeUrl,
	}
	var all []begun
	for {
		var out *s3.ListMultipartUploadsOutput
		err := bucket.Once(ctx, bucket.Cleaning.Attempt, func(ctx context.Context) (err error) {
			out, err = d.s.client.ListMultipartUploads(ctx, in)
			return err
		})
		if err != nil {
			return all, err
		}
		for _, u := range out.Uploads {
			key := unescape(out.EncodingType, u.Key)
			all = append(all, begun{opened{key, aws.ToString(u.UploadId)}, aws.ToTime(u.Initiated)})
		}
		if !aws.ToBool(out.IsTruncated) || out.NextKeyMarker == nil {
			return all, nil
		}
		in.KeyMarker, in.UploadIdMarker = aws.String(unescape(out.EncodingType, out.NextKeyMarker)), out.NextUploadIdMarker
	}
}
