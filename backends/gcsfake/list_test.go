package gcsfake

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// list reads all pages; prefixes are in their places among the names, with a star. Each page is held
// to its bound.
func (c *client) list(path string, most int, parameters ...string) (names []string, pages int) {
	c.t.Helper()
	token := ""
	for {
		target := query(path, parameters...)
		if token != "" {
			target = query(target, "pageToken", token)
		}
		a := c.want(200, "GET", target, "")
		page := a.names()
		for _, p := range a.prefixes() {
			page = append(page, p+"*")
		}
		if len(page) > most {
			c.t.Errorf("%v: a page of %d", parameters, len(page))
		}
		slices.Sort(page)
		names = append(names, page...)
		pages++
		if token = a.field("nextPageToken"); token == "" {
			return names, pages
		}
	}
}

func TestListPages(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	var want []string
	for i := range 2500 {
		want = append(want, fmt.Sprintf("dir %02d/file+%04d", i%50, i))
		c.s.Put(want[i], nil, nil)
	}
	slices.Sort(want)
	if got, pages := c.list(inBucket+"o", 1000); !slices.Equal(got, want) || pages != 3 {
		t.Errorf("all: %d names on %d pages", len(got), pages)
	}
	var folders []string
	for i := range 50 {
		folders = append(folders, fmt.Sprintf("dir %02d/*", i))
	}
	for size, pages := range map[int]int{1: 50, 7: 8, 50: 1, 5000: 1} {
		got, n := c.list(inBucket+"o", size, "delimiter", "/", "maxResults", strconv.Itoa(size))
		if !slices.Equal(got, folders) || n != pages {
			t.Errorf("folders by %d: %q on %d pages", size, got, n)
		}
	}
	small := newClient(t, Options{PageSize: 3})
	for i := range 10 {
		small.s.Put(strconv.Itoa(i), nil, nil)
	}
	if got, pages := small.list(inBucket+"o", 3, "maxResults", "1000"); len(got) != 10 || pages != 4 {
		t.Errorf("%q on %d pages", got, pages)
	}
}

func TestListWindow(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	for _, k := range []string{"a", "b/", "b/1", "b/2", "b/3/x", "c", "d//e", "é", "\U0010ffff", "\xef\xbf\xbd"} {
		c.s.Put(k, nil, nil)
	}
	for _, test := range []struct {
		parameters, want string
	}{
		{"", "a b/ b/1 b/2 b/3/x c d//e é \xef\xbf\xbd \U0010ffff"},
		{"delimiter /", "a b/* c d/* é \xef\xbf\xbd \U0010ffff"},
		{"delimiter / includeTrailingDelimiter true", "a b/ b/* c d/* é \xef\xbf\xbd \U0010ffff"},
		{"delimiter / includeTrailingDelimiter true prefix b/", "b/ b/1 b/2 b/3/*"},
		{"delimiter // prefix d", "d//*"},
		{"delimiter / prefix b/", "b/ b/1 b/2 b/3/*"},
		{"delimiter / prefix b", "b/*"},
		{"prefix none", ""},
		{"startOffset b/1", "b/1 b/2 b/3/x c d//e é \xef\xbf\xbd \U0010ffff"},
		{"startOffset b/1 endOffset c", "b/1 b/2 b/3/x"},
		{"startOffset b/2 endOffset c delimiter /", "b/*"},
		{"endOffset b/ delimiter /", "a"},
		{"endOffset b/1 delimiter /", "a b/*"},
		{"startOffset a prefix b/ endOffset b/2", "b/ b/1"},
		{"startOffset z endOffset a", ""},
	} {
		for _, size := range []int{1000, 2} {
			got, _ := c.list(inBucket+"o", size, append(strings.Fields(test.parameters), "maxResults", strconv.Itoa(size))...)
			if !slices.Equal(got, strings.Fields(test.want)) {
				t.Errorf("%s by %d: %q, want %q", test.parameters, size, got, test.want)
			}
		}
	}
	for _, bad := range []string{"maxResults=x", "maxResults=-1", "pageToken=a", "pageToken=AAAA"} {
		c.refused(400, "invalid", "GET", inBucket+"o?"+bad, "")
	}
	c.refused(400, "invalidParameter", "GET", inBucket+"o?includeTrailingDelimiter=1", "")
	c.refused(400, "invalid", "GET", inBucket+"o?includeFoldersAsPrefixes=true&delimiter=/", "")
	// As Google's client for Go asks.
	c.want(200, "GET", inBucket+"o?alt=json&delimiter=&endOffset=&includeFoldersAsPrefixes=false&includeTrailingDelimiter=false&"+
		"matchGlob=&pageToken=&prefix=&prettyPrint=false&projection=full&startOffset=&versions=false", "")
}

