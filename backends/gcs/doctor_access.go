package gcs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
)

// credentials gets a token, which may take a request to who gives it out.
func (d *doctor) credentials(ctx context.Context, _ string) (bucket.Result, error) {
	if d.s.wire.tokens == nil {
		return fine("anonymous"), nil
	}
	err := bucket.Once(ctx, bucket.Asking.Attempt, func(ctx context.Context) error {
		_, err := d.s.wire.tokens.Token(ctx)
		return err
	})
	if err != nil {
		setting, todo := d.s.advice(fmt.Errorf("%w: %w", errCredentials, err))
		return failed(bucket.Plain(err.Error()), setting+": "+todo), nil
	}
	from := "the application default"
	if d.s.CredentialsFile != "" {
		from = d.s.CredentialsFile
	}
	if d.s.Impersonate != "" {
		from += ", as " + d.s.Impersonate
	}
	return fine("from " + from), nil
}

// endpoint asks for a key of ours. Whatever Google says shows that it is there.
func (d *doctor) endpoint(ctx context.Context, _ string) (bucket.Result, error) {
	begun := time.Now()
	var page *bucket.Page
	d.err = bucket.Once(ctx, bucket.Asking.Attempt, func(ctx context.Context) (err error) {
		page, err = d.s.List(ctx, bucket.Query{Prefix: d.root, Most: 1})
		return err
	})
	took := time.Since(begun)
	if page != nil {
		d.date = page.Asked
		d.skew = time.Until(page.Asked.Add(time.Second / 2)) // a date has no fractions
	}
	var r *refused
	switch {
	case d.err == nil:
	case !errors.As(d.err, &r) || r.kind() == backends.Unavailable:
		return bucket.Result{}, d.err
	case r.message == "":
		return failed(fmt.Sprintf("it answers %d, but not as Google does", r.status), anotherStore), nil
	}
	return fine("answers in " + took.Round(time.Millisecond).String()), nil
}

func (d *doctor) clock(context.Context, string) (bucket.Result, error) {
	const warnSkew = time.Minute // Google refuses tokens that are signed for another time
	switch {
	case d.date.IsZero():
		return bucket.Result{Outcome: bucket.OutcomeSkipped, Found: "the store did not tell its time"}, nil
	case d.skew.Abs() > warnSkew:
		return warned(fmt.Sprintf("the store's is %v from ours", d.skew.Round(time.Second)), "set the clock of this machine by NTP"), nil
	}
	return fine(""), nil
}

func (d *doctor) access(context.Context, string) (bucket.Result, error) {
	return fine(""), d.err
}

// kind compares what the bucket is with what the configuration says.
func (d *doctor) kind(ctx context.Context, _ string) (bucket.Result, error) {
	var is bool
	err := bucket.Once(ctx, bucket.Asking.Attempt, func(ctx context.Context) (err error) {
		is, err = d.s.isHierarchical(ctx)
		return err
	})
	switch {
	case err != nil:
		return bucket.Result{}, err
	case is && !d.s.Hierarchical:
		return warned("it has a hierarchical namespace", "hierarchical_namespace: set it to true, so that folders are renamed at once"), nil
	case !is && d.s.Hierarchical:
		return failed(errFlat.Error(), "hierarchical_namespace: leave it out, or name a bucket that was made with one"), nil
	case is:
		return fine("with a hierarchical namespace"), nil
	}
	return fine("flat"), nil
}
