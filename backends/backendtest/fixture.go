package backendtest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/backends"
)

// fixture is one test's store with the assertions that most tests share.
type fixture struct {
	*testing.T
	Store
	ctx  context.Context //nolint:containedctx // the test's own
	caps backends.Capabilities
}

func newFixture(t *testing.T, s Store) *fixture {
	if s.PartSize == 0 {
		s.PartSize = 64 << 10
	}
	return &fixture{T: t, Store: s, ctx: t.Context(), caps: s.Adapter.Capabilities()}
}

// sub runs a part of a test under its own name, on the same store.
func (f *fixture) sub(name string, run func(*fixture)) {
	f.Helper()
	f.Run(name, func(t *testing.T) {
		run(&fixture{T: t, Store: f.Store, ctx: t.Context(), caps: f.caps})
	})
}

func (f *fixture) need(capability bool, name string) {
	f.Helper()
	if !capability {
		f.Skipf("the store has no %s", name)
	}
}

// sizes are where part arithmetic goes wrong.
func (f *fixture) sizes() []int64 {
	p := f.PartSize
	return []int64{0, 1, p - 1, p, p + 1, 3 * p}
}

// content is n bytes that are different at every place and for every seed.
func content(n int64, seed uint64) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}

// plain hides everything of a reader but Read.
func plain(b []byte) io.Reader { return struct{ io.Reader }{bytes.NewReader(b)} }

func (f *fixture) put(key string, data []byte) backends.Object {
	f.Helper()
	obj, err := f.Adapter.Put(f.ctx, key, plain(data), backends.PutOptions{})
	if err != nil {
		f.Fatalf("put %q: %v", key, err)
	}
	if obj.Key != key || obj.Dir || obj.Size != int64(len(data)) {
		f.Fatalf("put %q of %d bytes returned %+v", key, len(data), obj)
	}
	return obj
}

func (f *fixture) mkdir(dir string) {
	f.Helper()
	if err := f.Adapter.Mkdir(f.ctx, dir); err != nil {
		f.Fatalf("mkdir %q: %v", dir, err)
	}
}

func (f *fixture) stat(key string) backends.Object {
	f.Helper()
	obj, err := f.Adapter.Stat(f.ctx, key)
	if err != nil {
		f.Fatalf("stat %q: %v", key, err)
	}
	if obj.Key != key {
		f.Fatalf("stat %q describes %q", key, obj.Key)
	}
	return obj
}

func (f *fixture) get(key string) []byte {
	f.Helper()
	b, err := read(f.ctx, f.Adapter, key, backends.OpenOptions{})
	if err != nil {
		f.Fatalf("read %q: %v", key, err)
	}
	return b
}

func read(ctx context.Context, a backends.CloudStorageAdapter, key string, o backends.OpenOptions) ([]byte, error) {
	r, err := a.Open(ctx, key, o)
	if err != nil {
		return nil, err
	}
	b, err := readSized(r, r.Object().Size)
	return b, errors.Join(err, r.Close())
}

// readSized is io.ReadAll with room for what is expected: to grow is most of what reading costs where
// races are looked for.
func readSized(r io.Reader, size int64) ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}

// wantContent fails the test unless key holds exactly data.
func (f *fixture) wantContent(key string, data []byte) {
	f.Helper()
	if got := f.get(key); !bytes.Equal(got, data) {
		f.Errorf("%q holds %d bytes, not the %d expected ones", key, len(got), len(data))
	}
	if obj := f.stat(key); obj.Dir || obj.Size != int64(len(data)) {
		f.Errorf("stat %q: %+v, want an object of %d bytes", key, obj, len(data))
	}
}

// wantKind fails the test unless err is a *backends.Error of one of the kinds.
func (f *fixture) wantKind(what string, err error, kinds ...backends.Kind) {
	f.Helper()
	if err == nil {
		f.Errorf("%s: no error, want %v", what, kinds)
		return
	}
	var e *backends.Error
	if !errors.As(err, &e) {
		f.Errorf("%s: %v is a %T, want a *backends.Error", what, err, err)
		return
	}
	if !slices.Contains(kinds, e.Kind) {
		f.Errorf("%s: %v, want %v", what, err, kinds)
	}
}

