package s3fake

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestPutAndGet(t *testing.T) {
	t.Parallel()
	at := time.Date(2030, 1, 2, 3, 4, 5, 999, time.UTC)
	c := newClient(t, Options{Now: func() time.Time { return at }})
	c.now = func() time.Time { return at }
	a := c.want(200, "PUT", path("k"), "hello", "X-Amz-Meta-Mtime", "17.5", "Content-Type", "text/plain",
		"Cache-Control", "no-store", "X-Amz-Tagging", "a=1&b=2", "X-Amz-Storage-Class", "STANDARD_IA",
		"X-Amz-Server-Side-Encryption", "AES256", "X-Amz-Acl", "private", "X-Amz-Request-Payer", "requester",
		"X-Amz-Website-Redirect-Location", "/l",
		"X-Amz-Checksum-Crc32", crcOf("hello"))
	const etag = `"5d41402abc4b2a76b9719d911017c592"`
	if a.header.Get("Etag") != etag || a.header.Get("X-Amz-Checksum-Crc32") != crcOf("hello") ||
		a.header.Get("X-Amz-Server-Side-Encryption") != "AES256" || a.header.Get("X-Amz-Request-Charged") != "requester" {
		t.Errorf("Put says %q", a.header)
	}
	for _, method := range []string{"GET", "HEAD"} {
		a := c.want(200, method, path("k"), "")
		if method == "GET" && a.body != "hello" || method == "HEAD" && a.body != "" {
			t.Errorf("%s sends %q", method, a.body)
		}
		for name, value := range map[string]string{
			"Content-Length": "5", "Content-Type": "text/plain", "Cache-Control": "no-store", "Etag": etag,
			"Last-Modified": "Wed, 02 Jan 2030 03:04:05 GMT", "X-Amz-Meta-Mtime": "17.5", "X-Amz-Tagging-Count": "2",
			"X-Amz-Storage-Class": "STANDARD_IA", "X-Amz-Server-Side-Encryption": "AES256", "Accept-Ranges": "bytes",
			"X-Amz-Website-Redirect-Location": "/l",
			"X-Amz-Checksum-Crc32":            "", "X-Amz-Checksum-Type": "", "X-Amz-Acl": "",
		} {
			if got := a.header.Get(name); got != value {
				t.Errorf("%s: %s is %q, want %q", method, name, got, value)
			}
		}
		a = c.want(200, method, path("k"), "", "X-Amz-Checksum-Mode", "ENABLED")
		if a.header.Get("X-Amz-Checksum-Crc32") != crcOf("hello") || a.header.Get("X-Amz-Checksum-Type") != "FULL_OBJECT" {
			t.Errorf("%s with checksums says %q", method, a.header)
		}
	}
	o, _ := c.s.Object("k")
	if string(o.Data) != "hello" || o.ETag != etag || o.Metadata["mtime"] != "17.5" || !o.LastModified.Equal(at.Truncate(time.Second)) ||
		o.Header.Get("X-Amz-Acl") != "private" || o.Header.Get("X-Amz-Date") != "" || o.Header.Get("X-Amz-Tagging") != "a=1&b=2" {
		t.Errorf("Object is %+v", o)
	}
	c.want(200, "PUT", path("k"), "")
	if a := c.want(200, "GET", path("k"), ""); a.header.Get("Content-Type") != "binary/octet-stream" || a.header.Get("X-Amz-Meta-Mtime") != "" {
		t.Errorf("replaced object says %q", a.header)
	}
	if c.s.Received() != 5 || c.s.Sent() != 10 {
		t.Errorf("received %d, sent %d, want 5 and 10", c.s.Received(), c.s.Sent())
	}
}

func TestKeysAreNotCleaned(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	keys := []string{
		"a", "a/", "a//", "/a", "./a", "a/.", "e/../f", "f", "x//y", "x/y", "a+b", "a b", "%2F", "ü/€",
		"\x01\x1f\x7f", "\r\n\t", "q?r#s", "~*'()!", strings.Repeat("k", 1024),
	}
	for _, k := range keys {
		c.want(200, "PUT", path(k), "at "+k)
	}
	for _, k := range keys {
		if a := c.want(200, "GET", path(k), ""); a.body != "at "+k {
			t.Errorf("%q holds %q", k, a.body)
		}
	}
	slices.Sort(keys)
	if got := c.s.Keys(); !slices.Equal(got, keys) {
		t.Errorf("keys are %q", got)
	}
	r := c.request("GET", path("x//y"), "")
	r.URL.Path = "/x//y"
	r.URL.RawPath = ""
	r.Host = "bucket.s3.example"
	c.sign(r)
	if a, err := c.send(r); err != nil || a.body != "at x//y" {
		t.Errorf("by virtual host: %v %+v", err, a)
	}
}

