package backends_test

import (
	"strings"
	"testing"

	"github.com/sluice-ftp/sluice/backends"
)

func TestCleanKey(t *testing.T) {
	for path, want := range map[string]string{
		"": "", "/": "", ".": "", "..": "", "../..": "", "//": "", "a/..": "",
		"a": "a", "/a": "a", "a/": "a", "//a//b//": "a/b", "./a/./b": "a/b",
		"../a": "a", "/../../a": "a", "a/../b": "b", "a/b/../../../c": "c", "a/...": "a/...",
		"a b": "a b", " a": " a", `a\..\b`: `a\..\b`, "caf\u00e9": "caf\u00e9", "cafe\u0301": "cafe\u0301",
		"tab\t\x01": "tab\t\x01", backends.Private + "x": backends.Private + "x",
		"a/" + backends.Private: "a/" + backends.Private, backends.Private + "/../a": "a",
		strings.Repeat("x", backends.MaxKey): strings.Repeat("x", backends.MaxKey),
	} {
		if got, err := backends.CleanKey(path); err != nil || got != want {
			t.Errorf("CleanKey(%q) = %q, %v, want %q", path, got, err, want)
		}
	}
	for _, path := range []string{
		"a\x00", "a\rb", "a\nb", "\xff", "a/\xc0\xaf", "\xed\xa0\x80",
		strings.Repeat("x", backends.MaxKey+1),
		backends.Private, "/" + backends.Private, backends.Private + "/x", "a/../" + backends.Private + "/tmp",
		"./" + backends.Private + "//x",
	} {
		if key, err := backends.CleanKey(path); backends.KindOf(err) != backends.InvalidName {
			t.Errorf("CleanKey(%q) = %q, %v, want %v", path, key, err, backends.InvalidName)
		}
	}
}

func TestCheckKey(t *testing.T) {
	for _, key := range []string{"", "a", "a/b", "...", "a b", "a/.hidden", "..a", "a.."} {
		if err := backends.CheckKey(key); err != nil {
			t.Errorf("CheckKey(%q): %v", key, err)
		}
	}
	for _, key := range []string{
		"/", "/a", "a/", "a//b", ".", "..", "./a", "a/.", "a/..", "../a", "a/../b", "a/./b",
		"a\x00", "a\r", "a\n", "\xff", backends.Private, backends.Private + "/x",
		strings.Repeat("x/", backends.MaxKey/2) + "x",
	} {
		if err := backends.CheckKey(key); backends.KindOf(err) != backends.InvalidName {
			t.Errorf("CheckKey(%q): %v, want %v", key, err, backends.InvalidName)
		}
	}
}

func FuzzCleanKey(f *testing.F) {
	for _, seed := range []string{
		"", "/", "a/b", "../../etc/passwd", "a/../../b", "//a/./b/", "\xff", "a\r\nb", "a\x00b",
		".sluice/x", "x/../.sluice", strings.Repeat("a/", 600), "a\\..\\b", "....//", "a/..b", "/..",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		key, err := backends.CleanKey(path)
		if err != nil {
			if backends.KindOf(err) != backends.InvalidName || key != "" {
				t.Fatalf("CleanKey(%q) = %q, %v", path, key, err)
			}
			return
		}
		if err := backends.CheckKey(key); err != nil {
			t.Fatalf("CleanKey(%q) = %q, which CheckKey refuses: %v", path, key, err)
		}
		if again, err := backends.CleanKey(key); err != nil || again != key {
			t.Fatalf("CleanKey(%q) = %q, cleaned again %q, %v", path, key, again, err)
		}
		if len(key) > backends.MaxKey || strings.ContainsAny(key, "\x00\r\n") {
			t.Fatalf("CleanKey(%q) = %q", path, key)
		}
		if key == "" {
			return
		}
		for i, element := range strings.Split(key, "/") {
			switch {
			case element == "" || element == "." || element == "..":
				t.Fatalf("CleanKey(%q) = %q has the element %q", path, key, element)
			case i == 0 && element == backends.Private:
				t.Fatalf("CleanKey(%q) = %q is private", path, key)
			}
		}
	})
}
