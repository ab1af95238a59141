package gcs

import (
	"context"
	"net/http"

	"github.com/sluice-ftp/sluice/backends/bucket"
)

// met says what a store made of a condition that does not hold.
func met(err error, replaced string) (bucket.Result, error) {
	switch {
	case err == nil:
		return failed(replaced, anotherStore), nil
	case status(err) == http.StatusPreconditionFailed:
		return fine(""), nil
	}
	return bucket.Result{}, err
}

func (d *doctor) putIfAbsent(ctx context.Context, dir string) (bucket.Result, error) {
	o := d.newObject(dir + "object")
	o.IfAbsent = true
	if _, err := d.write(ctx, o, sample); err != nil {
		return bucket.Result{}, err
	}
	_, err := d.write(ctx, o, sample)
	return met(err, "a second write replaced the first")
}

func (d *doctor) putIfUnchanged(ctx context.Context, dir string) (bucket.Result, error) {
	o := d.newObject(dir + "object")
	version, err := d.write(ctx, o, sample)
	if err != nil {
		return bucket.Result{}, err
	}
	o.IfVersion = version
	if _, err := d.write(ctx, o, sample); err != nil {
		return bucket.Result{}, err
	}
	_, err = d.write(ctx, o, sample)
	return met(err, "a write for another version succeeded")
}

func (d *doctor) deleteIfUnchanged(ctx context.Context, dir string) (bucket.Result, error) {
	o := d.newObject(dir + "object")
	version, err := d.write(ctx, o, sample)
	if err == nil {
		_, err = d.write(ctx, o, sample)
	}
	if err != nil {
		return bucket.Result{}, err
	}
	return met(d.once(ctx, func(ctx context.Context) error { return d.s.Delete(ctx, o.Name, version) }), "another version was deleted")
}

// checked is the answer about a checksum: err is what the store said to a wrong one.
func checked(err error) (bucket.Result, error) {
	switch {
	case err == nil:
		return failed("a wrong one is ignored", anotherStore), nil
	case status(err) == http.StatusBadRequest:
		return fine("a wrong one is refused"), nil
	}
	return bucket.Result{}, err
}

func (d *doctor) checksumOfObject(ctx context.Context, dir string) (bucket.Result, error) {
	wrong := bucket.CheckedPart([]byte(sample), 0) // by a polynomial that is none
	return checked(d.once(ctx, func(ctx context.Context) error {
		_, err := d.s.Write(ctx, d.newObject(dir+"wrong"), wrong)
		return err
	}))
}

func (d *doctor) checksumOfSession(ctx context.Context, dir string) (bucket.Result, error) {
	c, err := d.send(ctx, dir+"wrong")
	if err != nil {
		return bucket.Result{}, err
	}
	c.CRC++
	return checked(d.complete(ctx, c))
}