func TestWriteConditions(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	c.wantCode("NoSuchKey", "PUT", path("k"), "1", "If-Match", `"x"`)
	etag := c.want(200, "PUT", path("k"), "1", "If-None-Match", "*").header.Get("Etag")
	c.wantCode("PreconditionFailed", "PUT", path("k"), "2", "If-None-Match", "*")
	c.wantCode("PreconditionFailed", "PUT", path("k"), "2", "If-Match", `"x"`)
	c.wantCode("NotImplemented", "PUT", path("k"), "2", "If-None-Match", etag)
	c.wantCode("NotImplemented", "PUT", path("k"), "2", "If-Match", "*")
	wantData(t, c.s, "k", "1")
	c.want(200, "PUT", path("k"), "2", "If-Match", etag)
	c.wantCode("PreconditionFailed", "DELETE", path("k"), "", "If-Match", etag)
	wantData(t, c.s, "k", "2")
	c.want(204, "DELETE", path("k"), "", "If-Match", "*")
	c.wantCode("NoSuchKey", "DELETE", path("k"), "", "If-Match", etag)
	c.want(204, "DELETE", path("k"), "")
	c.wantCode("NotImplemented", "DELETE", path("k"), "", "If-None-Match", "*")
}

// A body larger than the first buffer, in pieces that do not divide it.
func TestLargeBody(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	data := strings.Repeat("0123456789a", 4<<20)
	c.want(200, "PUT", path("k"), data, "X-Amz-Checksum-Crc32", crcOf(data))
	wantData(t, c.s, "k", data)
	if a := c.want(200, "GET", path("k"), ""); a.body != data {
		t.Errorf("got %d bytes", len(a.body))
	}
}

// Of all that put where nothing is, one wins; and so of all that replace the same object.
func TestConditionalRace(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	condition := []string{"If-None-Match", "*"}
	for round := range 5 {
		results := make([]answered, 16)
		var wg sync.WaitGroup
		for i := range results {
			wg.Go(func() {
				body := strings.Repeat(fmt.Sprintf("%d-%d ", round, i), 1000)
				results[i], _ = c.send(c.request("PUT", path("k"), body, condition...))
			})
		}
		wg.Wait()
		var won []string
		for _, a := range results {
			switch a.status {
			case 200:
				won = append(won, a.header.Get("Etag"))
			case 412:
			default:
				t.Fatalf("%d %s", a.status, a.body)
			}
		}
		if o, _ := c.s.Object("k"); len(won) != 1 || o.ETag != won[0] {
			t.Fatalf("won: %q, there is %s", won, o.ETag)
		}
		condition = []string{"If-Match", won[0]}
	}
}

func TestDigests(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	sum := md5.Sum([]byte("hello"))
	good := base64.StdEncoding.EncodeToString(sum[:])
	c.want(200, "PUT", path("k"), "hello", "Content-Md5", good)
	c.wantCode("BadDigest", "PUT", path("k"), "other", "Content-Md5", good)
	c.wantCode("InvalidDigest", "PUT", path("k"), "hello", "Content-Md5", "nonsense")
	for name, value := range map[string]string{
		"Crc32": "NhCmhg==", "Crc32c": "mnG7TA==", "Sha1": "qvTGHdzF6KLavt4PO0gs2a6pQ00=",
		"Sha256": "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
	} {
		a := c.want(200, "PUT", path("k"), "hello", "X-Amz-Checksum-"+name, value, "X-Amz-Sdk-Checksum-Algorithm", name)
		if got := a.header.Get("X-Amz-Checksum-" + name); got != value {
			t.Errorf("%s echoed as %q", name, got)
		}
		c.wantCode("BadDigest", "PUT", path("k"), "other", "X-Amz-Checksum-"+name, value)
		c.wantCode("InvalidRequest", "PUT", path("k"), "hello", "X-Amz-Checksum-"+name, "AA==")
	}
	// The check value that the parameters of CRC-64/NVME are published with.
	c.want(200, "PUT", path("n"), "123456789", "X-Amz-Checksum-Crc64nvme", "rosUhgp5mIg=")
	c.wantCode("InvalidRequest", "PUT", path("k"), "hello", "X-Amz-Checksum-Crc32", "NhCmhg==", "X-Amz-Checksum-Crc32c", "mnG7TA==")
	c.wantCode("InvalidRequest", "PUT", path("k"), "hello", "X-Amz-Sdk-Checksum-Algorithm", "CRC32")
	c.wantCode("NotImplemented", "PUT", path("k"), "hello", "X-Amz-Checksum-Xxhash3", "NhCmhg==")
	c.wantCode("NotImplemented", "PUT", path("k"), "hello", "Content-Encoding", "aws-chunked")
	c.want(200, "PUT", path("k"), "hello", "X-Amz-Checksum-Type", "FULL_OBJECT", "X-Amz-Checksum-Algorithm", "CRC32")
	if a := c.want(200, "GET", "/bucket?list-type=2", ""); len(a.elements("ETag")) != 2 || !slices.Equal(a.elements("ChecksumAlgorithm"), []string{"CRC64NVME"}) {
		t.Errorf("listed as %s", a.body)
	}
	wantData(t, c.s, "k", "hello")
}

