package gcsfake

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func (c *client) makeFolder(name string, parameters ...string) answered {
	c.t.Helper()
	return c.do("POST", query(inBucket+"folders", parameters...), `{"name": `+quoted(name)+`}`)
}

func (c *client) rename(source, target string) answered {
	c.t.Helper()
	return c.do("POST", folderAt(source)+"/renameTo/folders/"+folderAt(target)[len(folderAt("")):], "")
}

func wantFolders(t *testing.T, s *Server, want ...string) {
	t.Helper()
	if got := s.Folders(); !slices.Equal(got, want) {
		t.Errorf("folders %q, want %q", got, want)
	}
}

func TestFolders(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	c := newClient(t, Options{Hierarchical: true, Now: func() time.Time { return now }})
	a := c.makeFolder("a/")
	for name, want := range map[string]string{
		"kind": "storage#folder", "id": "bucket/a/", "bucket": "bucket", "name": "a/", "metageneration": "1",
		"createTime": "2030-01-02T03:04:05.000Z", "updateTime": "2030-01-02T03:04:05.000Z",
	} {
		if got := a.field(name); a.status != 200 || got != want {
			t.Errorf("%d, %s is %q, want %q", a.status, name, got, want)
		}
	}
	if got := c.want(200, "GET", folderAt("a/"), ""); got.body != a.body {
		t.Errorf("%s", got.body)
	}
	for name, want := range map[string]string{
		"a/": "409 conflict", "b/c/": "409 conflict", "b": "400 invalid", "": "400 invalid", "/": "400 invalid", "b//": "400 invalid",
	} {
		if a := c.makeFolder(name); fmt.Sprint(a.status, " ", a.reason()) != want {
			t.Errorf("%q: %d %s", name, a.status, a.body)
		}
	}
	if a := c.makeFolder("b/c/d/", "recursive", "true"); a.status != 200 || a.field("name") != "b/c/d/" {
		t.Errorf("%d %s", a.status, a.body)
	}
	wantFolders(t, c.s, "a/", "b/", "b/c/", "b/c/d/")
	c.refused(404, "notFound", "GET", folderAt("x/"), "")
	c.refused(404, "notFound", "DELETE", folderAt("x/"), "")
	c.refused(409, "conflict", "DELETE", folderAt("b/"), "")
	c.refused(412, "conditionNotMet", "DELETE", folderAt("a/")+"?ifMetagenerationMatch=2", "")
	c.refused(412, "conditionNotMet", "GET", folderAt("a/")+"?ifMetagenerationMatch=2", "")
	c.want(304, "GET", folderAt("a/")+"?ifMetagenerationNotMatch=1", "")
	c.want(204, "DELETE", folderAt("a/")+"?ifMetagenerationMatch=1", "")
	c.want(204, "DELETE", folderAt("b/c/d/"), "")
	wantFolders(t, c.s, "b/", "b/c/")
	c.refused(400, "parseError", "POST", inBucket+"folders", "{")
	c.refused(501, "notImplemented", "DELETE", folderAt("b/")+"?allowNonEmpty=true", "")
}

// Objects make the folders they are in; the folders do not go with them.
func TestObjectsInFolders(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{Hierarchical: true})
	c.insert("a/b/c", "v")
	c.insert("dir/", "")
	c.want(200, "PUT", c.start("s/t", ""), "x")
	c.s.Put("p/q", nil, nil)
	c.want(200, "POST", at("a/b/c")+"/rewriteTo/b/bucket/o/r%2Fs", "")
	c.want(200, "POST", at("r/s")+"/moveTo/o/m%2Fn", "")
	c.want(200, "POST", at("o/p")+"/compose", `{"sourceObjects": [{"name": "a/b/c"}]}`)
	wantFolders(t, c.s, "a/", "a/b/", "dir/", "m/", "o/", "p/", "r/", "s/")
	c.refused(409, "conflict", "DELETE", folderAt("a/b/"), "")
	c.refused(409, "conflict", "DELETE", folderAt("dir/"), "")
	c.want(204, "DELETE", at("a/b/c"), "")
	c.want(204, "DELETE", at("dir/"), "")
	wantFolders(t, c.s, "a/", "a/b/", "dir/", "m/", "o/", "p/", "r/", "s/")
	c.want(204, "DELETE", folderAt("a/b/"), "")
	c.want(204, "DELETE", folderAt("dir/"), "")
}

