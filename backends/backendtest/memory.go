package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluice-ftp/sluice/backends"
)

// Memory is a store in memory, written to be obviously right: one lock, one map, everything sorted
// and copied. It is an oracle for Compare and a store for tests that need any.
func Memory() backends.CloudStorageAdapter {
	return &memory{nodes: map[string]*node{"": {dir: true}}}
}

type memory struct {
	backends.NotResumable

	mu     sync.Mutex
	nodes  map[string]*node
	writes int
}

type node struct {
	dir     bool
	data    []byte
	mod     time.Time
	version string
}

func refuse(op, key string, kind backends.Kind) error {
	return &backends.Error{Op: op, Key: key, Kind: kind}
}

func (n *node) object(key string) backends.Object {
	return backends.Object{Key: key, Dir: n.dir, Size: int64(len(n.data)), ModTime: n.mod, Version: n.version}
}

func (m *memory) Capabilities() backends.Capabilities {
	return backends.Capabilities{Ordered: true, Offset: true, IfAbsent: true, ModTime: true}
}

func (m *memory) Close() error { return nil }

// begin checks what every method checks and locks the store; the function unlocks it.
func (m *memory) begin(ctx context.Context, op string, keys ...string) (func(), error) {
	for _, key := range keys {
		if err := backends.CheckKey(key); err != nil {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, &backends.Error{Op: op, Key: keys[0], Err: err}
	}
	m.mu.Lock()
	return m.mu.Unlock, nil
}

// find returns the node at key. The error says which element of the path is missing or no folder.
func (m *memory) find(op, key string) (*node, error) {
	for i := range len(key) {
		if key[i] != '/' {
			continue
		}
		switch up := m.nodes[key[:i]]; {
		case up == nil:
			return nil, refuse(op, key, backends.NotExist)
		case !up.dir:
			return nil, refuse(op, key, backends.NotDir)
		}
	}
	n := m.nodes[key]
	if n == nil {
		return nil, refuse(op, key, backends.NotExist)
	}
	return n, nil
}

// parents makes the missing folders above key.
func (m *memory) parents(op, key string) error {
	if _, err := m.find(op, key); err != nil && backends.KindOf(err) != backends.NotExist {
		return err
	}
	for i := range len(key) {
		if key[i] == '/' && m.nodes[key[:i]] == nil {
			m.nodes[key[:i]] = &node{dir: true}
		}
	}
	return nil
}

func (m *memory) Stat(ctx context.Context, key string) (backends.Object, error) {
	unlock, err := m.begin(ctx, "stat", key)
	if err != nil {
		return backends.Object{}, err
	}
	defer unlock()
	n, err := m.find("stat", key)
	if err != nil {
		return backends.Object{}, err
	}
	return n.object(key), nil
}

func (m *memory) List(ctx context.Context, dir string, o backends.ListOptions) iter.Seq2[backends.Object, error] {
	return func(yield func(backends.Object, error) bool) {
		objects, err := m.list(ctx, dir, o)
		for _, obj := range objects {
			if !yield(obj, nil) {
				return
			}
		}
		if err != nil {
			yield(backends.Object{}, err)
		}
	}
}

func (m *memory) list(ctx context.Context, dir string, o backends.ListOptions) ([]backends.Object, error) {
	unlock, err := m.begin(ctx, "list", dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	n, err := m.find("list", dir)
	if err != nil {
		return nil, err
	}
	if !n.dir {
		return nil, refuse("list", dir, backends.NotDir)
	}
	var all []backends.Object
	for key, n := range m.nodes {
		if name, below := child(dir, key); below && strings.HasPrefix(name, o.Prefix) {
			all = append(all, n.object(key))
		}
	}
	slices.SortFunc(all, func(a, b backends.Object) int { return strings.Compare(place(a), place(b)) })
	return all, nil
}

// child returns key's name in dir, if it is directly in it.
func child(dir, key string) (string, bool) {
	if dir != "" {
		var below bool
		if key, below = strings.CutPrefix(key, dir+"/"); !below {
			return "", false
		}
	}
	return key, key != "" && !strings.Contains(key, "/")
}

func (m *memory) Open(ctx context.Context, key string, o backends.OpenOptions) (backends.Reader, error) {
	unlock, err := m.begin(ctx, "open", key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	n, err := m.find("open", key)
	switch {
	case err != nil:
		return nil, err
	case n.dir:
		return nil, refuse("open", key, backends.IsDir)
	case o.IfVersion != "" && o.IfVersion != n.version:
		return nil, refuse("open", key, backends.Conflict)
	case o.Offset < 0 || o.Offset > int64(len(n.data)):
		return nil, refuse("open", key, backends.BadOffset)
	}
	return &memoryReader{bytes.NewReader(n.data[o.Offset:]), n.object(key)}, nil
}

type memoryReader struct {
	*bytes.Reader
	object backends.Object
}

func (r *memoryReader) Object() backends.Object { return r.object }
func (r *memoryReader) Close() error            { return nil }

func (m *memory) Put(ctx context.Context, key string, r io.Reader, o backends.PutOptions) (backends.Object, error) {
	present, err := m.admit(ctx, key, o)
	if err != nil {
		return backends.Object{}, err
	}
	data := slices.Clone(present.data[:o.Offset])
	if o.Offset > 0 && o.IfVersion == "" {
		o.IfVersion = present.version
	}
	rest, err := readAll(ctx, r, o)
	if err != nil {
		var known *backends.Error
		if errors.As(err, &known) && known.Kind == backends.TooLarge && known.Err == nil {
			return backends.Object{}, refuse("put", key, backends.TooLarge)
		}
		return backends.Object{}, &backends.Error{Op: "put", Key: key, Err: err}
	}
	return m.publish(ctx, "put", key, &node{data: append(data, rest...), mod: o.ModTime}, o)
}

// admit refuses what is refused before the content is read.
func (m *memory) admit(ctx context.Context, key string, o backends.PutOptions) (*node, error) {
	unlock, err := m.begin(ctx, "put", key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if len(o.Metadata) > 0 || o.Resumable {
		return nil, refuse("put", key, backends.Unsupported)
	}
	n, err := m.allowed("put", key, o)
	switch {
	case err != nil:
		return nil, err
	case o.Offset < 0 || o.Offset > int64(len(n.data)):
		return nil, refuse("put", key, backends.BadOffset)
	case o.MaxSize > 0 && o.Offset > o.MaxSize:
		return nil, refuse("put", key, backends.TooLarge)
	}
	return n, nil
}

// allowed returns the object that is to be replaced, an empty one if there is none.
func (m *memory) allowed(op, key string, o backends.PutOptions) (*node, error) {
	n, err := m.find(op, key)
	there := err == nil
	if err != nil && backends.KindOf(err) != backends.NotExist {
		return nil, err
	}
	switch {
	case there && n.dir:
		return nil, refuse(op, key, backends.IsDir)
	case there && o.IfAbsent:
		return nil, refuse(op, key, backends.Exist)
	case o.IfVersion != "" && (!there || n.version != o.IfVersion):
		return nil, refuse(op, key, backends.Conflict)
	case !there:
		return &node{}, nil
	}
	return n, nil
}

func (m *memory) publish(ctx context.Context, op, key string, n *node, o backends.PutOptions) (backends.Object, error) {
	unlock, err := m.begin(ctx, op, key)
	if err != nil {
		return backends.Object{}, err
	}
	defer unlock()
	if _, err := m.allowed(op, key, o); err != nil {
		return backends.Object{}, err
	}
	if err := m.parents(op, key); err != nil {
		return backends.Object{}, err
	}
	if n.mod.IsZero() {
		n.mod = time.Now()
	}
	m.writes++
	n.version = fmt.Sprint(m.writes)
	m.nodes[key] = n
	return n.object(key), nil
}

// readAll is io.ReadAll with a bound and an eye on ctx.
func readAll(ctx context.Context, r io.Reader, o backends.PutOptions) ([]byte, error) {
	var b bytes.Buffer
	page := make([]byte, 4096)
	for {
		n, err := r.Read(page)
		b.Write(page[:n])
		if o.MaxSize > 0 && o.Offset+int64(b.Len()) > o.MaxSize {
			return nil, &backends.Error{Kind: backends.TooLarge}
		}
		if ctx.Err() != nil {
			return nil, errors.Join(ctx.Err(), err)
		}
		if err == io.EOF {
			return b.Bytes(), nil
		}
		if err != nil {
			return nil, err
		}
	}
}
