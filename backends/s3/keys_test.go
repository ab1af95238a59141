package s3_test

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/s3"
	"github.com/sluice-ftp/sluice/backends/s3fake"
)

// names returns what a listing shows, folders with a slash.
func names(t testing.TB, a *s3.Adapter, dir string) []string {
	t.Helper()
	var all []string
	for o, err := range a.List(t.Context(), dir, backends.ListOptions{}) {
		if err != nil {
			t.Errorf("list %q: %v", dir, err)
			return nil
		}
		if o.Dir {
			o.Key += "/"
		}
		all = append(all, o.Key)
	}
	return all
}

// TestOddKeys takes keys that look like something else to a server, a URL or XML through all methods.
func TestOddKeys(t *testing.T) {
	for _, key := range []string{
		"\x01", "a\x1fb", "tab\there", "\x7f", "a b", " a", "a ", "a+b", "a%2Fb", "a%b", "100%", "a?b=c", "a#b", "a&b;c",
		"<Key>", `"quoted"`, "it's", `back\slash`, "ä", "a\u0308", "日本語.csv", "🚰", "\uFFFD", "\uFEFFbom", "a:b", "~", "$a", "=",
		"*", "[a]", "{a}", "|", "^", "`", ".hidden", "...", "a..b", "-", strings.Repeat("x", 255),
	} {
		t.Run(key, func(t *testing.T) {
			f := s3fake.Start(t, s3fake.Options{})
			a := open(t, config(t, f))
			ctx := t.Context()
			name := "d/" + key
			if err := put(ctx, a, name, "content", backends.PutOptions{IfAbsent: true}); err != nil {
				t.Fatal(err)
			}
			if o, err := a.Stat(ctx, name); err != nil || o.Key != name || o.Size != 7 {
				t.Errorf("%+v, %v", o, err)
			}
			if all := names(t, a, "d"); !slices.Equal(all, []string{name}) {
				t.Errorf("listed: %q", all)
			}
			if all, err := get(ctx, a, name); all != "content" || err != nil {
				t.Errorf("%q, %v", all, err)
			}
			if err := a.SetModTime(ctx, name, newTime); err != nil {
				t.Error(err)
			}
			if err := a.Rename(ctx, name, "e/"+key+"/"+key, backends.RenameOptions{}); err != nil {
				t.Error(err)
			}
			if all := names(t, a, "e"); !slices.Equal(all, []string{"e/" + key + "/"}) {
				t.Errorf("listed: %q", all)
			}
			if err := a.Rename(ctx, "e/"+key, "f/"+key, backends.RenameOptions{}); err != nil {
				t.Error(err)
			}
			if all, err := get(ctx, a, "f/"+key+"/"+key); all != "content" || err != nil {
				t.Errorf("%q, %v", all, err)
			}
			if err := a.Remove(ctx, "f/"+key+"/"+key); err != nil {
				t.Error(err)
			}
			if err := a.Rmdir(ctx, "f/"+key); err != nil {
				t.Error(err)
			}
			if all := f.Keys(); !slices.Equal(all, []string{"d/", "e/", "f/"}) {
				t.Errorf("the bucket holds %q", all)
			}
		})
	}
}

