package gcsfake

import (
	"slices"
	"strings"
	"testing"
)

func TestInsertAndGet(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	a := c.insert("a/b", "hello")
	if a.field("name") != "a/b" || a.field("size") != "5" || a.field("crc32c") != crcOf("hello") {
		t.Errorf("%s", a.body)
	}
	wantData(t, c.s, "a/b", "hello")
	if a := c.want(200, "GET", at("a/b")+"?alt=media", ""); a.body != "hello" {
		t.Errorf("%q", a.body)
	}
	if a := c.want(200, "GET", "/bucket/a/b", ""); a.body != "hello" {
		t.Errorf("%q", a.body)
	}
	session := c.start("s", "")
	big := strings.Repeat("x", 256<<10)
	if a := c.put(session, "bytes 0-262143/*", big); a.status != 308 || a.header.Get("Range") != "bytes=0-262143" {
		t.Errorf("%d %q %s", a.status, a.header, a.body)
	}
	if a := c.put(session, "bytes 262144-262146/262147", "end"); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	wantData(t, c.s, "s", big+"end")
	if a := c.want(200, "GET", inBucket+"o?delimiter=/&fields=items(name),prefixes,nextPageToken", ""); !slices.Equal(a.names(), []string{"s"}) || !slices.Equal(a.prefixes(), []string{"a/"}) {
		t.Errorf("%s", a.body)
	}
	c.want(204, "DELETE", at("s"), "")
	c.refused(404, "notFound", "GET", at("s"), "")
}
