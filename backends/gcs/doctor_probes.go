package gcs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
)

// sample is what the probes store.
const sample = "Sluice was here, and removes this again.\n"

// failed, warned and fine are what probes say.
func failed(found, todo string) bucket.Result {
	return bucket.Result{Outcome: bucket.OutcomeFailed, Found: found, Todo: todo}
}

func warned(found, todo string) bucket.Result {
	return bucket.Result{Outcome: bucket.OutcomeWarning, Found: found, Todo: todo}
}

func fine(found string) bucket.Result { return bucket.Result{Found: found} }

// anotherStore is the advice about a store that does not keep what Google promises.
const anotherStore = "endpoint: correct it; this is another kind of server, or something in between changes requests"

// newObject is a small one as a client's.
func (d *doctor) newObject(name string) *bucket.NewObject {
	return &bucket.NewObject{Name: name, Metadata: map[string]string{
		bucket.MetaToken: d.token, bucket.MetaModTime: bucket.FormatModTime(time.Now()),
	}}
}

func (d *doctor) write(ctx context.Context, o *bucket.NewObject, content string) (version string, err error) {
	err = d.once(ctx, func(ctx context.Context) error {
		version, err = d.s.Write(ctx, o, bucket.CheckedPart([]byte(content), d.s.Traits().Polynomial))
		return err
	})
	return version, err
}

func (d *doctor) head(ctx context.Context, name string) (info *bucket.Info, err error) {
	err = d.a.Retry(ctx, bucket.Asking, func(ctx context.Context) error {
		info, err = d.s.Head(ctx, name)
		return err
	})
	return info, err
}

func (d *doctor) put(ctx context.Context, dir string) (bucket.Result, error) {
	if _, err := d.write(ctx, d.newObject(dir+"object"), sample); err != nil {
		return bucket.Result{}, err
	}
	var err error
	d.object, err = d.head(ctx, dir+"object")
	return fine(""), err
}

func (d *doctor) remove(ctx context.Context, dir string) (bucket.Result, error) {
	if _, err := d.write(ctx, d.newObject(dir+"object"), sample); err != nil {
		return bucket.Result{}, err
	}
	if err := d.once(ctx, func(ctx context.Context) error { return d.s.Delete(ctx, dir+"object", "") }); err != nil {
		return bucket.Result{}, err
	}
	if _, err := d.head(ctx, dir+"object"); err == nil {
		return failed("the object is still there", "look for a rule that keeps objects: retention, a hold, object versioning"), nil
	}
	return fine(""), nil
}

func (d *doctor) read(ctx context.Context, name string, s bucket.Span) (string, error) {
	var content []byte
	err := d.a.Retry(ctx, bucket.Asking, func(ctx context.Context) error {
		found, err := d.s.Get(ctx, name, s, "")
		if err != nil {
			return err
		}
		defer func() { _ = found.Body.Close() }()
		content, err = io.ReadAll(io.LimitReader(found.Body, granule))
		return err
	})
	return string(content), err
}

func (d *doctor) get(ctx context.Context, _ string) (bucket.Result, error) {
	got, err := d.read(ctx, d.object.Name, bucket.Span{End: -1})
	if err == nil && got != sample {
		return failed("what was read is not what was stored", anotherStore), nil
	}
	return fine(""), err
}

func (d *doctor) getRange(ctx context.Context, _ string) (bucket.Result, error) {
	const first, behind = 7, 10
	got, err := d.read(ctx, d.object.Name, bucket.Span{Begin: first, End: behind})
	if err == nil && got != sample[first:behind] {
		return failed("other bytes came than were asked for", anotherStore), nil
	}
	return fine(""), err
}

func (d *doctor) copy(ctx context.Context, dir string) (bucket.Result, error) {
	c := &bucket.Copying{From: d.object, To: dir + "copy", Metadata: map[string]string{bucket.MetaToken: "copy"}}
	err := d.once(ctx, func(ctx context.Context) error {
		_, _, err := d.s.Copy(ctx, c)
		return err
	})
	if err != nil {
		return bucket.Result{}, err
	}
	info, err := d.head(ctx, c.To)
	if err == nil && (info.Size != d.object.Size || info.Metadata[bucket.MetaToken] != "copy") {
		return failed("the copy is not like what was copied, with the metadata that was given", anotherStore), nil
	}
	return fine(""), err
}