// TestRefusedKeys: what is no key is refused before anything is asked.
func TestRefusedKeys(t *testing.T) {
	f := s3fake.Start(t, s3fake.Options{})
	c := config(t, f)
	c.Prefix = "pre/"
	a := open(t, c)
	for _, key := range []string{
		"a//b", "/a", "a/", "a/../b", "./a", "a\nb", "a\r", "\x00", "\xff", ".sluice", ".sluice/v1/uploads/x",
		strings.Repeat("x", backends.MaxKey-len(c.Prefix)+1),
	} {
		ctx := t.Context()
		_, statErr := a.Stat(ctx, key)
		_, openErr := a.Open(ctx, key, backends.OpenOptions{})
		_, copyErr := a.Copy(ctx, key, "k", backends.CopyOptions{})
		_, copyToErr := a.Copy(ctx, "k", key, backends.CopyOptions{})
		var listErr error
		for _, err := range a.List(ctx, key, backends.ListOptions{}) {
			listErr = err
		}
		for verb, err := range map[string]error{
			"stat": statErr, "open": openErr, "copy": copyErr, "copy to": copyToErr, "list": listErr,
			"put": put(ctx, a, key, "", backends.PutOptions{}), "mkdir": a.Mkdir(ctx, key), "rmdir": a.Rmdir(ctx, key),
			"remove": a.Remove(ctx, key), "rename": a.Rename(ctx, key, "k", backends.RenameOptions{}),
			"rename to": a.Rename(ctx, "k", key, backends.RenameOptions{}), "set the time": a.SetModTime(ctx, key, newTime),
		} {
			if backends.KindOf(err) != backends.InvalidName {
				t.Errorf("%s %.20q: %v", verb, key, err)
			}
		}
	}
	if n := f.Count(""); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// TestLongestKey: 1,024 bytes with the prefix are a key, also in parts, and its folder can be one.
func TestLongestKey(t *testing.T) {
	for _, prefix := range []string{"", "pre/fix/"} {
		f := s3fake.Start(t, s3fake.Options{Quirks: s3fake.Quirks{MinPartSize: testPart}})
		c := config(t, f)
		c.Prefix = prefix
		a := open(t, c)
		ctx := t.Context()
		key := strings.Repeat("d/", 300)
		key += strings.Repeat("ü", (backends.MaxKey-len(prefix)-len(key))/2)
		for _, size := range []int{3, 2*testPart + 1} {
			want := content(1, size)
			if err := put(ctx, a, key, want, backends.PutOptions{}); err != nil {
				t.Fatal(err)
			}
			if all, err := get(ctx, a, key); all != want || err != nil {
				t.Errorf("%d bytes, %v", len(all), err)
			}
		}
		if o, err := a.Stat(ctx, key); err != nil || o.Key != key {
			t.Errorf("stat: %v", err)
		}
		if left := leftovers(f, prefix); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
		// A placeholder would have one byte more.
		if err := a.Mkdir(ctx, strings.Repeat("x", backends.MaxKey-len(prefix))); backends.KindOf(err) != backends.InvalidName {
			t.Errorf("mkdir: %v", err)
		}
		if err := a.Rename(ctx, "d", "dd", backends.RenameOptions{}); backends.KindOf(err) != backends.InvalidName {
			t.Errorf("rename to a longer name: %v", err)
		}
		if o, ok := f.Object(prefix + key); !ok || o.Size != 2*testPart+1 {
			t.Error("it is not there any more")
		}
		if err := a.Remove(ctx, key); err != nil {
			t.Error(err)
		}
	}
}

// TestObjectBesideFolder has an object and a folder of one name, as others may write them. What is
// done to one of them never touches the other.
func TestObjectBesideFolder(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(t *testing.T, a *s3.Adapter) error
		kind backends.Kind // of the error; below 0: none
		keys []string      // afterwards
	}{
		{"stat", func(t *testing.T, a *s3.Adapter) error {
			o, err := a.Stat(t.Context(), "a")
			if o.Dir || o.Size != 3 {
				t.Errorf("%+v", o)
			}
			return err
		}, -1, []string{"a", "a/b"}},
		{"list the root", func(t *testing.T, a *s3.Adapter) error {
			if all := names(t, a, ""); !slices.Equal(all, []string{"a", "a/"}) {
				t.Errorf("%q", all)
			}
			return nil
		}, -1, []string{"a", "a/b"}},
		{"list", func(t *testing.T, a *s3.Adapter) error {
			if all := names(t, a, "a"); !slices.Equal(all, []string{"a/b"}) {
				t.Errorf("%q", all)
			}
			return nil
		}, -1, []string{"a", "a/b"}},
		{"open", func(t *testing.T, a *s3.Adapter) error {
			all, err := get(t.Context(), a, "a")
			if all != "one" {
				t.Errorf("%q", all)
			}
			return err
		}, -1, []string{"a", "a/b"}},
		{"open below", func(t *testing.T, a *s3.Adapter) error {
			all, err := get(t.Context(), a, "a/b")
			if all != "other" {
				t.Errorf("%q", all)
			}
			return err
		}, -1, []string{"a", "a/b"}},
		{"put", func(t *testing.T, a *s3.Adapter) error {
			return put(t.Context(), a, "a", "new", backends.PutOptions{})
		}, backends.IsDir, []string{"a", "a/b"}},
		{"remove", func(t *testing.T, a *s3.Adapter) error { return a.Remove(t.Context(), "a") }, -1, []string{"a/b"}},
		{"remove below", func(t *testing.T, a *s3.Adapter) error { return a.Remove(t.Context(), "a/b") }, -1, []string{"a", "a/"}},
		{"rmdir", func(t *testing.T, a *s3.Adapter) error { return a.Rmdir(t.Context(), "a") }, backends.NotEmpty, []string{"a", "a/b"}},
		{"mkdir", func(t *testing.T, a *s3.Adapter) error { return a.Mkdir(t.Context(), "a") }, backends.Exist, []string{"a", "a/b"}},
		{"rename", func(t *testing.T, a *s3.Adapter) error {
			return a.Rename(t.Context(), "a", "c", backends.RenameOptions{})
		}, -1, []string{"a/b", "c"}},
		{"rename to itself", func(t *testing.T, a *s3.Adapter) error {
			return ignoring(a.Rename(t.Context(), "a", "a", backends.RenameOptions{}))
		}, -1, []string{"a", "a/b"}},
		{"rename below", func(t *testing.T, a *s3.Adapter) error {
			return a.Rename(t.Context(), "a/b", "c", backends.RenameOptions{})
		}, -1, []string{"a", "a/", "c"}},
		{"rename onto itself below", func(t *testing.T, a *s3.Adapter) error {
			return ignoring(a.Rename(t.Context(), "a", "a/b", backends.RenameOptions{IfAbsent: true}))
		}, -1, []string{"a", "a/b"}},
		{"copy", func(t *testing.T, a *s3.Adapter) error {
			_, err := a.Copy(t.Context(), "a", "c", backends.CopyOptions{})
			return err
		}, -1, []string{"a", "a/b", "c"}},
		{"set the time", func(t *testing.T, a *s3.Adapter) error { return a.SetModTime(t.Context(), "a", newTime) }, -1, []string{"a", "a/b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := s3fake.Start(t, s3fake.Options{})
			f.Put("a", []byte("one"), nil)
			f.Put("a/b", []byte("other"), nil)
			err := test.do(t, open(t, config(t, f)))
			if (err == nil) != (test.kind < 0) || err != nil && backends.KindOf(err) != test.kind {
				t.Error(err)
			}
			if all := f.Keys(); !slices.Equal(all, test.keys) {
				t.Errorf("the bucket holds %q", all)
			}
			for _, key := range f.Keys() {
				o, _ := f.Object(key)
				if want := map[string]string{"a": "one", "a/b": "other"}[key]; want != "" && string(o.Data) != want {
					t.Errorf("%s holds %q", key, o.Data)
				}
			}
		})
	}
}

