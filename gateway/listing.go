package gateway

import (
	"context"
	"errors"
	"io"
	"iter"
	"path"
	"strings"
	"time"

	ftpserver "github.com/fclairamb/ftpserverlib"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/backends"
)

const (
	lineBuffer = 32 << 10 // bytes of a listing written at once
	lineMax    = 4 << 10  // more than any line has
	lineFlush  = 100 * time.Millisecond
)

// listRequest is what LIST, NLST or MLSD asked for.
type listRequest struct {
	verb  string
	path  string // absolute
	arg   string // as the client wrote it, for NLST, which answers in kind
	facts factSet
}

// listing is the handle of LIST, NLST and MLSD: a download of lines that are made while the store
// delivers the entries, so that it takes as little memory for a million as for one.
type listing struct {
	handle
	format  func([]byte, backends.Object, string) []byte
	entries iter.Seq2[backends.Object, error]
	stop    func()
}

func (t *transfer) openListing() (ftpserver.FileTransfer, error) {
	l := &listing{handle: handle{t}, stop: func() {}}
	req := t.list
	at, err := t.session.resolve(req.path, auth.List)
	if err != nil {
		return nil, err
	}
	t.backend = at.Backend
	// Names in NLST are as the client needs them to ask for the files from where it is.
	prefix, _ := path.Split(req.arg)
	obj, err := t.session.stat(at)
	dir, name := path.Split(req.path)
	switch {
	case err == nil && obj.Dir:
		if req.arg != "" && req.arg != "." {
			prefix = strings.TrimSuffix(req.arg, "/") + "/"
		}
		l.entries = t.session.children(t.ctx, at, backends.ListOptions{NamesOnly: req.verb == "NLST"})
	case err == nil && req.verb == "MLSD":
		return nil, &backends.Error{Op: "list", Key: at.key, Kind: backends.NotDir}
	case err == nil:
		l.entries = func(yield func(backends.Object, error) bool) { yield(obj, nil) }
	case backends.KindOf(err) == backends.NotExist && req.verb != "MLSD" && hasGlob(name):
		if err := l.openGlob(path.Clean(dir), name); err != nil {
			return nil, err
		}
	default:
		return nil, err
	}
	l.format = formatter(req, at, prefix)
	return l, nil
}

var errNoMatch = errors.New("no name matches")

// openGlob lists the names in dir that match a pattern. The first match is looked for before the
// data connection opens, because a pattern without one is refused (450).
func (l *listing) openGlob(dir, pattern string) error {
	s := l.session
	at, err := s.resolve(dir, auth.List)
	if err != nil {
		return err
	}
	literal := pattern[:strings.IndexAny(pattern, globMeta)]
	next, stop := iter.Pull2(s.children(l.ctx, at, backends.ListOptions{Prefix: literal, NamesOnly: l.list.verb == "NLST"}))
	match := func() (backends.Object, error, bool) {
		for {
			obj, err, ok := next()
			if !ok || err != nil {
				return obj, err, ok
			}
			if hit, _ := path.Match(pattern, path.Base(obj.Key)); hit {
				return obj, nil, true
			}
		}
	}
	first, err, ok := match()
	if err == nil && !ok {
		err = errNoMatch
	}
	if err != nil {
		stop()
		return err
	}
	l.stop = stop
	l.entries = func(yield func(backends.Object, error) bool) {
		for obj, err, ok := first, error(nil), true; ok && yield(obj, err); {
			obj, err, ok = match()
		}
	}
	return nil
}

const globMeta = `*?[`

func hasGlob(name string) bool { return strings.ContainsAny(name, globMeta) }

// children yields what is in a folder: what the adapter has, and the mounts below it, which hide
// what the adapter has of that name.
func (s *Session) children(ctx context.Context, t target, o backends.ListOptions) iter.Seq2[backends.Object, error] {
	mounts := s.mountsIn(t.path)
	hidden := make(map[string]bool, len(mounts))
	for _, m := range mounts {
		hidden[m] = true
	}
	return func(yield func(backends.Object, error) bool) {
		for _, m := range mounts {
			if strings.HasPrefix(m, o.Prefix) && !yield(backends.Object{Key: m, Dir: true}, nil) {
				return
			}
		}
		if t.virtual {
			return
		}
		for obj, err := range t.adapter.List(ctx, t.key, o) {
			if err != nil && backends.KindOf(err) == backends.NotExist && s.holdsMount(t.path) {
				return // a mount that nothing was put into yet
			}
			if err == nil && (hidden[path.Base(obj.Key)] || strings.ContainsAny(obj.Key, "\r\n\x00") || !t.shows(obj)) {
				continue
			}
			if !yield(obj, err) {
				return
			}
		}
	}
}

// WriteTo is called by the library with the data connection.
func (l *listing) WriteTo(conn io.Writer) (n int64, err error) {
	defer l.recovered(&err)
	out, err := l.sink(conn)
	if err != nil {
		return 0, l.fail(err)
	}
	pooled := l.session.server.lines.Get().(*[]byte)
	defer l.session.server.lines.Put(pooled)
	buf, flushed := (*pooled)[:0], time.Now()
	for obj, err := range l.entries {
		if err != nil {
			return l.moved.Load(), l.breakOff(conn, err)
		}
		buf = l.format(buf, obj, path.Base(obj.Key))
		if len(buf) < lineBuffer-lineMax && time.Since(flushed) < lineFlush {
			continue
		}
		if _, err := out.Write(buf); err != nil {
			return l.moved.Load(), l.breakOff(conn, err)
		}
		buf, flushed = buf[:0], time.Now()
	}
	if _, err = out.Write(buf); err == nil {
		err = out.Close()
	}
	return l.moved.Load(), l.breakOff(conn, err)
}

// Close ends the listing at the store.
func (l *listing) Close() error {
	defer l.end()
	l.stop()
	l.report()
	return nil
}
