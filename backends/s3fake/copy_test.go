package s3fake

import (
	"testing"
)

func TestCopy(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	c.want(200, "PUT", path("a+b c"), "v", "Content-Type", "text/plain", "X-Amz-Meta-M", "1", "X-Amz-Tagging", "t=1",
		"X-Amz-Storage-Class", "STANDARD_IA", "X-Amz-Checksum-Crc32", crcOf("v"))
	for _, source := range []string{"bucket/a%2Bb%20c", "/bucket/a%2Bb+c", "%2Fbucket%2Fa%2Bb%20c"} {
		c.want(200, "PUT", path("copy"), "", "X-Amz-Copy-Source", source, "X-Amz-Meta-M", "ignored")
		o, _ := c.s.Object("copy")
		if string(o.Data) != "v" || o.Metadata["m"] != "1" || o.Header.Get("Content-Type") != "text/plain" ||
			o.Header.Get("X-Amz-Tagging") != "t=1" || o.Header.Get("X-Amz-Storage-Class") != "" {
			t.Errorf("by %s: %+v", source, o)
		}
		c.s.Remove("copy")
	}
	a := c.want(200, "PUT", path("copy"), "", "X-Amz-Copy-Source", "bucket/a%2Bb%20c", "X-Amz-Metadata-Directive", "REPLACE",
		"X-Amz-Tagging-Directive", "REPLACE", "X-Amz-Meta-N", "2")
	o, _ := c.s.Object("copy")
	if len(o.Metadata) != 1 || o.Metadata["n"] != "2" || o.Header.Get("Content-Type") != "binary/octet-stream" || o.Header.Get("X-Amz-Tagging") != "" {
		t.Errorf("replaced: %+v", o)
	}
	if a.element("ETag") == "" || a.element("LastModified") == "" || a.element("ChecksumCRC32") != crcOf("v") {
		t.Errorf("copied: %s", a.body)
	}
	for code, header := range map[string][]string{
		"NoSuchKey":       {"X-Amz-Copy-Source", "bucket/a+b%20c"},
		"NoSuchBucket":    {"X-Amz-Copy-Source", "other/k"},
		"InvalidArgument": {"X-Amz-Copy-Source", "bucket"},
		"NotImplemented":  {"X-Amz-Copy-Source", "bucket/copy?versionId=1"},
	} {
		c.wantCode(code, "PUT", path("x"), "", header...)
	}
	c.wantCode("InvalidArgument", "PUT", path("x"), "", "X-Amz-Copy-Source", "bucket/copy", "X-Amz-Metadata-Directive", "KEEP")
	c.wantCode("InvalidArgument", "PUT", path("x"), "", "X-Amz-Copy-Source", "bucket/%zz")
	c.wantCode("NotImplemented", "PUT", path("x"), "", "X-Amz-Copy-Source", "bucket/copy", "X-Amz-Checksum-Algorithm", "SHA1")
}

func TestCopyOntoItself(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	c.s.Put("k", []byte("v"), map[string]string{"mtime": "1"})
	old, _ := c.s.Object("k")
	c.wantCode("InvalidRequest", "PUT", path("k"), "", "X-Amz-Copy-Source", "bucket/k")
	c.want(200, "PUT", path("k"), "", "X-Amz-Copy-Source", "bucket/k", "X-Amz-Copy-Source-If-Match", old.ETag,
		"X-Amz-Metadata-Directive", "REPLACE", "X-Amz-Meta-Mtime", "2")
	if o, _ := c.s.Object("k"); o.Metadata["mtime"] != "2" || o.ETag != old.ETag {
		t.Errorf("%+v", o)
	}
	c.want(200, "PUT", path("k"), "", "X-Amz-Copy-Source", "bucket/k", "X-Amz-Storage-Class", "STANDARD_IA")
}

func TestCopyConditions(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	c.s.Put("k", []byte("v"), nil)
	c.s.Put("there", []byte("old"), nil)
	k, _ := c.s.Object("k")
	there, _ := c.s.Object("there")
	copyTo := func(key, code string, header ...string) {
		t.Helper()
		a := c.do("PUT", path(key), "", append(header, "X-Amz-Copy-Source", "bucket/k")...)
		if a.code() != code {
			t.Errorf("%v: %d %q, want %q", header, a.status, a.code(), code)
		}
	}
	copyTo("x", "PreconditionFailed", "X-Amz-Copy-Source-If-Match", `"x"`)
	copyTo("x", "PreconditionFailed", "X-Amz-Copy-Source-If-None-Match", k.ETag)
	copyTo("x", "NotImplemented", "X-Amz-Copy-Source-If-Modified-Since", "Wed, 02 Jan 2030 03:04:05 GMT")
	copyTo("there", "PreconditionFailed", "If-None-Match", "*")
	copyTo("there", "PreconditionFailed", "If-Match", `"x"`)
	copyTo("x", "NoSuchKey", "If-Match", `"x"`)
	if _, ok := c.s.Object("x"); ok {
		t.Error("refused and copied")
	}
	wantData(t, c.s, "there", "old")
	copyTo("x", "", "X-Amz-Copy-Source-If-Match", k.ETag, "If-None-Match", "*")
	copyTo("there", "", "X-Amz-Copy-Source-If-None-Match", `"x"`, "If-Match", there.ETag)
}