func (d *doctor) rename(ctx context.Context, dir string) (bucket.Result, error) {
	if _, err := d.write(ctx, d.newObject(dir+"from"), sample); err != nil {
		return bucket.Result{}, err
	}
	from, err := d.head(ctx, dir+"from")
	if err != nil {
		return bucket.Result{}, err
	}
	err = d.once(ctx, func(ctx context.Context) error {
		_, err := d.s.Move(ctx, &bucket.Copying{From: from, To: dir + "to"})
		return err
	})
	var known *backends.Error
	if errors.As(err, &known) && known.Kind == backends.Unsupported {
		found := "files are copied and deleted"
		if known.Err == nil {
			return fine(found + ": storage_class or kms_key_name is set"), nil
		}
		return warned(found+": "+brief(known.Err), "give the credentials storage.objects.move, so that a rename is one step; "+
			"it works without"), nil
	}
	return fine("at once"), err
}

func (d *doctor) setTime(ctx context.Context, _ string) (bucket.Result, error) {
	when := time.Unix(1_000_000_000, 0)
	err := d.once(ctx, func(ctx context.Context) error {
		return d.s.SetMetadata(ctx, d.object, map[string]string{bucket.MetaModTime: bucket.FormatModTime(when)})
	})
	if err != nil {
		return bucket.Result{}, err
	}
	info, err := d.head(ctx, d.object.Name)
	if err == nil && (!info.ModTime().Equal(when) || info.Metadata[bucket.MetaToken] != d.token) {
		return failed("the time is not what was set, or other metadata is gone", anotherStore), nil
	}
	return fine(""), err
}

func (d *doctor) compose(ctx context.Context, dir string) (bucket.Result, error) {
	err := d.once(ctx, func(ctx context.Context) error {
		_, err := d.s.Compose(ctx, d.newObject(dir+"whole"), d.object, d.object)
		return err
	})
	if err != nil {
		return bucket.Result{}, err
	}
	got, err := d.read(ctx, dir+"whole", bucket.Span{End: -1})
	if err == nil && got != sample+sample {
		return failed("the object is not its pieces in their order", anotherStore), nil
	}
	return fine(""), err
}

// send begins a session and sends all of an object but its end, in two parts.
func (d *doctor) send(ctx context.Context, name string) (*bucket.Completion, error) {
	o := d.newObject(name)
	c := &bucket.Completion{Upload: o, Checked: true}
	err := d.once(ctx, func(ctx context.Context) (err error) {
		c.ID, err = d.s.Begin(ctx, o)
		return err
	})
	polynomial := d.s.Traits().Polynomial
	for i := 0; i < 2 && err == nil; i++ {
		p := &bucket.Sending{
			Upload: o, ID: c.ID, Number: int32(i) + 1, Offset: c.Size, Part: bucket.CheckedPart(pattern(granule, byte(i)), polynomial),
		}
		err = d.once(ctx, func(ctx context.Context) error {
			_, err := d.s.Send(ctx, p)
			return err
		})
		c.CRC = bucket.AppendCRC(polynomial, c.CRC, p.Part.CRC(), p.Part.Size())
		c.Size += p.Part.Size()
	}
	c.Last = bucket.CheckedPart([]byte(sample), polynomial)
	c.CRC = bucket.AppendCRC(polynomial, c.CRC, c.Last.CRC(), c.Last.Size())
	c.Size += c.Last.Size()
	return c, err
}

// pattern is content that differs with seed.
func pattern(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i>>8) ^ byte(i) ^ seed
	}
	return b
}

func (d *doctor) complete(ctx context.Context, c *bucket.Completion) error {
	return d.once(ctx, func(ctx context.Context) error {
		_, err := d.s.Complete(ctx, c)
		return err
	})
}

