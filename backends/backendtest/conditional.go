package backendtest

import (
	"fmt"
	"io"
	"sync"

	"github.com/sluice-ftp/sluice/backends"
)

func testIfAbsent(f *fixture) {
	o := backends.PutOptions{IfAbsent: true}
	if !f.caps.IfAbsent {
		_, err := f.Adapter.Put(f.ctx, "o", plain(nil), o)
		f.wantKind("IfAbsent", err, backends.Unsupported)
		f.wantAbsent("o")
		return
	}
	for i, size := range f.sizes() {
		key := fmt.Sprintf("dir/%d", i)
		data := content(size, 1)
		if _, err := f.Adapter.Put(f.ctx, key, plain(data), o); err != nil {
			f.Fatalf("first put: %v", err)
		}
		_, err := f.Adapter.Put(f.ctx, key, plain(content(size, 2)), o)
		f.wantKind("second put", err, backends.Exist)
		f.wantContent(key, data)
	}
	_, err := f.Adapter.Put(f.ctx, "dir", plain(nil), o)
	f.wantKind("on a folder", err, backends.IsDir)

	// It is the moment of publishing that counts: this one appears during the transfer.
	r := io.MultiReader(plain(content(10, 1)), callback(func() { f.put("late", []byte("first")) }))
	_, err = f.Adapter.Put(f.ctx, "late", r, o)
	f.wantKind("one that appears meanwhile", err, backends.Exist)
	f.wantContent("late", []byte("first"))
}

// callback is an empty reader that does something on the way.
type callback func()

func (c callback) Read([]byte) (int, error) {
	c()
	return 0, io.EOF
}

func testIfAbsentRace(f *fixture) {
	f.need(f.caps.IfAbsent, "IfAbsent")
	for _, size := range []int64{10, 2*f.PartSize + 1} {
		key := fmt.Sprintf("o%d", size)
		f.race(backends.Exist, func(i int) error {
			_, err := f.Adapter.Put(f.ctx, key, plain(content(size, uint64(i))), backends.PutOptions{IfAbsent: true})
			return err
		}, func(winner int) { f.wantContent(key, content(size, uint64(winner))) })
	}
}

// race lets eight try at once: exactly one wins, the others are told why not.
func (f *fixture) race(refusal backends.Kind, try func(i int) error, won func(winner int)) {
	f.Helper()
	errs := make([]error, 8)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			<-start
			errs[i] = try(i)
		})
	}
	close(start)
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err != nil:
			f.wantKind("a loser", err, refusal)
		case winner >= 0:
			f.Errorf("both %d and %d won", winner, i)
		default:
			winner = i
		}
	}
	if winner < 0 {
		f.Fatalf("nobody won: %v", errs)
	}
	won(winner)
}

func testIfVersion(f *fixture) {
	obj := f.put("o", content(10, 1))
	if obj.Version == "" {
		f.Skip("the store has no versions")
	}
	next, err := f.Adapter.Put(f.ctx, "o", plain(content(10, 2)), backends.PutOptions{IfVersion: obj.Version})
	if !f.caps.IfAbsent {
		f.wantKind("IfVersion", err, backends.Unsupported)
		f.wantContent("o", content(10, 1))
		return
	}
	if err != nil {
		f.Fatalf("over its own version: %v", err)
	}
	stale := backends.PutOptions{IfVersion: obj.Version}
	_, err = f.Adapter.Put(f.ctx, "o", plain(content(10, 3)), stale)
	f.wantKind("over another version", err, backends.Conflict)
	_, err = f.Adapter.Put(f.ctx, "none", plain(nil), stale)
	f.wantKind("over nothing", err, backends.Conflict)
	f.wantAbsent("none")
	f.wantContent("o", content(10, 2))

	for _, change := range []struct {
		name string
		do   func()
	}{
		{"overwritten meanwhile", func() { f.put("o", content(10, 4)) }},
		{"removed meanwhile", func() { _ = f.Adapter.Remove(f.ctx, "o") }},
	} {
		r := io.MultiReader(plain(content(10, 5)), callback(change.do))
		_, err = f.Adapter.Put(f.ctx, "o", r, backends.PutOptions{IfVersion: next.Version})
		f.wantKind(change.name, err, backends.Conflict)
		next = f.put("o", content(10, 6))
	}

	f.race(backends.Conflict, func(i int) error {
		_, err := f.Adapter.Put(f.ctx, "o", plain(content(10+int64(i), uint64(i))), backends.PutOptions{IfVersion: next.Version})
		return err
	}, func(winner int) { f.wantContent("o", content(10+int64(winner), uint64(winner))) })
}
