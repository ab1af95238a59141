package s3fake

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// list reads all pages; names are decoded, common prefixes in their place among the keys.
func (c *client) list(query url.Values) (names []string, pages int) {
	c.t.Helper()
	query.Set("list-type", "2")
	query.Set("encoding-type", "url")
	for {
		a := c.want(200, "GET", "/bucket?"+query.Encode(), "")
		var page []string
		prefixes := a.elements("Prefix")[1:] // the first is the one that was asked for
		for _, n := range append(a.elements("Key"), prefixes...) {
			name, err := url.QueryUnescape(n)
			if err != nil {
				c.t.Fatal(err)
			}
			page = append(page, name)
		}
		if a.element("KeyCount") != strconv.Itoa(len(page)) {
			c.t.Fatalf("KeyCount %s of %d", a.element("KeyCount"), len(page))
		}
		slices.Sort(page)
		names = append(names, page...)
		pages++
		token := a.element("NextContinuationToken")
		if more := a.element("IsTruncated") == "true"; more != (token != "") {
			c.t.Fatalf("truncated %v with token %q", more, token)
		}
		if token == "" {
			return names, pages
		}
		query.Set("continuation-token", token)
	}
}

func TestListManyKeys(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	var want []string
	for i := range 25000 {
		want = append(want, fmt.Sprintf("dir %03d/file+%d\x01", i%100, i))
	}
	for _, i := range rand.Perm(len(want)) {
		c.s.Put(want[i], nil, nil)
	}
	slices.Sort(want)
	if got, pages := c.list(url.Values{}); !slices.Equal(got, want) || pages != 25 {
		t.Errorf("all: %d keys on %d pages", len(got), pages)
	}
	var folders []string
	for i := range 100 {
		folders = append(folders, fmt.Sprintf("dir %03d/", i))
	}
	for size, pages := range map[string]int{"1": 100, "7": 15, "100": 1, "1000": 1} {
		got, n := c.list(url.Values{"delimiter": {"/"}, "max-keys": {size}})
		if !slices.Equal(got, folders) || n != pages {
			t.Errorf("folders by %s: %q on %d pages", size, got, n)
		}
	}
	if got, pages := c.list(url.Values{"prefix": {"dir 042/"}, "delimiter": {"/"}, "max-keys": {"100"}}); len(got) != 250 || pages != 3 {
		t.Errorf("a folder: %d keys on %d pages", len(got), pages)
	}
	for _, k := range want[:24990] {
		c.s.Remove(k)
	}
	if got, _ := c.list(url.Values{}); !slices.Equal(got, want[24990:]) {
		t.Errorf("the rest: %q", got)
	}
}

