package backendtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/sluice-ftp/sluice/backends"
)

func testOffset(f *fixture) {
	if !f.caps.Offset {
		f.put("o", []byte("base"))
		_, err := f.Adapter.Put(f.ctx, "o", plain(nil), backends.PutOptions{Offset: 1})
		f.wantKind("an offset", err, backends.Unsupported)
		f.wantContent("o", []byte("base"))
		return
	}
	for _, size := range f.sizes()[1:] {
		base := content(size, 1)
		for _, offset := range []int64{1, size / 2, size - 1, size} {
			if offset == 0 {
				continue
			}
			for _, more := range []int64{0, 1, f.PartSize + 1} {
				f.put("dir/o", base)
				tail := content(more, 2)
				obj, err := f.Adapter.Put(f.ctx, "dir/o", plain(tail), backends.PutOptions{Offset: offset})
				if err != nil {
					f.Fatalf("%d bytes at %d of %d: %v", more, offset, size, err)
				}
				if obj.Size != offset+more {
					f.Errorf("%d bytes at %d: put returned %+v", more, offset, obj)
				}
				f.wantContent("dir/o", append(bytes.Clone(base[:offset]), tail...))
			}
		}
		f.put("dir/o", base)
		_, err := f.Adapter.Put(f.ctx, "dir/o", unreadable{f}, backends.PutOptions{Offset: size + 1})
		f.wantKind("past the end", err, backends.BadOffset)
		_, err = f.Adapter.Put(f.ctx, "dir/o", unreadable{f}, backends.PutOptions{Offset: -1})
		f.wantKind("below 0", err, backends.BadOffset)
		f.wantContent("dir/o", base)
	}
	_, err := f.Adapter.Put(f.ctx, "none", unreadable{f}, backends.PutOptions{Offset: 1})
	f.wantKind("of nothing", err, backends.BadOffset)
	_, err = f.Adapter.Put(f.ctx, "dir", unreadable{f}, backends.PutOptions{Offset: 1})
	f.wantKind("of a folder", err, backends.IsDir)

	f.put("o", content(10, 1))
	_, err = f.Adapter.Put(f.ctx, "o", plain(content(5, 2)), backends.PutOptions{Offset: 6, MaxSize: 10})
	f.wantKind("beyond MaxSize with the base", err, backends.TooLarge)
	_, err = f.Adapter.Put(f.ctx, "o", plain(nil), backends.PutOptions{Offset: 8, MaxSize: 7})
	f.wantKind("a base beyond MaxSize", err, backends.TooLarge)
	f.wantContent("o", content(10, 1))
	if _, err = f.Adapter.Put(f.ctx, "o", plain(content(4, 2)), backends.PutOptions{Offset: 6, MaxSize: 10}); err != nil {
		f.Errorf("MaxSize exactly: %v", err)
	}
}

func testOffsetAbort(f *fixture) {
	f.need(f.caps.Offset, "Offset")
	for _, size := range f.sizes()[1:] {
		base := content(size, 1)
		f.put("dir/o", base)
		for _, abort := range aborts {
			r := abort.make(content(f.PartSize, 2), errPulled)
			_, err := f.Adapter.Put(f.ctx, "dir/o", r, backends.PutOptions{Offset: size/2 + 1})
			if !errors.Is(err, errPulled) {
				f.Errorf("%s: put returned %v", abort.name, err)
			}
			f.wantContent("dir/o", base)
			f.wantNames("dir", "o")
			f.wantClean()
		}
	}
}

func testOffsetConflict(f *fixture) {
	f.need(f.caps.Offset, "Offset")
	base := content(2*f.PartSize, 1)
	f.put("o", base)
	other := content(2*f.PartSize, 2)
	r := io.MultiReader(plain([]byte("tail")), callback(func() { f.put("o", other) }))
	_, err := f.Adapter.Put(f.ctx, "o", r, backends.PutOptions{Offset: 5})
	f.wantKind("overwritten meanwhile", err, backends.Conflict)
	f.wantContent("o", other)

	stale := backends.PutOptions{Offset: 5, IfVersion: "no version of anything"}
	_, err = f.Adapter.Put(f.ctx, "o", plain(nil), stale)
	f.wantKind("another version", err, backends.Conflict)

	// Two that have both begun before either ends: one wins, and nothing is mixed.
	var begun, ended sync.WaitGroup
	begun.Add(2)
	errs := make([]error, 2)
	for i := range errs {
		ended.Go(func() {
			meet := callback(func() { begun.Done(); begun.Wait() })
			r := io.MultiReader(meet, plain(fmt.Appendf(nil, "tail %d", i)))
			_, errs[i] = f.Adapter.Put(f.ctx, "o", r, backends.PutOptions{Offset: 5})
		})
	}
	ended.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		f.Fatalf("two appends at once ended with %v and %v", errs[0], errs[1])
	}
	winner := 0
	if errs[0] != nil {
		winner = 1
	}
	f.wantKind("the other append", errs[1-winner], backends.Conflict)
	f.wantContent("o", append(bytes.Clone(other[:5]), fmt.Sprintf("tail %d", winner)...))
}
