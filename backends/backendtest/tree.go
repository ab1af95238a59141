package backendtest

import (
	"fmt"

	"github.com/sluice-ftp/sluice/backends"
)

func testRoot(f *fixture) {
	if obj := f.stat(""); !obj.Dir || obj.Size != 0 || obj.Version != "" {
		f.Errorf("the root is %+v", obj)
	}
	f.wantNames("")
	a := f.Adapter
	f.wantKind("rmdir", a.Rmdir(f.ctx, ""), backends.Permission)
	f.wantKind("mkdir", a.Mkdir(f.ctx, ""), backends.Exist)
	f.wantKind("remove", a.Remove(f.ctx, ""), backends.IsDir)
	f.put("o", nil)
	f.mkdir("d")
	f.wantKind("rename", a.Rename(f.ctx, "", "x", backends.RenameOptions{}), backends.Permission, backends.InvalidName)
	for _, from := range []string{"o", "d"} {
		f.wantKind("rename to", a.Rename(f.ctx, from, "", backends.RenameOptions{}), backends.Exist)
	}
	_, err := a.Copy(f.ctx, "o", "", backends.CopyOptions{})
	f.wantKind("copy to", err, backends.IsDir)
	f.wantNames("", "o", "d/")
}

func testMkdir(f *fixture) {
	f.mkdir("a")
	f.mkdir("x/y/z")
	for _, dir := range []string{"a", "x", "x/y", "x/y/z"} {
		if obj := f.stat(dir); !obj.Dir || obj.Size != 0 || obj.Version != "" {
			f.Errorf("%q is %+v", dir, obj)
		}
	}
	f.put("o", []byte("x"))
	f.put("implied/o", nil)
	for _, dir := range []string{"a", "x/y", "o", "implied"} {
		f.wantKind("mkdir "+dir, f.Adapter.Mkdir(f.ctx, dir), backends.Exist)
	}
	f.wantNames("", "a/", "implied/", "o", "x/")
	f.wantContent("o", []byte("x"))
	// Below an object a flat store may have a folder; one that has none refuses.
	if err := f.Adapter.Mkdir(f.ctx, "o/below"); err != nil {
		f.wantKind("below an object", err, backends.NotDir)
		f.wantNames("", "a/", "implied/", "o", "x/")
	}
	f.wantContent("o", []byte("x"))
}

func testRmdir(f *fixture) {
	f.mkdir("empty/below")
	f.put("full/o", nil)
	f.put("o", nil)
	f.mkdir("fullish")
	for dir, want := range map[string]backends.Kind{
		"empty": backends.NotEmpty, "full": backends.NotEmpty, "o": backends.NotDir,
		"full/o": backends.NotDir, "none": backends.NotExist, "full/none": backends.NotExist,
		"no/such/folder": backends.NotExist,
	} {
		f.wantKind("rmdir "+dir, f.Adapter.Rmdir(f.ctx, dir), want)
	}
	for _, dir := range []string{"empty/below", "empty", "fullish"} {
		if err := f.Adapter.Rmdir(f.ctx, dir); err != nil {
			f.Errorf("rmdir %q: %v", dir, err)
		}
		f.wantAbsent(dir)
	}
	f.wantNames("", "full/", "o")
}

func testRemove(f *fixture) {
	f.put("dir/a", nil)
	f.put("dir/sub/b", nil)
	f.put("o", nil)
	for key, want := range map[string]backends.Kind{
		"none": backends.NotExist, "no/such/folder": backends.NotExist,
		"dir": backends.IsDir, "dir/sub": backends.IsDir,
	} {
		f.wantKind("remove "+key, f.Adapter.Remove(f.ctx, key), want)
	}
	f.wantKind("remove below an object", f.Adapter.Remove(f.ctx, "o/x"), backends.NotExist, backends.NotDir)
	// The folder stays when the last object in it goes, also one that nobody made.
	for _, key := range []string{"dir/sub/b", "dir/a", "o"} {
		if err := f.Adapter.Remove(f.ctx, key); err != nil {
			f.Errorf("remove %q: %v", key, err)
		}
		f.wantAbsent(key)
	}
	f.wantNames("", "dir/")
	f.wantNames("dir", "sub/")
	f.wantNames("dir/sub")
	f.wantKind("again", f.Adapter.Remove(f.ctx, "o"), backends.NotExist)
}