// ignoring takes any answer that says that a name is taken for none.
func ignoring(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// TestKeysOfOthers: what others wrote and no client could name is not shown, breaks nothing, and goes
// along with its folder.
func TestKeysOfOthers(t *testing.T) {
	f := s3fake.Start(t, s3fake.Options{PageSize: 2})
	odd := []string{"d//x", "d/a\nb", "d/../y", "d/./z", "d/line\r", "d/end/"}
	for _, key := range odd {
		f.Put(key, []byte("odd"), nil)
	}
	f.Put("d/good", []byte("good"), nil)
	a := open(t, config(t, f))
	if all := names(t, a, "d"); !slices.Equal(all, []string{"d/end/", "d/good"}) {
		t.Errorf("listed: %q", all)
	}
	if err := a.Rmdir(t.Context(), "d"); backends.KindOf(err) != backends.NotEmpty {
		t.Error(err)
	}
	if err := a.Rename(t.Context(), "d", "e", backends.RenameOptions{}); err != nil {
		t.Error(err)
	}
	for _, key := range append(odd, "d/good") {
		moved := "e" + key[1:]
		if _, ok := f.Object(moved); !ok {
			t.Errorf("%q is not there", moved)
		}
	}
	if n := len(f.Keys()); n != len(odd)+1 {
		t.Errorf("the bucket holds %q", f.Keys())
	}
}
