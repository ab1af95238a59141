package s3

import (
	"context"
	"iter"
	"strings"

	"github.com/sluice-ftp/sluice/backends"
)

// pageSize is the most entries that S3 answers with at once.
const pageSize = 1000

// List implements backends.CloudStorageAdapter. One page is fetched ahead while the entries of the
// one before are yielded.
func (a *Adapter) List(ctx context.Context, dir string, o backends.ListOptions) iter.Seq2[backends.Object, error] {
	return func(yield func(backends.Object, error) bool) {
		if err := a.list(ctx, dir, o, yield); err != nil {
			yield(backends.Object{}, translate("list", dir, err))
		}
	}
}

func (a *Adapter) list(ctx context.Context, dir string, o backends.ListOptions, yield func(backends.Object, error) bool) error {
	if err := a.begin(ctx, dir); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l := &listing{adapter: a, dir: dir, prefix: a.folder(dir) + o.Prefix, found: dir == ""}
	if strings.Contains(o.Prefix, "/") {
		return l.exists(ctx) // no name has a slash in it
	}
	next := l.fetch(ctx, "")
	for next != nil {
		p := <-next
		if p.err != nil {
			return p.err
		}
		if next = nil; p.page.truncated {
			next = l.fetch(ctx, p.page.token)
		}
		if !l.yield(p.page, yield) {
			cancel()
			if next != nil {
				<-next
			}
			return nil
		}
	}
	return l.exists(ctx)
}

// listing is one List on its way.
type listing struct {
	adapter     *Adapter
	dir, prefix string
	found       bool   // anything, so that the folder exists
	last        string // the last folder, which some servers repeat on the next page
}

type fetched struct {
	page *page
	err  error
}

func (l *listing) fetch(ctx context.Context, token string) <-chan fetched {
	next := make(chan fetched, 1)
	go func() {
		page, err := l.adapter.page(ctx, l.prefix, "/", token, pageSize)
		next <- fetched{page, err}
	}()
	return next
}

// exists says NotExist, or NotDir, of a folder in which nothing was found.
func (l *listing) exists(ctx context.Context) error {
	if l.found {
		return nil
	}
	obj, err := l.adapter.stat(ctx, l.dir)
	if err == nil && !obj.Dir {
		err = fault(backends.NotDir, nil)
	}
	return err
}

// yield passes on the entries of a page: objects and folders, each in order, merged.
func (l *listing) yield(p *page, yield func(backends.Object, error) bool) bool {
	objects, folders := p.objects, p.folders
	for len(objects) > 0 || len(folders) > 0 {
		l.found = true
		var obj backends.Object
		if len(folders) == 0 || len(objects) > 0 && objects[0].Key < folders[0] {
			obj, objects = l.object(objects[0]), objects[1:]
		} else {
			obj, folders = l.subfolder(folders[0]), folders[1:]
		}
		if obj.Key != "" && !yield(obj, nil) {
			return false
		}
	}
	return true
}

// object and subfolder describe an entry; the zero object is one that is not to be shown: the
// folder's own placeholder, what is ours, and a name that no client could use.
func (l *listing) object(o backends.Object) backends.Object {
	key, ok := l.key(o.Key)
	if !ok {
		return backends.Object{}
	}
	o.Key = key
	return o
}

func (l *listing) subfolder(full string) backends.Object {
	if full == l.last {
		return backends.Object{}
	}
	l.last = full
	key, ok := l.key(strings.TrimSuffix(full, "/"))
	if !ok {
		return backends.Object{}
	}
	return backends.Object{Key: key, Dir: true}
}

func (l *listing) key(full string) (string, bool) {
	key, ok := strings.CutPrefix(full, l.adapter.Prefix)
	return key, ok && key != "" && backends.CheckKey(key) == nil
}

// keys lists what begins with prefix, folders or not.
func (a *Adapter) keys(ctx context.Context, prefix, token string, n int) (*page, error) {
	return a.page(ctx, prefix, "", token, n)
}

// page asks for one page of a listing.
func (a *Adapter) page(ctx context.Context, prefix, delimiter, token string, n int) (*page, error) {
	return a.pageWith(ctx, asking, prefix, delimiter, token, n)
}

func (a *Adapter) pageWith(ctx context.Context, p patience, prefix, delimiter, token string, n int) (found *page, err error) {
	err = retry(ctx, p, func(ctx context.Context) error {
		found, err = a.hot.list(ctx, prefix, delimiter, token, n)
		return err
	})
	return found, err
}

// eachPage calls do with all pages of what begins with prefix, folders or not.
func (a *Adapter) eachPage(ctx context.Context, prefix string, do func(p *page) error) error {
	for token := ""; ; {
		p, err := a.keys(ctx, prefix, token, pageSize)
		if err != nil {
			return err
		}
		if err := do(p); err != nil {
			return err
		}
		if !p.truncated {
			return nil
		}
		token = p.token
	}
}
