package backendtest

import (
	"time"

	"github.com/sluice-ftp/sluice/backends"
)

func testCopy(f *fixture) {
	for i, size := range f.sizes() {
		data := content(size, uint64(i))
		o := backends.PutOptions{}
		if f.caps.ModTime {
			o.ModTime = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
		}
		if _, err := f.Adapter.Put(f.ctx, "dir/o", plain(data), o); err != nil {
			f.Fatal(err)
		}
		f.put("old", []byte("replaced"))
		for _, to := range []string{"copy", "new/folder/copy", "old", "dir/o"} {
			obj, err := f.Adapter.Copy(f.ctx, "dir/o", to, backends.CopyOptions{})
			if err != nil {
				f.Fatalf("copy of %d bytes to %q: %v", size, to, err)
			}
			if obj.Key != to || obj.Size != size || obj.Dir {
				f.Errorf("copy to %q returned %+v", to, obj)
			}
			f.wantContent(to, data)
			if f.caps.ModTime && !f.stat(to).ModTime.Truncate(time.Second).Equal(o.ModTime) {
				f.Errorf("the copy's time is %v", f.stat(to).ModTime)
			}
		}
		f.wantContent("dir/o", data)
	}
	testCopyRefused(f)
}

func testCopyRefused(f *fixture) {
	before := f.tree()
	copyTo := func(from, to string, o backends.CopyOptions) error {
		_, err := f.Adapter.Copy(f.ctx, from, to, o)
		return err
	}
	f.wantKind("of nothing", copyTo("none", "x/y", backends.CopyOptions{}), backends.NotExist)
	f.wantKind("of a folder", copyTo("dir", "x/y", backends.CopyOptions{}), backends.IsDir)
	f.wantKind("onto a folder", copyTo("dir/o", "new", backends.CopyOptions{}), backends.IsDir)
	absent := backends.CopyOptions{IfAbsent: true}
	if !f.caps.IfAbsent {
		f.wantKind("if absent", copyTo("dir/o", "x", absent), backends.Unsupported)
		f.wantTree(before)
		return
	}
	f.wantKind("onto an object, if absent", copyTo("dir/o", "old", absent), backends.Exist)
	f.wantKind("onto itself, if absent", copyTo("dir/o", "dir/o", absent), backends.Exist)
	f.wantTree(before)
	if err := copyTo("dir/o", "fresh", absent); err != nil {
		f.Errorf("to a new key, if absent: %v", err)
	}
	f.race(backends.Exist, func(int) error { return copyTo("dir/o", "raced", absent) },
		func(int) { f.wantContent("raced", f.get("dir/o")) })
}

func testAvailable(f *fixture) {
	n, err := f.Adapter.Available(f.ctx, "")
	if !f.caps.Space {
		f.wantKind("available", err, backends.Unsupported)
		return
	}
	if err != nil || n <= 0 {
		f.Errorf("available: %d, %v", n, err)
	}
	_, err = f.Adapter.Available(f.ctx, "none")
	f.wantKind("in a missing folder", err, backends.NotExist)
}