func TestRanges(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	c.s.Put("k", []byte("0123456789"), nil)
	c.s.Put("empty", nil, nil)
	for _, test := range []struct{ header, body, span string }{
		{"bytes=0-0", "0", "bytes 0-0/10"},
		{"bytes=2-4", "234", "bytes 2-4/10"},
		{"bytes=0-9", "0123456789", "bytes 0-9/10"},
		{"bytes=8-", "89", "bytes 8-9/10"},
		{"bytes=8-99", "89", "bytes 8-9/10"},
		{"bytes=-3", "789", "bytes 7-9/10"},
		{"bytes=-99", "0123456789", "bytes 0-9/10"},
		{"bytes=4-2", "0123456789", ""},
		{"bytes=x-2", "0123456789", ""},
		{"bytes=+1-2", "0123456789", ""},
		{"items=0-1", "0123456789", ""},
		{"bytes=", "0123456789", ""},
		{"bytes=-", "0123456789", ""},
	} {
		status := 200
		if test.span != "" {
			status = 206
		}
		a := c.want(status, "GET", path("k"), "", "Range", test.header)
		if a.body != test.body || a.header.Get("Content-Range") != test.span {
			t.Errorf("%s: %q, %q", test.header, a.body, a.header.Get("Content-Range"))
		}
	}
	c.wantCode("InvalidRange", "GET", path("k"), "", "Range", "bytes=10-")
	c.wantCode("InvalidRange", "GET", path("k"), "", "Range", "bytes=10-12")
	c.wantCode("InvalidRange", "GET", path("k"), "", "Range", "bytes=-0")
	c.wantCode("InvalidRange", "GET", path("empty"), "", "Range", "bytes=0-")
	c.wantCode("InvalidRange", "GET", path("empty"), "", "Range", "bytes=-1")
	c.wantCode("NotImplemented", "GET", path("k"), "", "Range", "bytes=0-1,3-4")
	if a := c.want(206, "HEAD", path("k"), "", "Range", "bytes=2-4"); a.header.Get("Content-Length") != "3" {
		t.Errorf("HEAD of a range says %q", a.header)
	}
	c.want(416, "HEAD", path("k"), "", "Range", "bytes=10-")
}

func TestReadConditions(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	c.s.Put("k", []byte("v"), nil)
	o, _ := c.s.Object("k")
	c.want(200, "GET", path("k"), "", "If-Match", o.ETag)
	c.want(200, "GET", path("k"), "", "If-None-Match", `"x"`)
	c.wantCode("PreconditionFailed", "GET", path("k"), "", "If-Match", `"x"`)
	if a := c.want(304, "GET", path("k"), "", "If-None-Match", o.ETag); a.body != "" || a.header.Get("Etag") != o.ETag {
		t.Errorf("304 with %q, %q", a.body, a.header)
	}
	c.want(412, "HEAD", path("k"), "", "If-Match", `"x"`)
	if a := c.want(404, "HEAD", path("none"), ""); a.body != "" || a.header.Get("X-Amz-Request-Id") == "" {
		t.Errorf("HEAD of nothing: %q %q", a.body, a.header)
	}
	c.wantCode("NotImplemented", "GET", path("k"), "", "If-Modified-Since", time.Now().Format(http.TimeFormat))
	c.wantCode("NotImplemented", "GET", path("k")+"?partNumber=1", "")
}

func TestArchived(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	for _, class := range []string{"GLACIER", "DEEP_ARCHIVE"} {
		c.want(200, "PUT", path("k"), "v", "X-Amz-Storage-Class", class)
		c.want(200, "HEAD", path("k"), "")
		c.wantCode("InvalidObjectState", "GET", path("k"), "")
		c.wantCode("InvalidObjectState", "PUT", path("l"), "", "X-Amz-Copy-Source", "bucket/k")
	}
	for class, told := range map[string]string{"GLACIER_IR": "GLACIER_IR", "STANDARD": ""} {
		c.want(200, "PUT", path("k"), "v", "X-Amz-Storage-Class", class)
		if a := c.want(200, "GET", path("k"), ""); a.header.Get("X-Amz-Storage-Class") != told {
			t.Errorf("%s is told as %q", class, a.header.Get("X-Amz-Storage-Class"))
		}
	}
}