func testRenameFile(f *fixture) {
	rename := func(from, to string, o backends.RenameOptions) {
		f.Helper()
		if err := f.Adapter.Rename(f.ctx, from, to, o); err != nil {
			f.Errorf("rename %q to %q: %v", from, to, err)
		}
	}
	data := content(f.PartSize+1, 1)
	f.put("d/a", data)
	rename("d/a", "d/b", backends.RenameOptions{})
	f.wantAbsent("d/a")
	f.wantContent("d/b", data)

	rename("d/b", "new/folder/c", backends.RenameOptions{})
	f.wantContent("new/folder/c", data)
	f.wantNames("d") // it stays, empty

	f.put("o", []byte("old"))
	rename("new/folder/c", "o", backends.RenameOptions{}) // replaces
	f.wantContent("o", data)
	rename("o", "o", backends.RenameOptions{})
	f.wantContent("o", data)
	f.wantNames("", "d/", "new/", "o")

	if !f.caps.IfAbsent {
		return
	}
	f.put("p", []byte("p"))
	absent := backends.RenameOptions{IfAbsent: true}
	f.wantKind("onto an object, if absent", f.Adapter.Rename(f.ctx, "o", "p", absent), backends.Exist)
	f.wantKind("onto itself, if absent", f.Adapter.Rename(f.ctx, "o", "o", absent), backends.Exist)
	f.wantContent("o", data)
	f.wantContent("p", []byte("p"))
	rename("o", "q/r", absent)
	f.wantContent("q/r", data)
	f.wantAbsent("o")
}

func testRenameFolder(f *fixture) {
	want := map[string]string{"to": "/", "to/there": "/", "to/there/sub": "/", "to/there/empty": "/"}
	for i := range 50 {
		name := fmt.Sprintf("%02d", i)
		if i%5 == 0 {
			name = "sub/" + name
		}
		data := content(int64(i), uint64(i))
		f.put("from/"+name, data)
		want["to/there/"+name] = string(data)
	}
	f.mkdir("from/empty")
	f.put("fromage", []byte("has the name as a prefix"))
	want["fromage"] = "has the name as a prefix"
	if err := f.Adapter.Rename(f.ctx, "from", "to/there", backends.RenameOptions{}); err != nil {
		f.Fatal(err)
	}
	f.wantTree(want)
	if f.caps.IfAbsent {
		if err := f.Adapter.Rename(f.ctx, "to/there", "there", backends.RenameOptions{IfAbsent: true}); err != nil {
			f.Fatal(err)
		}
		f.wantNames("there/sub", "00", "05", "10", "15", "20", "25", "30", "35", "40", "45")
		f.wantNames("to")
	}
}

func testRenameRefused(f *fixture) {
	f.put("dir/o", []byte("o"))
	f.put("dir/sub/p", []byte("p"))
	f.put("file", []byte("f"))
	f.mkdir("empty")
	before := f.tree()
	for _, test := range []struct {
		from, to string
		want     []backends.Kind
	}{
		{"none", "x", []backends.Kind{backends.NotExist}},
		{"none", "new/x", []backends.Kind{backends.NotExist}},
		{"no/such/folder", "x", []backends.Kind{backends.NotExist}},
		{"file", "dir", []backends.Kind{backends.Exist}},
		{"file", "empty", []backends.Kind{backends.Exist}},
		{"dir", "empty", []backends.Kind{backends.Exist}},
		{"dir/sub", "dir", []backends.Kind{backends.Exist}},
		{"dir", "dir/x", []backends.Kind{backends.InvalidName}},
		{"dir", "dir/sub/x/y", []backends.Kind{backends.InvalidName}},
		{"dir", "dir", []backends.Kind{backends.Exist, backends.InvalidName}},
		// An object cannot become a folder.
		{"dir", "file", []backends.Kind{backends.NotDir, backends.Exist}},
	} {
		for _, ifAbsent := range []bool{false, true} {
			if ifAbsent && !f.caps.IfAbsent {
				continue
			}
			err := f.Adapter.Rename(f.ctx, test.from, test.to, backends.RenameOptions{IfAbsent: ifAbsent})
			f.wantKind(fmt.Sprintf("%s to %s, if absent %t", test.from, test.to, ifAbsent), err, test.want...)
		}
	}
	f.wantTree(before)
}

func testRenameIfAbsentRace(f *fixture) {
	f.need(f.caps.IfAbsent, "IfAbsent")
	for i := range 8 {
		f.put(fmt.Sprintf("file%d", i), content(10, uint64(i)))
		f.put(fmt.Sprintf("dir%d/o", i), content(10, uint64(i)))
	}
	absent := backends.RenameOptions{IfAbsent: true}
	f.race(backends.Exist, func(i int) error {
		return f.Adapter.Rename(f.ctx, fmt.Sprintf("file%d", i), "file", absent)
	}, func(winner int) { f.wantContent("file", content(10, uint64(winner))) })
	f.race(backends.Exist, func(i int) error {
		return f.Adapter.Rename(f.ctx, fmt.Sprintf("dir%d", i), "dir", absent)
	}, func(winner int) { f.wantContent("dir/o", content(10, uint64(winner))) })
}