func TestListFolders(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{Hierarchical: true, PageSize: 2})
	for _, k := range []string{"a/b/c/", "a/d/", "ab/", "e/f/g/h/"} {
		c.makeFolder(k, "recursive", "true")
	}
	c.insert("e/f/file", "v")
	c.insert("top", "v")
	for _, test := range []struct{ parameters, want string }{
		{"", "a/ a/b/ a/b/c/ a/d/ ab/ e/ e/f/ e/f/g/ e/f/g/h/"},
		{"prefix a/", "a/ a/b/ a/b/c/ a/d/"},
		{"prefix a/ delimiter /", "a/ a/b/ a/d/"},
		{"prefix a delimiter /", "a/ ab/"},
		{"delimiter /", "a/ ab/ e/"},
		{"startOffset a/b/c/ endOffset e/f/", "a/b/c/ a/d/ ab/ e/"},
		{"prefix x/", ""},
	} {
		got, pages := c.list(inBucket+"folders", 2, strings.Fields(test.parameters)...)
		if want := strings.Fields(test.want); !slices.Equal(got, want) || pages != max(1, (len(want)+1)/2) {
			t.Errorf("%s: %q on %d pages", test.parameters, got, pages)
		}
	}
	for parameters, want := range map[string]string{
		"delimiter /":                                                                      "e/* top",
		"delimiter / prefix e/f/":                                                          "e/f/file",
		"delimiter / includeFoldersAsPrefixes true":                                        "a/* ab/* e/* top",
		"delimiter / includeFoldersAsPrefixes true prefix a":                               "a/* ab/*",
		"delimiter / includeFoldersAsPrefixes true prefix a/":                              "a/b/* a/d/*",
		"delimiter / includeFoldersAsPrefixes true prefix e/f/":                            "e/f/file e/f/g/*",
		"delimiter / includeFoldersAsPrefixes true prefix e/f/g/h/":                        "",
		"delimiter / includeFoldersAsPrefixes true includeTrailingDelimiter true":          "a/* ab/* e/* top",
		"delimiter / includeFoldersAsPrefixes true startOffset a/c endOffset ab/ prefix a": "a/*",
	} {
		got, _ := c.list(inBucket+"o", 2, strings.Fields(parameters)...)
		if !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("objects %s: %q, want %q", parameters, got, want)
		}
	}
	// The folder that is being listed has no place on a page.
	if a := c.want(200, "GET", inBucket+"o?delimiter=/&includeFoldersAsPrefixes=true&prefix=a/&maxResults=1", ""); !slices.Equal(a.prefixes(), []string{"a/b/"}) {
		t.Errorf("%s", a.body)
	}
	c.refused(400, "invalid", "GET", inBucket+"o?includeFoldersAsPrefixes=true", "")
	c.refused(400, "invalid", "GET", inBucket+"folders?delimiter=x", "")
	c.refused(400, "invalid", "GET", inBucket+"folders?pageToken=x", "")
}

func TestRename(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{Hierarchical: true})
	c.insert("a/x", "1")
	c.insert("a/b/y", "2")
	c.insert("a-/z", "3")
	c.makeFolder("to/")
	old, _ := c.s.Object("a/b/y")
	a := c.rename("a/", "to/c/")
	name := a.field("name")
	if a.status != 200 || a.field("kind") != "storage#operation" || a.field("done") != "true" || !strings.HasPrefix(name, "projects/_/buckets/bucket/operations/") {
		t.Errorf("%d %s", a.status, a.body)
	}
	id := name[strings.LastIndex(name, "/")+1:]
	if got := c.want(200, "GET", inBucket+"operations/"+id, ""); got.body != a.body {
		t.Errorf("%s", got.body)
	}
	if got := c.s.Keys(); !slices.Equal(got, []string{"a-/z", "to/c/b/y", "to/c/x"}) {
		t.Errorf("%q", got)
	}
	wantFolders(t, c.s, "a-/", "to/", "to/c/", "to/c/b/")
	o, _ := c.s.Object("to/c/b/y")
	if string(o.Data) != "2" || o.Generation != old.Generation || c.want(200, "GET", at("to/c/b/y"), "").field("name") != "to/c/b/y" {
		t.Errorf("%+v, was %+v", o, old)
	}
	c.makeFolder("empty/")
	for names, want := range map[[2]string]string{
		{"none/", "x/"}:        "404 notFound",
		{"empty/", "to/"}:      "409 conflict",
		{"empty/", "none/x/"}:  "409 conflict",
		{"empty/", "empty/x/"}: "400 invalid",
		{"empty/", "empty/"}:   "400 invalid",
		{"to/c/", "to/"}:       "409 conflict",
		{"empty/", "x"}:        "400 invalid",
	} {
		if a := c.rename(names[0], names[1]); fmt.Sprint(a.status, " ", a.reason()) != want {
			t.Errorf("%q: %d %s", names, a.status, a.body)
		}
	}
	c.refused(412, "conditionNotMet", "POST", folderAt("empty/")+"/renameTo/folders/x%2F?ifSourceMetagenerationMatch=7", "")
	c.refused(404, "notFound", "GET", inBucket+"operations/none", "")
	if r := c.s.Requests()[4]; r.Op != "folders.rename" || r.Key != "to/c/" {
		t.Errorf("%+v", r)
	}
}