func TestPartCopy(t *testing.T) {
	t.Parallel()
	c := newClient(t, smallParts(Quirks{}))
	c.s.Put("k", []byte("0123456789abcdefghij"), nil)
	c.s.Put("small", []byte("012345678"), nil)
	k, _ := c.s.Object("k")
	id := c.create("l", "X-Amz-Checksum-Algorithm", "CRC32", "X-Amz-Checksum-Type", "FULL_OBJECT")
	partCopy := func(code string, header ...string) answered {
		t.Helper()
		a := c.do("PUT", partOf("l", id, 1), "", append([]string{"X-Amz-Copy-Source", "bucket/k"}, header...)...)
		if a.code() != code {
			t.Errorf("%v: %d %q, want %q", header, a.status, a.code(), code)
		}
		return a
	}
	const span = "X-Amz-Copy-Source-Range"
	for _, bad := range []string{"bytes=0-20", "bytes=20-20", "bytes=5-", "bytes=-5", "bytes=5-4", "bytes=x-4", "5-9", "bytes=99999999999999999999-5"} {
		partCopy("InvalidArgument", span, bad)
	}
	partCopy("InvalidRequest", "X-Amz-Copy-Source", "bucket/small", span, "bytes=0-1")
	partCopy("PreconditionFailed", "X-Amz-Copy-Source-If-Match", `"x"`)
	partCopy("PreconditionFailed", "X-Amz-Copy-Source-If-None-Match", k.ETag)
	partCopy("NoSuchKey", "X-Amz-Copy-Source", "bucket/none")
	c.wantCode("InvalidArgument", "PUT", partOf("l", id, 0), "", "X-Amz-Copy-Source", "bucket/k")
	c.wantCode("NoSuchUpload", "PUT", partOf("l", "none", 1), "", "X-Amz-Copy-Source", "bucket/k")
	if u := c.s.Uploads(); u[0].Parts != 0 {
		t.Errorf("refused and copied: %+v", u)
	}
	a := partCopy("", span, "bytes=5-14", "X-Amz-Copy-Source-If-Match", k.ETag)
	if a.element("ChecksumCRC32") != crcOf("56789abcde") {
		t.Errorf("copied: %s", a.body)
	}
	e2 := c.part("l", id, 2, "tail")
	c.want(200, "POST", uploadOf("l", id), listed(1, a.element("ETag"), 2, e2), "X-Amz-Checksum-Crc32", crcOf("56789abcdetail"))
	wantData(t, c.s, "l", "56789abcdetail")
	if c.s.Received() != 4 {
		t.Errorf("received %d, want 4", c.s.Received())
	}
}

// Nothing larger than 5 GiB goes in one copy, or in one part.
func TestCopyTooLarge(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{Discard: true})
	c.s.mu.Lock()
	c.s.publish(&object{key: "big", content: content{size: 20 << 30}, etag: `"big"`})
	c.s.publish(&object{key: "largest", content: content{size: 5 << 30}, etag: `"largest"`})
	c.s.mu.Unlock()
	id := c.create("l")
	c.wantCode("InvalidRequest", "PUT", path("l"), "", "X-Amz-Copy-Source", "bucket/big")
	c.wantCode("InvalidRequest", "PUT", partOf("l", id, 1), "", "X-Amz-Copy-Source", "bucket/big")
	c.wantCode("InvalidRequest", "PUT", partOf("l", id, 1), "", "X-Amz-Copy-Source", "bucket/big", "X-Amz-Copy-Source-Range", "bytes=0-5368709120")
	c.want(200, "PUT", partOf("l", id, 1), "", "X-Amz-Copy-Source", "bucket/big", "X-Amz-Copy-Source-Range", "bytes=0-5368709119")
	c.want(200, "PUT", path("l"), "", "X-Amz-Copy-Source", "bucket/largest")
	c.want(200, "PUT", partOf("l", id, 1), "", "X-Amz-Copy-Source", "bucket/largest")
}