func TestListWindow(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	for _, k := range []string{"a", "b/1", "b/2", "b/3/x", "c", "d//e", "é", "\U0010ffff", "\xef\xbf\xbd"} {
		c.s.Put(k, nil, nil)
	}
	for _, test := range []struct {
		query url.Values
		want  []string
	}{
		{url.Values{}, []string{"a", "b/1", "b/2", "b/3/x", "c", "d//e", "é", "\xef\xbf\xbd", "\U0010ffff"}},
		{url.Values{"delimiter": {"/"}}, []string{"a", "b/", "c", "d/", "é", "\xef\xbf\xbd", "\U0010ffff"}},
		{url.Values{"delimiter": {"//"}, "prefix": {"d"}}, []string{"d//"}},
		{url.Values{"prefix": {"b/"}, "delimiter": {"/"}}, []string{"b/1", "b/2", "b/3/"}},
		{url.Values{"prefix": {"b"}, "delimiter": {"/"}}, []string{"b/"}},
		{url.Values{"prefix": {"none"}}, nil},
		{url.Values{"start-after": {"b/1"}}, []string{"b/2", "b/3/x", "c", "d//e", "é", "\xef\xbf\xbd", "\U0010ffff"}},
		{url.Values{"start-after": {"b/1"}, "prefix": {"b/"}}, []string{"b/2", "b/3/x"}},
		{url.Values{"start-after": {"b/1"}, "delimiter": {"/"}, "prefix": {"b"}}, []string{"b/"}},
		{url.Values{"start-after": {"b/"}, "delimiter": {"/"}, "prefix": {"b"}}, nil},
		{url.Values{"start-after": {"b/"}, "delimiter": {"/"}}, []string{"c", "d/", "é", "\xef\xbf\xbd", "\U0010ffff"}},
		{url.Values{"start-after": {"z"}}, []string{"é", "\xef\xbf\xbd", "\U0010ffff"}},
		{url.Values{"max-keys": {"0"}}, nil},
	} {
		if got, _ := c.list(test.query); !slices.Equal(got, test.want) {
			t.Errorf("%v: %q, want %q", test.query, got, test.want)
		}
	}
	for _, query := range []string{"max-keys=x", "max-keys=-1", "encoding-type=base64", "continuation-token=", "continuation-token=a"} {
		c.wantCode("InvalidArgument", "GET", "/bucket?list-type=2&"+query, "")
	}
	if a := c.want(200, "GET", "/bucket?list-type=2&max-keys=2000", ""); a.element("MaxKeys") != "1000" {
		t.Errorf("max-keys 2000 is %s", a.element("MaxKeys"))
	}
	c.want(200, "PUT", path("cold"), "", "X-Amz-Storage-Class", "GLACIER")
	if a := c.want(200, "GET", "/bucket?list-type=2&prefix=c", ""); !slices.Equal(a.elements("StorageClass"), []string{"STANDARD", "GLACIER"}) {
		t.Errorf("classes: %s", a.body)
	}
	a := c.want(200, "GET", "/bucket?list-type=2&fetch-owner=true&start-after=d%26&delimiter=%2F", "")
	if len(a.elements("Owner")) > 0 || strings.Count(a.body, "<Owner>") != 3 || a.element("StartAfter") != "d&#38;" || a.element("Delimiter") != "/" {
		t.Errorf("with owners: %s", a.body)
	}
}

func TestListPageSize(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{PageSize: 3})
	for i := range 10 {
		c.s.Put(strconv.Itoa(i), nil, nil)
	}
	if got, pages := c.list(url.Values{"max-keys": {"1000"}}); len(got) != 10 || pages != 4 {
		t.Errorf("%q on %d pages", got, pages)
	}
}

func TestListEncoding(t *testing.T) {
	t.Parallel()
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./*"
	if got := urlEncode(plain); got != plain {
		t.Errorf("encoded as %s", got)
	}
	c := newClient(t, Options{})
	const key, encoded = "a b/\x01+&~*é%", "a+b/%01%2B%26%7E*%C3%A9%25"
	c.s.Put(key, nil, nil)
	a := c.want(200, "GET", "/bucket?list-type=2&encoding-type=url&prefix=a%20b", "")
	if a.element("Key") != encoded || a.element("Prefix") != "a+b" || a.element("EncodingType") != "url" {
		t.Errorf("encoded: %s", a.body)
	}
	a = c.want(200, "GET", "/bucket?list-type=2&prefix=a%20b", "")
	if a.element("Key") != "a b/&#x1;+&#38;~*é%" || a.element("EncodingType") != "" {
		t.Errorf("not encoded: %s", a.body)
	}
	c.create("\x01")
	if a := c.want(200, "GET", "/bucket?uploads", ""); a.element("Key") != "&#x1;" {
		t.Errorf("uploads not encoded: %s", a.body)
	}
	c = newClient(t, Options{Quirks: Quirks{NoEncodingType: true}})
	c.s.Put(key, nil, nil)
	c.create("\x01")
	if a := c.want(200, "GET", "/bucket?uploads&encoding-type=url", ""); a.element("Key") != "\ufffd" {
		t.Errorf("uploads by quirk not encoded: %s", a.body)
	}
	a = c.want(200, "GET", "/bucket?list-type=2&encoding-type=url", "")
	if a.element("Key") != "a b/\ufffd+&#38;~*é%" || a.element("EncodingType") != "" {
		t.Errorf("by quirk not encoded: %s", a.body)
	}
}

func TestListRepeatsPrefixes(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{Quirks: Quirks{RepeatPrefixes: true}})
	for _, k := range []string{"a/1", "a/2", "a/3", "b", "c/1"} {
		c.s.Put(k, nil, nil)
	}
	got, _ := c.list(url.Values{"delimiter": {"/"}, "max-keys": {"1"}})
	if want := []string{"a/", "a/", "a/", "b", "c/"}; !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
}