func (f *fixture) wantAbsent(key string) {
	f.Helper()
	_, err := f.Adapter.Stat(f.ctx, key)
	f.wantKind("stat "+key, err, backends.NotExist, backends.NotDir)
}

// list returns the listing of dir by key; a key that comes twice fails the test.
func (f *fixture) list(dir string, o backends.ListOptions) map[string]backends.Object {
	f.Helper()
	all := map[string]backends.Object{}
	last := ""
	for obj, err := range f.Adapter.List(f.ctx, dir, o) {
		if err != nil {
			f.Fatalf("list %q: %v", dir, err)
		}
		if _, twice := all[obj.Key]; twice {
			f.Errorf("list %q yields %q twice", dir, obj.Key)
		}
		if f.caps.Ordered && place(obj) < last {
			f.Errorf("list %q yields %q after %q", dir, obj.Key, last)
		}
		last = place(obj)
		all[obj.Key] = obj
	}
	return all
}

// place is what a listing in order is ordered by.
func place(obj backends.Object) string {
	if obj.Dir {
		return obj.Key + "/"
	}
	return obj.Key
}

// names is a listing as sorted names, those of folders with a slash.
func (f *fixture) names(dir string, o backends.ListOptions) []string {
	f.Helper()
	names := []string{}
	for key, obj := range f.list(dir, o) {
		name := strings.TrimPrefix(strings.TrimPrefix(key, dir), "/")
		if obj.Dir {
			name += "/"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (f *fixture) wantNames(dir string, want ...string) {
	f.Helper()
	slices.Sort(want)
	if want == nil {
		want = []string{}
	}
	if diff := cmp.Diff(want, f.names(dir, backends.ListOptions{})); diff != "" {
		f.Errorf("list %q (-want +got):\n%s", dir, diff)
	}
}

// firstError runs a listing to its end and returns the error in it.
func firstError(seq iter.Seq2[backends.Object, error]) error {
	for _, err := range seq {
		if err != nil {
			return err
		}
	}
	return nil
}

// tree is everything in the store: what each object holds, "/" for a folder.
func (f *fixture) tree() map[string]string {
	f.Helper()
	t, err := treeOf(f.ctx, f.Adapter, "")
	if err != nil {
		f.Fatalf("reading the whole store: %v", err)
	}
	return t
}

func treeOf(ctx context.Context, a backends.CloudStorageAdapter, dir string) (map[string]string, error) {
	all := map[string]string{}
	for obj, err := range a.List(ctx, dir, backends.ListOptions{}) {
		if err != nil {
			return nil, err
		}
		if !obj.Dir {
			b, err := read(ctx, a, obj.Key, backends.OpenOptions{})
			if err != nil {
				return nil, err
			}
			all[obj.Key] = string(b)
			continue
		}
		all[obj.Key] = "/"
		below, err := treeOf(ctx, a, obj.Key)
		if err != nil {
			return nil, err
		}
		for key, s := range below {
			all[key] = s
		}
	}
	return all, nil
}

// wantTree fails the test if anything in the store has changed since before.
func (f *fixture) wantTree(before map[string]string) {
	f.Helper()
	after := f.tree()
	for key, was := range before {
		if is, there := after[key]; !there {
			f.Errorf("%q is gone", key)
		} else if is != was {
			f.Errorf("%q has changed: %d bytes, had %d", key, len(is), len(was))
		}
	}
	for key := range after {
		if _, there := before[key]; !there {
			f.Errorf("%q has appeared", key)
		}
	}
}

// wantClean fails the test if anything is left behind.
func (f *fixture) wantClean() {
	f.Helper()
	if f.Leftovers == nil {
		return
	}
	if left := f.Leftovers(f); len(left) > 0 {
		f.Errorf("left behind: %q", left)
	}
}
