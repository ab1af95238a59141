package bucket

import (
	"context"
	"crypto/rand"
	"io"
	"maps"
	"sync/atomic"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/pages"
)

// headSize is what an upload reads before it asks for memory of the budget: a record of TLS. So who
// opens an upload and sends nothing takes nothing, and most small files never ask.
const headSize = 16 << 10

// Put implements backends.CloudStorageAdapter. What fits into one part is one request; the rest goes
// out in parts while it comes in.
func (a *Adapter) Put(ctx context.Context, key string, r io.Reader, o backends.PutOptions) (backends.Object, error) {
	obj, err := a.put(ctx, key, r, o)
	return obj, a.Translate("put", key, err)
}

func (a *Adapter) put(ctx context.Context, key string, r io.Reader, o backends.PutOptions) (backends.Object, error) {
	var none backends.Object
	if err := a.begin(ctx, key); err != nil {
		return none, err
	}
	can := a.Capabilities()
	switch {
	case key == "":
		return none, Fault(backends.IsDir, nil)
	case o.Offset < 0:
		return none, Fault(backends.BadOffset, nil)
	case o.Offset > 0 && o.Continue == "" && !can.Offset, o.Resumable && !can.Resume, (o.IfAbsent || o.IfVersion != "") && !can.IfAbsent:
		return none, Fault(backends.Unsupported, nil)
	}
	looking, cancel := context.WithCancel(ctx)
	u := &upload{
		adapter: a, ctx: ctx, key: key, r: r, options: o,
		token: rand.Text(), name: a.full(key), folder: a.ask(looking, Transferring, key),
	}
	defer func() {
		cancel()
		_ = u.admit() // only to see the end of it
	}()
	if o.Offset > 0 && o.Continue == "" {
		if err := u.continues(looking); err != nil {
			return none, err
		}
		defer u.before.drop()
	}
	if u.joined != nil {
		return u.join()
	}
	return u.run()
}

// upload is one Put on its way.
type upload struct {
	adapter *Adapter
	ctx     context.Context //nolint:containedctx // it lives for one call
	key     string
	r       io.Reader
	options backends.PutOptions
	// name is that in the bucket of what is written.
	name string
	// token is in the object's metadata: after a lost answer it tells whether the object is ours.
	token string
	// folder will say whether the key is one; nil when it has.
	folder <-chan folderAnswer
	// size is what the object has so far.
	size int64
	// present is the object that an upload with an offset goes on from: copied are the pieces of it
	// that become the first parts, before what follows them and is read and sent again.
	present *Info
	tags    string // of it
	copied  []Span
	before  cursor
	// joined is what is written now and will be part of the object: the present one stays as it is.
	joined *backends.PutOptions
	joins  int64  // the bytes of the present one then
	class  string // of storage, which both have to have

	// fenced: another process has taken the upload over.
	fenced atomic.Bool
}

// run reads a little, then a page, then a part, and only then begins an upload in parts.
func (u *upload) run() (backends.Object, error) {
	if u.options.Continue != "" {
		return u.goOn()
	}
	a := u.adapter
	var m *multipart // as soon as more than one part is needed
	defer func() {
		if m != nil {
			m.cancel()
		}
	}()
	if len(u.copied) > 0 {
		m = newMultipart(u)
		m.begin() // the store copies while the content comes
	}
	buf := a.heads.Get().(*[headSize]byte)
	defer a.heads.Put(buf)
	head := &Part{head: buf[:], table: a.table()}
	ended, err := u.fill(head, headSize)
	if err != nil || ended {
		return u.only(m, head, err)
	}

	first := &Part{lease: a.Memory.TryFirst(), table: a.table()}
	defer func() { first.release() }()
	if first.lease != nil {
		first.write(head.head)
		ended, err = u.fill(first, pages.Size)
		if err != nil || ended {
			return u.only(m, first, err)
		}
	}

	traits := a.store.Traits()
	size := traits.PartSize
	if m == nil {
		m = newMultipart(u)
	}
	lease := a.Memory.TryReserve(size)
	if lease == nil {
		// It will take a while, in which the upload can begin: later it would keep a part waiting.
		m.begin()
		if lease, err = a.Memory.Reserve(u.ctx, size); err != nil {
			return m.run(&Part{}, true, backends.Alive(u.ctx))
		}
	}
	if first.lease != nil {
		lease.Adopt(first.lease)
	}
	first.lease = lease
	if first.size == 0 {
		first.write(head.head)
	}
	ended, err = u.fill(first, size)
	if err != nil || ended {
		return u.only(m, first, err)
	}
	return m.run(first, ended, err)
}

// only publishes what one part holds, behind what is copied.
func (u *upload) only(m *multipart, p *Part, err error) (backends.Object, error) {
	switch {
	case m == nil:
	case err != nil && !m.hasBegun && u.keepsOnly(p, err):
		m.beginIn(background(u.ctx)) // to be kept
		return m.run(p, true, err)
	case m.hasBegun:
		return m.run(p, true, err)
	}
	return u.whole(p, err)
}

// keepsOnly: a part that is all there is of an upload is kept after err.
func (u *upload) keepsOnly(p *Part, err error) bool {
	a := u.adapter
	return u.options.Resumable && a.worthKeeping(err) && a.store.Traits().Amid(p.size) > 0 && p.size >= a.KeepAtLeast
}

// goOn goes on from what was kept.
func (u *upload) goOn() (backends.Object, error) {
	m, p, err := u.resume()
	if m == nil {
		return backends.Object{}, err
	}
	defer m.cancel()
	ended := false
	if err == nil {
		ended, err = u.fill(p, u.adapter.store.Traits().PartSize)
	}
	return m.run(p, ended, err)
}

// whole publishes an object that one part holds, unless err.
func (u *upload) whole(p *Part, err error) (backends.Object, error) {
	if err == nil {
		err = u.admit()
	}
	if err == nil {
		err = backends.Alive(u.ctx) // from here on there is no way back
	}
	if err != nil {
		return backends.Object{}, err
	}
	o := u.newObject()
	version, err := u.publish(Uploading(p.size), func(ctx context.Context) (string, error) {
		return u.adapter.store.Write(ctx, o, p)
	})
	if err != nil {
		return backends.Object{}, err
	}
	return u.object(version), nil
}

// newObject is what the store is to be told of the object.
func (u *upload) newObject() *NewObject {
	m := make(map[string]string, len(u.options.Metadata)+2)
	maps.Copy(m, u.options.Metadata)
	m[MetaToken] = u.token
	if t := u.options.ModTime; !t.IsZero() {
		m[MetaModTime] = FormatModTime(t)
	}
	return &NewObject{
		Name: u.name, ContentType: u.options.ContentType, Metadata: m,
		IfAbsent: u.options.IfAbsent, IfVersion: u.options.IfVersion,
		Like: u.present, LikeTags: u.tags, Copied: len(u.copied) > 0, Class: u.class,
	}
}

func (u *upload) object(version string) backends.Object {
	t := u.options.ModTime
	if t.IsZero() {
		t = time.Now()
	}
	return backends.Object{Key: u.key, Size: u.size, ModTime: t.UTC(), Version: version}
}

// publish makes the object visible by do.
func (u *upload) publish(p Patience, do func(ctx context.Context) (string, error)) (string, error) {
	w := &writing{adapter: u.adapter, full: u.name, token: u.token, size: u.size, Patience: p, do: do}
	w.ifAbsent, w.ifVersion = u.options.IfAbsent, u.options.IfVersion
	return w.publish(u.ctx)
}