func TestSlowRename(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{Hierarchical: true, Quirks: Quirks{SlowRename: true}})
	c.insert("a/x", "1")
	c.insert("other", "2")
	a := c.rename("a/", "b/")
	name := a.field("name")
	id := name[strings.LastIndex(name, "/")+1:]
	if a.field("done") != "false" || a.field("response") != "" {
		t.Errorf("%s", a.body)
	}
	session := c.start("a/new", "")
	for _, refused := range []answered{
		c.tryInsert(`{"name": "a/x"}`, "v"), c.tryInsert(`{"name": "b/x"}`, "v"), c.do("DELETE", at("a/x"), ""),
		c.do("PATCH", at("a/x"), `{}`), c.do("POST", at("a/x")+"/moveTo/o/c", ""), c.do("POST", at("other")+"/moveTo/o/a%2Fc", ""),
		c.makeFolder("b/"), c.makeFolder("a/c/"), c.do("DELETE", folderAt("a/"), ""), c.rename("a/", "c/"), c.put(session, "", "x"),
	} {
		if refused.status != 409 || refused.reason() != "conflict" {
			t.Errorf("%d %s", refused.status, refused.body)
		}
	}
	if a := c.want(200, "GET", inBucket+"operations/"+id, ""); a.field("done") != "false" {
		t.Errorf("%s", a.body)
	}
	c.want(200, "GET", at("a/x"), "")
	wantFolders(t, c.s, "a/")
	if a := c.want(200, "GET", inBucket+"operations/"+id, ""); a.field("done") != "true" {
		t.Errorf("%s", a.body)
	}
	wantData(t, c.s, "b/x", "1")
	wantFolders(t, c.s, "b/")
	c.insert("a/x", "v")
}

func TestFlat(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	c.insert("a/b", "v")
	wantFolders(t, c.s)
	c.refused(409, "conflict", "GET", folderAt("a/"), "")
	c.refused(409, "conflict", "DELETE", folderAt("a/"), "")
	c.refused(409, "conflict", "GET", inBucket+"folders", "")
	c.refused(409, "conflict", "POST", inBucket+"folders", `{"name": "a/"}`)
	c.refused(409, "conflict", "POST", folderAt("a/")+"/renameTo/folders/b%2F", "")
}

func TestBucket(t *testing.T) {
	t.Parallel()
	for _, h := range []bool{false, true} {
		c := newClient(t, Options{Hierarchical: h})
		a := c.want(200, "GET", inBucket+"storageLayout", "")
		if a.field("hierarchicalNamespace.enabled") != fmt.Sprint(h) || a.field("kind") != "storage#storageLayout" {
			t.Errorf("%s", a.body)
		}
		a = c.want(200, "GET", "/storage/v1/b/bucket", "")
		if a.field("name") != "bucket" || (a.field("hierarchicalNamespace.enabled") == "true") != h || a.field("storageClass") != "STANDARD" {
			t.Errorf("%s", a.body)
		}
		a = c.want(200, "GET", inBucket+"iam/testPermissions?permissions=storage.objects.get&permissions=storage.objects.list", "")
		if a.field("permissions") != "[storage.objects.get storage.objects.list]" {
			t.Errorf("%s", a.body)
		}
		c.refused(400, "required", "GET", inBucket+"iam/testPermissions", "")
		c.refused(400, "invalid", "GET", inBucket+"iam/testPermissions?permissions=compute.x", "")
		c.refused(404, "notFound", "GET", "/storage/v1/b/other", "")
	}
}
