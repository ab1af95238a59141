package backendtest

import (
	"slices"
	"strings"

	"github.com/sluice-ftp/sluice/backends"
)

// nasty are names that some layer between here and a store is likely to change.
var nasty = []string{
	"caf\u00e9", "cafe\u0301", "日本語", "😀.txt", "\u202etxt.exe", "\ufeffbom",
	" leading", "trailing ", "in the middle", "-rf", "--", "~", "...", "..a", ".hidden", "a.",
	`"quotes"`, "it's", "`id`", "$(id)", "${HOME}", "a;b", "a|b", "a&b", "<a>", "a*b?", "[a]", "{a}",
	"%", "%2F", "%00", "%2e%2e", "100%", `back\slash`, `\`, "a+b", "a=b", "#a", "a:b", "@", "!",
	"\x01", "\x7f", "tab\there", "\x1b[31m", "CON", "nul.txt", backends.Private + "2",
}

func testNastyKeys(f *fixture) {
	keys := make(map[string]bool)
	nasty := slices.DeleteFunc(slices.Clone(nasty), func(name string) bool {
		return f.NoControls && strings.ContainsFunc(name, func(r rune) bool { return r < ' ' && r != '\t' })
	})
	for i, name := range nasty {
		for _, key := range []string{name, "dir/" + name} {
			data := content(int64(i+1), uint64(i))
			f.put(key, data)
			f.wantContent(key, data)
			keys[key] = true
		}
	}
	for _, dir := range []string{"", "dir"} {
		for key, obj := range f.list(dir, backends.ListOptions{}) {
			if key != "dir" && !keys[key] {
				f.Errorf("list %q yields %q, which nobody stored", dir, key)
			}
			if obj.Dir != (key == "dir") {
				f.Errorf("list says %+v", obj)
			}
			delete(keys, key)
		}
	}
	for key := range keys {
		f.Errorf("%q is not listed", key)
	}
	for _, name := range nasty {
		to := "moved/" + name
		if err := f.Adapter.Rename(f.ctx, name, to, backends.RenameOptions{}); err != nil {
			f.Errorf("rename %q: %v", name, err)
			continue
		}
		if _, err := f.Adapter.Copy(f.ctx, to, name+" copy", backends.CopyOptions{}); err != nil {
			f.Errorf("copy %q: %v", to, err)
		}
		if err := f.Adapter.Remove(f.ctx, to); err != nil {
			f.Errorf("remove %q: %v", to, err)
		}
		f.wantAbsent(to)
	}
	testLongKeys(f)
}

// Where a store has a bound below ours it may refuse, but then before it has done anything.
func testLongKeys(f *fixture) {
	before := f.tree()
	for name, key := range map[string]string{
		"255-byte element":     strings.Repeat("e", 255),
		"255 bytes of UTF-8":   strings.Repeat("é", 127) + "x",
		"256-byte element":     "new folder/" + strings.Repeat("e", 256),
		"1,024 bytes, deep":    strings.Repeat("folder/", 145) + "abcdefghi",
		"1,024 bytes, 5 parts": strings.Repeat(strings.Repeat("e", 204)+"/", 4) + strings.Repeat("f", 204),
	} {
		if f.MaxElement > 0 && slices.ContainsFunc(strings.Split(key, "/"), func(e string) bool { return len(e) > f.MaxElement }) {
			continue
		}
		f.sub(name, func(f *fixture) {
			_, err := f.Adapter.Put(f.ctx, key, plain([]byte(name)), backends.PutOptions{})
			if err != nil {
				f.wantKind("put", err, backends.InvalidName)
				f.wantTree(before)
				return
			}
			f.wantContent(key, []byte(name))
			if err := f.Adapter.Remove(f.ctx, key); err != nil {
				f.Error(err)
			}
			for dir := key; strings.Contains(dir, "/"); {
				dir = dir[:strings.LastIndex(dir, "/")]
				if err := f.Adapter.Rmdir(f.ctx, dir); err != nil {
					f.Errorf("rmdir: %v", err)
				}
			}
			f.wantTree(before)
		})
	}
}

func testRefusedKeys(f *fixture) {
	f.put("a/o", []byte("x"))
	before := f.tree()
	refused := []string{
		"/", "/a", "a/", "a//o", ".", "..", "./a", "../a", "a/..", "a/../b", "a/./o", "a/../../b",
		"nul\x00", "cr\r", "lf\n", "not utf-8 \xff", "a/\xc0\xaf", strings.Repeat("x/", 512) + "y",
		backends.Private, backends.Private + "/", backends.Private + "/tmp", backends.Private + "/tmp/x",
	}
	for _, key := range refused {
		a := f.Adapter
		_, statErr := a.Stat(f.ctx, key)
		_, openErr := a.Open(f.ctx, key, backends.OpenOptions{})
		_, putErr := a.Put(f.ctx, key, unreadable{f}, backends.PutOptions{})
		_, copyErr := a.Copy(f.ctx, key, "b", backends.CopyOptions{})
		_, copyToErr := a.Copy(f.ctx, "a/o", key, backends.CopyOptions{})
		for op, err := range map[string]error{
			"stat": statErr, "open": openErr, "put": putErr, "copy": copyErr, "copy to": copyToErr,
			"list":      firstError(a.List(f.ctx, key, backends.ListOptions{})),
			"rename":    a.Rename(f.ctx, key, "b", backends.RenameOptions{}),
			"rename to": a.Rename(f.ctx, "a/o", key, backends.RenameOptions{}),
			"remove":    a.Remove(f.ctx, key),
			"mkdir":     a.Mkdir(f.ctx, key),
			"rmdir":     a.Rmdir(f.ctx, key),
		} {
			f.wantKind(op+" "+key, err, backends.InvalidName)
		}
	}
	f.wantTree(before)
}

// testPrivate looks for the store's own folder in the listing of the root.
func testPrivate(f *fixture) {
	f.put(backends.Private+"x", nil)
	f.mkdir("x/" + backends.Private)
	f.wantNames("", backends.Private+"x", "x/")
	f.wantNames("x", backends.Private+"/")
	for _, prefix := range []string{".", backends.Private} {
		got := f.names("", backends.ListOptions{Prefix: prefix, NamesOnly: true})
		if len(got) != 1 || got[0] != backends.Private+"x" {
			f.Errorf("the names with %q are %q", prefix, got)
		}
	}
}