func TestDeleteObjects(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	for _, k := range []string{"a", "b", "c", "<&>"} {
		c.s.Put(k, []byte("v"), nil)
	}
	body := "<Delete><Object><Key>a</Key></Object><Object><Key>none</Key></Object><Object><Key>&lt;&amp;&gt;</Key></Object>" +
		"<Object><Key>b</Key><ETag>x</ETag></Object><Object><Key>gone</Key><ETag>x</ETag></Object></Delete>"
	c.wantCode("InvalidRequest", "POST", "/bucket?delete", body)
	c.wantCode("BadDigest", "POST", "/bucket?delete", body, "X-Amz-Checksum-Crc32", crcOf("x"))
	if len(c.s.Keys()) != 4 {
		t.Fatalf("keys are %q", c.s.Keys())
	}
	a := c.want(200, "POST", "/bucket?delete", body, "X-Amz-Checksum-Crc32", crcOf(body))
	if got := a.elements("Code"); !slices.Equal(got, []string{"PreconditionFailed", "NoSuchKey"}) {
		t.Errorf("errors are %q", got)
	}
	if got := strings.Count(a.body, "<Deleted>"); got != 3 {
		t.Errorf("%d deleted: %s", got, a.body)
	}
	if got := c.s.Keys(); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("keys are %q", got)
	}
	body = "<Delete><Object><Key>c</Key><VersionId>1</VersionId></Object><Object><Key></Key></Object><Object><Key>" +
		strings.Repeat("k", 1025) + "</Key></Object></Delete>"
	a = c.want(200, "POST", "/bucket?delete", body, "X-Amz-Checksum-Crc32", crcOf(body))
	if got := a.elements("Code"); !slices.Equal(got, []string{"NotImplemented", "InvalidArgument", "KeyTooLongError"}) {
		t.Errorf("errors are %q", got)
	}
	many := func(n int) string {
		return "<Delete>" + strings.Repeat("<Object><Key>c</Key></Object>", n) + "<Quiet>true</Quiet></Delete>"
	}
	c.wantCode("MalformedXML", "POST", "/bucket?delete", many(1001), "X-Amz-Checksum-Crc32", crcOf(many(1001)))
	if a := c.want(200, "POST", "/bucket?delete", many(1000), "X-Amz-Checksum-Crc32", crcOf(many(1000))); strings.Contains(a.body, "Deleted") {
		t.Errorf("quiet: %s", a.body)
	}
	if got := c.s.Keys(); !slices.Equal(got, []string{"b"}) {
		t.Errorf("keys are %q", got)
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	body := "<Tagging><TagSet><Tag><Key>b</Key><Value>2 &amp; 3</Value></Tag><Tag><Key>a</Key><Value/></Tag></TagSet></Tagging>"
	c.wantCode("NoSuchKey", "PUT", path("k")+"?tagging", body)
	c.wantCode("NoSuchKey", "GET", path("k")+"?tagging", "")
	c.s.Put("k", []byte("v"), nil)
	c.want(200, "PUT", path("k")+"?tagging", body)
	a := c.want(200, "GET", path("k")+"?tagging", "")
	if !slices.Equal(a.elements("Key"), []string{"a", "b"}) || !slices.Equal(a.elements("Value"), []string{"", "2 &#38; 3"}) {
		t.Errorf("tags are %s", a.body)
	}
	c.wantCode("BadDigest", "PUT", path("k")+"?tagging", body, "X-Amz-Checksum-Crc32", crcOf("x"))
	twice := strings.ReplaceAll(body, "<Key>b", "<Key>a")
	c.wantCode("InvalidTag", "PUT", path("k")+"?tagging", twice)
	c.wantCode("InvalidTag", "PUT", path("k"), "", "X-Amz-Tagging", "a=1&a=2")
	c.wantCode("InvalidTag", "PUT", path("k"), "", "X-Amz-Tagging", "a=1&b=%zz")
	c.wantCode("MalformedXML", "PUT", path("k")+"?tagging", "<Tagging/>")
	c.wantCode("MalformedXML", "PUT", path("k")+"?tagging", "<Tagging>")
	wantData(t, c.s, "k", "v")
}

// An ETag is a digest, so equal content has an equal one; with KMS never.
func TestETagOfKMS(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	put := func(header ...string) string { return c.want(200, "PUT", path("k"), "v", header...).header.Get("Etag") }
	if first, second := put(), put(); first != second {
		t.Error("ETags of equal content differ")
	}
	kms := []string{"X-Amz-Server-Side-Encryption", "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "id"}
	if first, second := put(kms...), put(kms...); first == second {
		t.Error("ETags of equal content with KMS are equal")
	}
	if a := c.want(200, "HEAD", path("k"), ""); a.header.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id") != "id" {
		t.Errorf("HEAD says %q", a.header)
	}
	c.wantCode("NotImplemented", "PUT", path("k"), "v", "X-Amz-Server-Side-Encryption-Customer-Algorithm", "AES256")
}
