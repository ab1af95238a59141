package bucket

import (
	"context"
	"crypto/rand"
	"maps"
	"time"

	"github.com/sluice-ftp/sluice/backends"
)

// copiers is how many copies are on their way at once.
const copiers = 16

// Copy implements backends.CloudStorageAdapter.
func (a *Adapter) Copy(ctx context.Context, from, to string, o backends.CopyOptions) (backends.Object, error) {
	obj, err := a.copy(ctx, from, to, o)
	return obj, a.Translate("copy", from, err)
}

func (a *Adapter) copy(ctx context.Context, from, to string, o backends.CopyOptions) (backends.Object, error) {
	var none backends.Object
	if err := a.begin(ctx, from, to); err != nil {
		return none, err
	}
	if o.IfAbsent && !a.Capabilities().IfAbsent {
		return none, Fault(backends.Unsupported, nil)
	}
	if from == "" || to == "" {
		return none, Fault(backends.IsDir, nil)
	}
	looking, cancel := context.WithCancel(ctx)
	defer cancel()
	folder := a.ask(looking, Asking, to)
	info, err := a.head(ctx, a.full(from))
	f := <-folder
	switch {
	case a.missing(err):
		return none, a.isFolder(ctx, from, err)
	case err != nil:
		return none, err
	case f.err != nil:
		return none, f.err
	case f.exists:
		return none, Fault(backends.IsDir, nil)
	}
	version, err := a.copyObject(ctx, info, a.full(to), o.IfAbsent)
	if err != nil {
		return none, err
	}
	return backends.Object{Key: to, Size: info.Size, ModTime: info.ModTime(), Version: version}, nil
}

// copyObject copies one version. The new object gets the time of the old.
func (a *Adapter) copyObject(ctx context.Context, from *Info, to string, ifAbsent bool) (version string, err error) {
	return a.copyAs(ctx, from, to, ifAbsent, rand.Text())
}

// copyAs does it with a token that says whose copy it is.
func (a *Adapter) copyAs(ctx context.Context, from *Info, to string, ifAbsent bool, token string) (version string, err error) {
	c := &objectCopy{Copying: Copying{From: from, To: to, IfAbsent: ifAbsent, Metadata: from.withTime(from.ModTime(), token)}, adapter: a, token: token}
	return c.run(ctx)
}

// withTime is the object's metadata with another time and token.
func (i *Info) withTime(t time.Time, token string) map[string]string {
	m := make(map[string]string, len(i.Metadata)+2)
	maps.Copy(m, i.Metadata)
	m[MetaModTime], m[MetaToken] = FormatModTime(t), token
	return m
}

// objectCopy is one object being copied.
type objectCopy struct {
	Copying
	adapter *Adapter
	token   string
}

func (c *objectCopy) run(ctx context.Context) (version string, err error) {
	t := c.adapter.store.Traits()
	switch {
	case c.From.Size <= t.MaxCopy && (!c.IfAbsent || t.CopyIfAbsent):
		return c.whole(ctx)
	case c.From.Size == 0:
		return c.empty(ctx)
	case !t.CopyPieces:
		return "", Fault(backends.Unsupported, nil)
	}
	return c.parts(ctx)
}

// publish makes the copy visible by do.
func (c *objectCopy) publish(ctx context.Context, p Patience, do func(ctx context.Context) (string, error)) (string, error) {
	w := &writing{adapter: c.adapter, full: c.To, token: c.token, size: c.From.Size, ifAbsent: c.IfAbsent, Patience: p, do: do}
	return w.publish(ctx)
}

// whole has the store copy, as often as it says that there is more to do.
func (c *objectCopy) whole(ctx context.Context) (version string, err error) {
	for done := false; !done && err == nil; {
		version, err = c.publish(ctx, Duplicating, func(ctx context.Context) (version string, err error) {
			version, done, err = c.adapter.store.Copy(ctx, &c.Copying)
			return version, err
		})
		done = done || version != ""
		if !done && err == nil {
			err = backends.Alive(ctx) // nothing can be seen of it yet
		}
	}
	return version, err
}

// newObject is what the store is to be told of a copy that it does not make itself.
func (c *objectCopy) newObject(ctx context.Context) (*NewObject, error) {
	tags, err := c.adapter.tags(ctx, c.From)
	return &NewObject{Name: c.To, Metadata: c.Metadata, IfAbsent: c.IfAbsent, Like: c.From, LikeTags: tags}, err
}

// tags are the object's, for where the store does not copy them by itself.
func (a *Adapter) tags(ctx context.Context, of *Info) (tags string, err error) {
	if !of.Tagged {
		return "", nil
	}
	err = a.Retry(ctx, Asking, func(ctx context.Context) error {
		tags, err = a.store.TagsOf(ctx, of.Name)
		return err
	})
	return tags, err
}

// empty writes an object of no bytes: there is nothing to copy parts of.
func (c *objectCopy) empty(ctx context.Context) (string, error) {
	o, err := c.newObject(ctx)
	if err != nil {
		return "", err
	}
	return c.publish(ctx, Asking, func(ctx context.Context) (string, error) { return c.adapter.store.Write(ctx, o) })
}

// parts copies in parts, several at once. It is also the way to copy if nothing is there on a server
// that only knows conditions for uploads.
func (c *objectCopy) parts(ctx context.Context) (version string, err error) {
	a := c.adapter
	o, err := c.newObject(ctx)
	if err != nil {
		return "", err
	}
	o.Copied = true
	record := &Record{Key: c.To, name: a.private("uploads/" + c.token)}
	defer func() { a.endUpload(ctx, record, err == nil) }()
	if err := a.startParts(ctx, record, o); err != nil {
		return "", err
	}
	size := a.store.Traits().CopyPiece
	var pieces []Span
	for begin := int64(0); begin < c.From.Size; begin += size {
		pieces = append(pieces, Span{begin, min(begin+size, c.From.Size)})
	}
	parts, err := a.copyPieces(ctx, &c.Copying, record, pieces)
	if err != nil {
		return "", err
	}
	done := &Completion{Upload: o, ID: record.UploadID, Pieces: parts, Size: c.From.Size}
	return c.publish(ctx, Finishing, func(ctx context.Context) (string, error) { return a.store.Complete(ctx, done) })
}

// SetModTime implements backends.CloudStorageAdapter.
func (a *Adapter) SetModTime(ctx context.Context, key string, t time.Time) error {
	return a.Translate("settime", key, a.setModTime(ctx, key, t))
}

func (a *Adapter) setModTime(ctx context.Context, key string, t time.Time) error {
	if err := a.begin(ctx, key); err != nil {
		return err
	}
	if key == "" {
		return Fault(backends.IsDir, nil)
	}
	info, err := a.head(ctx, a.full(key))
	if a.missing(err) {
		return a.isFolder(ctx, key, err)
	}
	if err != nil {
		return err
	}
	if traits := a.store.Traits(); traits.SetMetadata {
		return a.Retry(ctx, Asking, func(ctx context.Context) error {
			return a.store.SetMetadata(ctx, info, map[string]string{MetaModTime: FormatModTime(t)})
		})
	} else if info.Size > traits.MaxCopy {
		return Fault(backends.Unsupported, nil) // it would be a rewriting in parts
	}
	token := rand.Text()
	c := &objectCopy{Copying: Copying{From: info, To: info.Name, Metadata: info.withTime(t, token)}, adapter: a, token: token}
	_, err = c.run(ctx)
	return err
}