func TestListRepeatsPrefixes(t *testing.T) {
	t.Parallel()
	for quirk, want := range map[bool]string{false: "a/* b c/*", true: "a/* a/* a/* b c/*"} {
		c := newClient(t, Options{Quirks: Quirks{RepeatPrefixes: quirk}})
		for _, k := range []string{"a/1", "a/2", "a/3", "b", "c/1"} {
			c.s.Put(k, nil, nil)
		}
		if got, _ := c.list(inBucket+"o", 1, "delimiter", "/", "maxResults", "1"); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("listed %q, want %q", got, want)
		}
	}
}

func TestFields(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	for _, k := range []string{"a", "b", "c/d"} {
		c.s.Put(k, []byte("v"), map[string]string{"m": "1", "n": "2"})
	}
	whole := c.want(200, "GET", inBucket+"o?delimiter=/&maxResults=1", "")
	if whole.field("kind") != "storage#objects" || whole.field("items.0.metadata.m") != "1" || whole.field("items.0.kind") != "storage#object" {
		t.Errorf("%s", whole.body)
	}
	for fields, want := range map[string]string{
		"items(name),prefixes":                         `{"items":[{"name":"a"},{"name":"b"}],"prefixes":["c/"]}`,
		"nextPageToken,prefixes,items(name, size)":     `{"items":[{"name":"a","size":"1"},{"name":"b","size":"1"}],"prefixes":["c/"]}`,
		"items/name,kind":                              `{"items":[{"name":"a"},{"name":"b"}],"kind":"storage#objects"}`,
		"items(metadata/m),items(name)":                `{"items":[{"metadata":{"m":"1"},"name":"a"},{"metadata":{"m":"1"},"name":"b"}]}`,
		"items(metadata(m,n),metageneration),prefixes": `{"items":[{"metadata":{"m":"1","n":"2"},"metageneration":"1"},{"metadata":{"m":"1","n":"2"},"metageneration":"1"}],"prefixes":["c/"]}`,
		"prefixes":      `{"prefixes":["c/"]}`,
		"nextPageToken": `{}`,
	} {
		if a := c.want(200, "GET", query(inBucket+"o?delimiter=/", "fields", fields), ""); a.body != want {
			t.Errorf("%s: %s", fields, a.body)
		}
	}
	for _, fields := range []string{"*", "items,kind,prefixes,nextPageToken", "items(*),kind,prefixes,nextPageToken"} {
		if a := c.want(200, "GET", query(inBucket+"o?delimiter=/&maxResults=1", "fields", fields), ""); a.body != whole.body {
			t.Errorf("%s: %s", fields, a.body)
		}
	}
	if a := c.want(200, "GET", at("a")+"?fields=generation,metadata/n", ""); a.body != `{"generation":"`+generation(c.s, "a")+`","metadata":{"n":"2"}}` {
		t.Errorf("%s", a.body)
	}
	if a := c.tryInsert(`{"name": "x"}`, "v", "fields", "name"); a.body != `{"name":"x"}` {
		t.Errorf("%s", a.body)
	}
	for _, bad := range []string{"items(", "items)", "items(name))", ",", "items//name", "items()", "items(name)x", "a,,b"} {
		c.refused(400, "invalidParameter", "GET", query(inBucket+"o", "fields", bad), "")
	}
}
