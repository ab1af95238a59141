package backendtest

import (
	"fmt"
	"slices"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/backends"
)

func testList(f *fixture) {
	f.wantNames("")
	// Names that are prefixes of each other, and characters before and after the slash.
	for _, key := range []string{"a b", "a-", "a.", "a/b", "a/c/d", "a0", "aa", "b", "b-/x"} {
		f.put(key, []byte(key))
	}
	f.mkdir("a!")
	f.mkdir("a/e")
	f.wantNames("", "a b", "a!/", "a-", "a.", "a/", "a0", "aa", "b", "b-/")
	f.wantNames("a", "b", "c/", "e/")
	f.wantNames("a/c", "d")
	f.wantNames("b-", "x")
	f.wantNames("a/e")
	for key, obj := range f.list("", backends.ListOptions{}) {
		// A version may be missing or spelt otherwise in a listing; what it says must be true.
		want := f.stat(key)
		if obj.Dir != want.Dir || obj.Size != want.Size || (!obj.Dir && obj.ModTime.IsZero()) {
			f.Errorf("list says %+v, stat says %+v", obj, want)
		}
	}
	f.wantKind("missing", firstError(f.Adapter.List(f.ctx, "none", backends.ListOptions{})), backends.NotExist)
	f.wantKind("missing below", firstError(f.Adapter.List(f.ctx, "a/none/x", backends.ListOptions{})), backends.NotExist)
	f.wantKind("an object", firstError(f.Adapter.List(f.ctx, "b", backends.ListOptions{})),
		backends.NotDir, backends.NotExist)
}

func testListPrefix(f *fixture) {
	for _, key := range []string{"d/in-1", "d/in-2", "d/in/x", "d/out-1", "d/i", "d/%2"} {
		f.put(key, nil)
	}
	for prefix, want := range map[string][]string{
		"":     {"%2", "i", "in-1", "in-2", "in/", "out-1"},
		"in":   {"in-1", "in-2", "in/"},
		"in-":  {"in-1", "in-2"},
		"in/":  {},
		"%":    {"%2"},
		"none": {},
	} {
		for _, namesOnly := range []bool{false, true} {
			got := f.names("d", backends.ListOptions{Prefix: prefix, NamesOnly: namesOnly})
			if diff := cmp.Diff(want, got); diff != "" {
				f.Errorf("prefix %q, names only %t (-want +got):\n%s", prefix, namesOnly, diff)
			}
		}
	}
}

// testListMany has more entries than a page of S3 or GCS (1,000), and breaks out of listings.
func testListMany(f *fixture) {
	const n = 1100
	want := make([]string, n)
	for i := range want {
		want[i] = fmt.Sprintf("%04d", i)
		f.put("many/"+want[i], nil)
	}
	slices.Sort(want)
	f.wantNames("many", want...)
	for _, stop := range []int{1, 1000, n} {
		seen := 0
		for _, err := range f.Adapter.List(f.ctx, "many", backends.ListOptions{}) {
			if err != nil {
				f.Fatal(err)
			}
			if seen++; seen == stop {
				break
			}
		}
		if seen != stop {
			f.Errorf("a listing left after %d entries gave %d", stop, seen)
		}
	}
}

func testListFolders(f *fixture) {
	f.mkdir("a/b/c")
	f.wantNames("", "a/")
	f.wantNames("a", "b/")
	f.wantNames("a/b", "c/")
	f.wantNames("a/b/c")
	for _, obj := range f.list("a", backends.ListOptions{NamesOnly: true}) {
		if !obj.Dir {
			f.Errorf("names only: %+v, want a folder", obj)
		}
	}
}
