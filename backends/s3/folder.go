package s3

import (
	"context"
	"errors"
	"path"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/sluice-ftp/sluice/backends"
)

// folderType is the content type of a placeholder, as other programs write it.
const folderType = "application/x-directory"

var errRoot = errors.New("the root itself")

// Mkdir implements backends.CloudStorageAdapter. The folders above need nothing: a key below them is
// all that they are.
func (a *Adapter) Mkdir(ctx context.Context, dir string) error {
	return translate("mkdir", dir, a.mkdir(ctx, dir))
}

func (a *Adapter) mkdir(ctx context.Context, dir string) error {
	_, err := a.stat(ctx, dir)
	switch {
	case err == nil:
		return fault(backends.Exist, nil)
	case !missing(err):
		return err
	case len(a.folder(dir)) > backends.MaxKey:
		return fault(backends.InvalidName, errTooLong)
	}
	return a.keep(ctx, dir)
}

// keep writes the placeholder of a folder; one that is there already does no harm.
func (a *Adapter) keep(ctx context.Context, dir string) error {
	h := a.encrypted()
	h.Set("Content-Type", folderType)
	set(h, "X-Amz-Acl", a.ACL)
	return retry(ctx, asking, func(ctx context.Context) error {
		_, err := a.writeSmall(ctx, a.folder(dir), h, nil)
		return err
	})
}

// leave takes what has the name full in the bucket out of the folder that holds it, by remove, and has
// that folder stay. If it is the last, the folder's placeholder is written before; and when it has gone
// the folder is looked for again, because two that go at once each took the other for a reason to do
// nothing. A failure then is no reason to say that it has not gone.
func (a *Adapter) leave(ctx context.Context, full string, remove func(ctx context.Context) error) error {
	key := strings.TrimSuffix(strings.TrimPrefix(full, a.Prefix), "/")
	dir := path.Dir(key)
	if dir == "." {
		return remove(ctx)
	}
	const two = 2 // this one, and anything else
	page, err := a.keys(ctx, a.folder(dir), "", two)
	if err != nil {
		return err
	}
	if len(page.objects) > 0 && page.objects[0].Key == a.folder(dir) {
		return remove(ctx) // it has a placeholder
	}
	if len(page.objects) == 1 {
		if err := a.keep(ctx, dir); err != nil {
			return err
		}
	}
	if err := remove(ctx); err != nil {
		return err
	}
	ctx = background(ctx)
	f := a.folderAt(ctx, asking, dir)
	if f.err == nil && !f.exists {
		f.err = a.keep(ctx, dir)
	}
	if f.err != nil {
		a.Log.Warn("an emptied folder may be gone", "key", dir, "err", f.err)
	}
	return nil
}

// Rmdir implements backends.CloudStorageAdapter.
func (a *Adapter) Rmdir(ctx context.Context, dir string) error {
	return translate("rmdir", dir, a.rmdir(ctx, dir))
}

func (a *Adapter) rmdir(ctx context.Context, dir string) error {
	if err := a.begin(ctx, dir); err != nil {
		return err
	}
	if dir == "" {
		return fault(backends.Permission, errRoot)
	}
	const two = 2 // the placeholder, and anything else
	page, err := a.keys(ctx, a.folder(dir), "", two)
	if err != nil {
		return err
	}
	switch {
	case len(page.objects) == 0:
		if _, err := a.head(ctx, dir); err != nil {
			return err
		}
		return fault(backends.NotDir, nil)
	case len(page.objects) > 1 || page.objects[0].Key != a.folder(dir):
		return fault(backends.NotEmpty, nil)
	}
	return a.leave(ctx, a.folder(dir), func(ctx context.Context) error { return a.delete(ctx, a.folder(dir)) })
}

// Remove implements backends.CloudStorageAdapter.
func (a *Adapter) Remove(ctx context.Context, key string) error {
	return translate("remove", key, a.remove(ctx, key))
}

func (a *Adapter) remove(ctx context.Context, key string) error {
	obj, err := a.stat(ctx, key)
	if err != nil {
		return err
	}
	if obj.Dir {
		return fault(backends.IsDir, nil)
	}
	return a.leave(ctx, a.full(key), func(ctx context.Context) error { return a.delete(ctx, a.full(key)) })
}

// delete removes what has that name in the bucket. S3 is content with a name that has gone.
func (a *Adapter) delete(ctx context.Context, full string) error {
	return retry(ctx, asking, func(ctx context.Context) error {
		_, err := a.client.DeleteObject(ctx, &s3.DeleteObjectInput{
			Bucket: &a.Bucket, Key: &full, RequestPayer: a.payer(),
		})
		return err
	})
}

// deleteVersion removes what has that name if it is still the version etag. Another one has come
// meanwhile, and stays.
func (a *Adapter) deleteVersion(ctx context.Context, full, etag string) error {
	in := &s3.DeleteObjectInput{Bucket: &a.Bucket, Key: &full, RequestPayer: a.payer()}
	if a.Profile.ConditionalDelete {
		in.IfMatch = &etag
	} else if head, err := a.headAs(ctx, full); err != nil || aws.ToString(head.ETag) != etag {
		if isMissing(err) {
			err = nil
		}
		return err
	}
	err := retry(ctx, asking, func(ctx context.Context) error {
		_, err := a.client.DeleteObject(ctx, in)
		return err
	})
	if kind, _ := classify(err); err != nil && (kind == backends.Conflict || kind == backends.NotExist) {
		return nil
	}
	return err
}

// missing: there is neither an object nor a folder.
func missing(err error) bool {
	var e *backends.Error
	if errors.As(err, &e) {
		return e.Kind == backends.NotExist
	}
	return isMissing(err)
}