func (d *doctor) session(ctx context.Context, dir string) (bucket.Result, error) {
	c, err := d.send(ctx, dir+"upload")
	if err != nil {
		return bucket.Result{}, err
	}
	if _, err := d.head(ctx, dir+"upload"); err == nil {
		return failed("the object is there before it is complete", anotherStore), nil
	}
	if err := d.complete(ctx, c); err != nil {
		return bucket.Result{}, err
	}
	info, err := d.head(ctx, dir+"upload")
	if err == nil && info.Size != c.Size {
		return failed(fmt.Sprintf("the object has %d bytes, and %d were sent", info.Size, c.Size), anotherStore), nil
	}
	return fine(""), err
}

func (d *doctor) cancel(ctx context.Context, dir string) (bucket.Result, error) {
	c, err := d.send(ctx, dir+"upload")
	if err == nil {
		err = d.once(ctx, func(ctx context.Context) error { return d.s.Abort(ctx, c.Upload.Name, c.ID) })
	}
	if err != nil {
		return bucket.Result{}, err
	}
	if err := d.complete(ctx, c); err == nil || !failure(err).Gone {
		return failed("an upload that was cancelled goes on", anotherStore), nil
	}
	return fine(""), nil
}

// resume says whether uploads that break off will be kept.
func (d *doctor) resume(context.Context, string) (bucket.Result, error) {
	switch {
	case d.s.seal == nil:
		return warned("uploads that break off are not kept: there is no session_key",
			"session_key: make one with openssl rand -base64 "+strconv.Itoa(KeySize)+", the same for all replicas; or set resumable.enabled to false"), nil
	case d.s.NoResume:
		return fine("switched off"), nil
	}
	return fine("uploads that break off are kept"), nil
}

// folders makes a folder, renames it and removes it, in a bucket that has such.
func (d *doctor) folders(ctx context.Context, dir string) (bucket.Result, error) {
	if !d.s.Hierarchical {
		return fine("folders are what names say"), nil
	}
	for _, do := range []func(ctx context.Context) error{
		func(ctx context.Context) error { return d.s.MakeFolder(ctx, dir+"from/") },
		func(ctx context.Context) error { return d.s.MoveFolder(ctx, dir+"from/", dir+"to/", false) },
		func(ctx context.Context) error { return d.s.RemoveFolder(ctx, dir+"to/") },
	} {
		if err := d.once(ctx, do); err != nil {
			return bucket.Result{}, err
		}
	}
	return fine("renamed at once"), nil
}

// oddNames are what partners call their files.
var oddNames = []string{"a b", "a+b", "a%2Bb", "a&<b>", "a?b#c", "ünï 日本 🙂", "control \x01", "..."}

// names stores odd names, asks for them and lists them: they are in bodies, in paths and in answers.
func (d *doctor) names(ctx context.Context, dir string) (bucket.Result, error) {
	var want []string
	for _, name := range oddNames {
		if _, err := d.write(ctx, d.newObject(dir+name), ""); err != nil {
			return bucket.Result{}, err
		}
		if _, err := d.head(ctx, dir+name); err != nil {
			return warned(strconv.QuoteToASCII(name)+": "+brief(err), "partners cannot use files with such names; other names are right"), nil
		}
		want = append(want, dir+name)
	}
	var got []string
	err := d.a.EachPage(ctx, dir, func(page *bucket.Page) error {
		for _, o := range page.Objects {
			got = append(got, o.Key)
		}
		return nil
	})
	slices.Sort(want)
	if err == nil && !slices.Equal(got, want) {
		return warned(fmt.Sprintf("odd names are listed as %q", got), "partners will not find files with such names; other names are right"), nil
	}
	return fine(""), err
}

// tidyFolders removes the folders of this doctor, the inner ones first.
func (d *doctor) tidyFolders(ctx context.Context) error {
	var names []string
	err := d.a.Retry(ctx, bucket.Cleaning, func(ctx context.Context) (err error) {
		names, err = d.s.folders(ctx, d.Folder)
		return err
	})
	slices.SortFunc(names, func(a, b string) int { return len(b) - len(a) })
	for _, name := range names {
		if err == nil {
			err = d.a.Retry(ctx, bucket.Cleaning, func(ctx context.Context) error {
				err := d.s.RemoveFolder(ctx, path.Clean(name)+"/")
				if failure(err).Kind == backends.NotExist {
					return nil
				}
				return err
			})
		}
	}
	return err
}
