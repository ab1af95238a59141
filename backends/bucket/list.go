package bucket

import (
	"context"
	"iter"
	"strings"

	"github.com/sluice-ftp/sluice/backends"
)

// pageSize is the most entries that stores answer with at once.
const pageSize = 1000

// List implements backends.CloudStorageAdapter. One page is fetched ahead while the entries of the
// one before are yielded.
func (a *Adapter) List(ctx context.Context, dir string, o backends.ListOptions) iter.Seq2[backends.Object, error] {
	return func(yield func(backends.Object, error) bool) {
		if err := a.list(ctx, dir, o, yield); err != nil {
			yield(backends.Object{}, a.Translate("list", dir, err))
		}
	}
}

func (a *Adapter) list(ctx context.Context, dir string, o backends.ListOptions, yield func(backends.Object, error) bool) error {
	if err := a.begin(ctx, dir); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l := &listing{adapter: a, dir: dir, prefix: a.folder(dir) + o.Prefix, namesOnly: o.NamesOnly, found: dir == ""}
	if strings.Contains(o.Prefix, "/") {
		return l.exists(ctx) // no name has a slash in it
	}
	next := l.fetch(ctx, "")
	for next != nil {
		p := <-next
		if p.err != nil {
			return p.err
		}
		if next = nil; p.page.More {
			next = l.fetch(ctx, p.page.Token)
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
	namesOnly   bool
	found       bool   // anything, so that the folder exists
	last        string // the last folder, which some servers repeat on the next page
}

type fetched struct {
	page *Page
	err  error
}

func (l *listing) fetch(ctx context.Context, token string) <-chan fetched {
	next := make(chan fetched, 1)
	go func() {
		page, err := l.adapter.page(ctx, Asking, Query{
			Prefix: l.prefix, Delimiter: "/", Token: token, Most: pageSize, NamesOnly: l.namesOnly, Empty: true,
		})
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
		err = Fault(backends.NotDir, nil)
	}
	return err
}

// yield passes on the entries of a page: objects and folders, each in order, merged.
func (l *listing) yield(p *Page, yield func(backends.Object, error) bool) bool {
	objects, folders := p.Objects, p.Folders
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

// page asks for one page of a listing.
func (a *Adapter) page(ctx context.Context, p Patience, q Query) (found *Page, err error) {
	err = a.Retry(ctx, p, func(ctx context.Context) error {
		found, err = a.store.List(ctx, q)
		return err
	})
	return found, err
}

// firstTwo are the first two names that begin with prefix, folders or not.
func (a *Adapter) firstTwo(ctx context.Context, prefix string) (*Page, error) {
	const two = 2
	return a.page(ctx, Asking, Query{Prefix: prefix, Most: two})
}

// EachPage calls do with all pages of what begins with prefix, folders or not.
func (a *Adapter) EachPage(ctx context.Context, prefix string, do func(p *Page) error) error {
	for q := (Query{Prefix: prefix, Most: pageSize}); ; {
		p, err := a.page(ctx, Asking, q)
		if err != nil {
			return err
		}
		if err := do(p); err != nil {
			return err
		}
		if !p.More {
			return nil
		}
		q.Token = p.Token
	}
}
