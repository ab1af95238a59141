package s3fake

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"hash/crc32"
	"io"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const minPart = 10

func smallParts(q Quirks) Options {
	q.MinPartSize = minPart
	return Options{Quirks: q}
}

// part of minPart bytes or more, all of the same letter.
func bytesOf(letter string, n int) string { return strings.Repeat(letter, n) }

func TestMultipart(t *testing.T) {
	t.Parallel()
	at := time.Now().UTC().Truncate(time.Second)
	o := smallParts(Quirks{})
	o.Now = func() time.Time { return at }
	c := newClient(t, o)
	begun := at
	id := c.create("k", "X-Amz-Meta-Token", "t1", "Content-Type", "text/plain", "X-Amz-Tagging", "a=1")
	at = at.Add(time.Minute)
	a, b, last := bytesOf("a", 10), bytesOf("b", 25), "c"
	c.part("k", id, 5, "replaced by the next")
	e5 := c.part("k", id, 5, b)
	e2 := c.part("k", id, 2, a)
	c.part("k", id, 7, "dropped")
	e9 := c.part("k", id, 9, last)
	if u := c.s.Uploads(); len(u) != 1 || u[0].Key != "k" || u[0].ID != id || u[0].Parts != 4 ||
		u[0].Metadata["token"] != "t1" || !u[0].Initiated.Equal(begun) {
		t.Errorf("uploads: %+v", u)
	}
	c.want(404, "GET", path("k"), "")
	r := c.want(200, "POST", uploadOf("k", id), listed(2, e2, 5, e5, 9, e9), "X-Amz-Mp-Object-Size", "36")
	wantData(t, c.s, "k", a+b+last)
	stored, _ := c.s.Object("k")
	var sums []byte
	for _, data := range []string{a, b, last} {
		sum := md5.Sum([]byte(data))
		sums = append(sums, sum[:]...)
	}
	want := fmt.Sprintf(`"%x-3"`, md5.Sum(sums))
	if etag := strings.ReplaceAll(r.element("ETag"), "&#34;", `"`); etag != want || stored.ETag != want {
		t.Errorf("ETag %s, stored %s, want %s", etag, stored.ETag, want)
	}
	if stored.Metadata["token"] != "t1" || stored.Header.Get("Content-Type") != "text/plain" || !stored.LastModified.Equal(begun) {
		t.Errorf("stored %+v", stored)
	}
	if c.s.Received() != int64(len("replaced by the next")+10+25+7+1) {
		t.Errorf("received %d", c.s.Received())
	}
	if len(c.s.Uploads()) != 0 {
		t.Error("the upload is still open")
	}
	c.wantCode("NoSuchUpload", "PUT", partOf("k", id, 1), a)
	c.wantCode("NoSuchUpload", "GET", uploadOf("k", id), "")
	c.wantCode("NoSuchUpload", "DELETE", uploadOf("k", id), "")
}

func TestCompleteRefused(t *testing.T) {
	t.Parallel()
	c := newClient(t, smallParts(Quirks{}))
	id := c.create("k")
	short, long := c.part("k", id, 1, bytesOf("a", 9)), c.part("k", id, 2, bytesOf("b", 10))
	complete := func(code, body string, header ...string) {
		t.Helper()
		c.wantCode(code, "POST", uploadOf("k", id), body, header...)
	}
	complete("EntityTooSmall", listed(1, short, 2, long))
	complete("InvalidPartOrder", listed(2, long, 1, short))
	complete("InvalidPartOrder", listed(2, long, 2, long))
	complete("InvalidPart", listed(2, short))
	complete("InvalidPart", listed(3, long))
	complete("InvalidPart", listed(2, ""))
	complete("MalformedXML", listed())
	complete("MalformedXML", "")
	complete("MalformedXML", "no document")
	complete("MalformedXML", "<Delete></Delete>")
	complete("MalformedXML", listed("x", long))
	complete("InvalidRequest", listed(2, long), "X-Amz-Mp-Object-Size", "11")
	complete("InvalidRequest", listed(2, long), "X-Amz-Checksum-Crc32", crcOf("x"))
	complete("NotImplemented", listed(2, long), "If-None-Match", `"x"`)
	c.wantCode("NoSuchUpload", "POST", uploadOf("other", id), listed(2, long))
	c.wantCode("NoSuchUpload", "POST", uploadOf("k", "none"), listed(2, long))
	if len(c.s.Keys()) != 0 || len(c.s.Uploads()) != 1 {
		t.Errorf("keys %q, uploads %+v", c.s.Keys(), c.s.Uploads())
	}
	c.want(200, "POST", uploadOf("k", id), listed(2, long))
}

func TestSmallestPart(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{Discard: true})
	id := c.create("k")
	short, enough := c.part("k", id, 1, bytesOf("a", 5<<20-1)), c.part("k", id, 2, bytesOf("a", 5<<20))
	last := c.part("k", id, 3, "")
	c.wantCode("EntityTooSmall", "POST", uploadOf("k", id), listed(1, short, 3, last))
	c.want(200, "POST", uploadOf("k", id), listed(2, enough, 3, last))
}

func TestCompleteConditions(t *testing.T) {
	t.Parallel()
	c := newClient(t, smallParts(Quirks{}))
	id := c.create("k")
	e := c.part("k", id, 1, "new")
	c.wantCode("NoSuchKey", "POST", uploadOf("k", id), listed(1, e), "If-Match", `"x"`)
	c.s.Put("k", []byte("old"), nil)
	old, _ := c.s.Object("k")
	c.wantCode("PreconditionFailed", "POST", uploadOf("k", id), listed(1, e), "If-None-Match", "*")
	c.wantCode("PreconditionFailed", "POST", uploadOf("k", id), listed(1, e), "If-Match", `"x"`)
	wantData(t, c.s, "k", "old")
	c.want(200, "POST", uploadOf("k", id), listed(1, e), "If-Match", old.ETag)
	wantData(t, c.s, "k", "new")
}

func TestCompleteTwice(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		quirks                   Quirks
		again, aborted, vanished string
	}{
		"AWS":                {Quirks{}, "", "NoSuchUpload", "NoSuchUpload"},
		"CompleteOnce":       {Quirks{CompleteOnce: true}, "NoSuchUpload", "NoSuchUpload", "NoSuchUpload"},
		"CompleteAfterAbort": {Quirks{CompleteAfterAbort: true}, "", "", "NoSuchUpload"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, smallParts(test.quirks))
			id := c.create("k")
			body := listed(1, c.part("k", id, 1, "v"))
			first := c.want(200, "POST", uploadOf("k", id), body)
			complete := func(id, code string, header ...string) {
				t.Helper()
				a := c.do("POST", uploadOf("k", id), body, header...)
				if a.code() != code || code == "" && a.element("ETag") != first.element("ETag") {
					t.Errorf("%d %s, want %q: %s", a.status, a.code(), code, a.body)
				}
			}
			complete(id, test.again)
			if test.again == "" {
				complete(id, "PreconditionFailed", "If-None-Match", "*")
			}
			aborted := c.create("k")
			c.want(204, "DELETE", uploadOf("k", aborted), "")
			complete(aborted, test.aborted)
			c.s.Remove("k")
			complete(id, test.vanished)
		})
	}
	c := newClient(t, smallParts(Quirks{}))
	id := c.create("k")
	body := listed(1, c.part("k", id, 1, "v"))
	c.want(200, "POST", uploadOf("k", id), body)
	c.s.Put("k", []byte("of another"), nil)
	c.wantCode("NoSuchUpload", "POST", uploadOf("k", id), body)
}

func TestPartRefused(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	id := c.create("k")
	for _, n := range []string{"0", "-1", "10001", "x", ""} {
		c.wantCode("InvalidArgument", "PUT", path("k")+"?uploadId="+id+"&partNumber="+n, "v")
	}
	c.part("k", id, 10000, "v")
	c.wantCode("NoSuchUpload", "PUT", partOf("k", "none", 1), "v")
	c.wantCode("NoSuchUpload", "PUT", partOf("other", id, 1), "v")
	c.wantCode("InvalidRequest", "PUT", partOf("k", id, 1), "v", "X-Amz-Checksum-Crc32", crcOf("v"))
	c.wantCode("InvalidDigest", "PUT", partOf("k", id, 1), "v", "Content-Md5", "x")
	if u := c.s.Uploads(); u[0].Parts != 1 {
		t.Errorf("uploads: %+v", u)
	}
	c.want(204, "DELETE", uploadOf("k", id), "")
	c.wantCode("NoSuchUpload", "DELETE", uploadOf("k", id), "")
	if c.wantCode("NoSuchUpload", "PUT", partOf("k", id, 1), "v"); len(c.s.Uploads()) != 0 {
		t.Error("a part revived the upload")
	}
}

// A part that is still on its way when its upload is aborted is a part of nothing.
func TestPartOfAbortedUpload(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	id := c.create("k")
	body, write := io.Pipe()
	r := c.request("PUT", partOf("k", id, 1), "vv")
	r.Body = body
	part := make(chan answered)
	go func() {
		a, _ := c.send(r)
		part <- a
	}()
	if _, err := write.Write([]byte("v")); err != nil {
		t.Fatal(err)
	}
	for c.s.Count("UploadPart") == 0 {
		runtime.Gosched()
	}
	c.want(204, "DELETE", uploadOf("k", id), "")
	if _, err := write.Write([]byte("v")); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	if a := <-part; a.code() != "NoSuchUpload" || len(c.s.Uploads()) != 0 {
		t.Errorf("%d %s, uploads %+v", a.status, a.code(), c.s.Uploads())
	}
}

func TestFullObjectChecksum(t *testing.T) {
	t.Parallel()
	c := newClient(t, smallParts(Quirks{}))
	a, b := bytesOf("a", 10), bytesOf("b", 12)
	id := c.create("k", "X-Amz-Checksum-Algorithm", "CRC32", "X-Amz-Checksum-Type", "FULL_OBJECT")
	r := c.want(200, "PUT", partOf("k", id, 1), a, "X-Amz-Checksum-Crc32", crcOf(a))
	if r.header.Get("X-Amz-Checksum-Crc32") != crcOf(a) {
		t.Errorf("a part's reply says %q", r.header)
	}
	e1 := r.header.Get("Etag")
	c.wantCode("BadDigest", "PUT", partOf("k", id, 2), a, "X-Amz-Checksum-Crc32", crcOf(b))
	c.wantCode("InvalidRequest", "PUT", partOf("k", id, 2), "hello", "X-Amz-Checksum-Crc32c", "mnG7TA==")
	e2 := c.part("k", id, 2, b) // a part's checksum may be left out
	if l := c.want(200, "GET", uploadOf("k", id), ""); !slices.Equal(l.elements("ChecksumCRC32"), []string{crcOf(a), crcOf(b)}) ||
		l.element("ChecksumType") != "FULL_OBJECT" {
		t.Errorf("parts: %s", l.body)
	}
	body := listed(1, e1, 2, e2)
	c.wantCode("BadDigest", "POST", uploadOf("k", id), body, "X-Amz-Checksum-Crc32", crcOf(a))
	c.wantCode("InvalidRequest", "POST", uploadOf("k", id), body, "X-Amz-Checksum-Type", "COMPOSITE")
	c.wantCode("InvalidPart", "POST", uploadOf("k", id), strings.Replace(body, "</Part>", "<ChecksumCRC32>"+crcOf(b)+"</ChecksumCRC32></Part>", 1))
	r = c.want(200, "POST", uploadOf("k", id), strings.Replace(body, "</Part>", "<ChecksumCRC32>"+crcOf(a)+"</ChecksumCRC32></Part>", 1),
		"X-Amz-Checksum-Crc32", crcOf(a+b), "X-Amz-Checksum-Type", "FULL_OBJECT")
	if r.element("ChecksumCRC32") != crcOf(a+b) || r.element("ChecksumType") != "FULL_OBJECT" {
		t.Errorf("completed: %s", r.body)
	}
	if h := c.want(200, "HEAD", path("k"), "", "X-Amz-Checksum-Mode", "ENABLED"); h.header.Get("X-Amz-Checksum-Crc32") != crcOf(a+b) {
		t.Errorf("HEAD says %q", h.header)
	}
}

func TestCompositeChecksum(t *testing.T) {
	t.Parallel()
	c := newClient(t, smallParts(Quirks{}))
	a, b := bytesOf("a", 10), bytesOf("b", 12)
	created := c.want(200, "POST", path("k")+"?uploads", "", "X-Amz-Checksum-Algorithm", "CRC32")
	if created.header.Get("X-Amz-Checksum-Type") != "COMPOSITE" {
		t.Errorf("created with %q", created.header)
	}
	id := created.element("UploadId")
	c.wantCode("InvalidRequest", "PUT", partOf("k", id, 1), a)
	e1 := c.part("k", id, 1, a, "X-Amz-Checksum-Crc32", crcOf(a))
	e2 := c.part("k", id, 2, b, "X-Amz-Checksum-Crc32", crcOf(b))
	c.wantCode("InvalidRequest", "POST", uploadOf("k", id), listed(1, e1, 2, e2))
	body := "<CompleteMultipartUpload>"
	var sums []byte
	for i, p := range []struct{ etag, data string }{{e1, a}, {e2, b}} {
		body += fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag><ChecksumCRC32>%s</ChecksumCRC32></Part>", i+1, p.etag, crcOf(p.data))
		sum := crc32.ChecksumIEEE([]byte(p.data))
		sums = append(sums, byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum))
	}
	body += "</CompleteMultipartUpload>"
	c.wantCode("BadDigest", "POST", uploadOf("k", id), body, "X-Amz-Checksum-Crc32", crcOf(a+b))
	r := c.want(200, "POST", uploadOf("k", id), body, "X-Amz-Checksum-Crc32", crcOf(string(sums)))
	if r.element("ChecksumCRC32") != crcOf(string(sums))+"-2" || r.element("ChecksumType") != "COMPOSITE" {
		t.Errorf("completed: %s", r.body)
	}
	// A copy is made in one piece and has the checksum of one.
	c.want(200, "PUT", path("l"), "", "X-Amz-Copy-Source", "bucket/k")
	if h := c.want(200, "HEAD", path("l"), "", "X-Amz-Checksum-Mode", "ENABLED"); h.header.Get("X-Amz-Checksum-Crc32") != crcOf(a+b) {
		t.Errorf("the copy has %q", h.header)
	}
}

func TestCreateRefused(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	c.wantCode("InvalidRequest", "POST", path("k")+"?uploads", "", "X-Amz-Checksum-Algorithm", "MD4")
	c.wantCode("NotImplemented", "POST", path("k")+"?uploads", "", "X-Amz-Checksum-Algorithm", "SHA256")
	c.wantCode("InvalidRequest", "POST", path("k")+"?uploads", "", "X-Amz-Checksum-Type", "FULL_OBJECT")
	c.wantCode("InvalidRequest", "POST", path("k")+"?uploads", "", "X-Amz-Checksum-Algorithm", "CRC32", "X-Amz-Checksum-Type", "HALF")
	c.wantCode("InvalidStorageClass", "POST", path("k")+"?uploads", "", "X-Amz-Storage-Class", "ICE")
	c.wantCode("MetadataTooLarge", "POST", path("k")+"?uploads", "", "X-Amz-Meta-K", strings.Repeat("v", 2048))
	if len(c.s.Uploads()) != 0 {
		t.Error("refused and created")
	}
}

func TestListParts(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	id := c.create("k")
	for _, n := range []int{30, 1, 20, 7, 2} {
		c.part("k", id, n, strings.Repeat("v", n))
	}
	var numbers, sizes []string
	pages := 0
	for marker := ""; ; pages++ {
		a := c.want(200, "GET", uploadOf("k", id)+"&max-parts=2&part-number-marker="+marker, "")
		numbers = append(numbers, a.elements("PartNumber")...)
		sizes = append(sizes, a.elements("Size")...)
		marker = a.element("NextPartNumberMarker")
		if a.element("IsTruncated") == "false" {
			break
		}
	}
	want := []string{"1", "2", "7", "20", "30"}
	if !slices.Equal(numbers, want) || !slices.Equal(sizes, want) || pages != 2 {
		t.Errorf("parts %q of %q on %d pages", numbers, sizes, pages+1)
	}
	if a := c.want(200, "GET", uploadOf("k", id)+"&max-parts=5", ""); a.element("IsTruncated") != "false" {
		t.Errorf("exactly all parts: %s", a.body)
	}
	if a := c.want(200, "GET", uploadOf("k", id)+"&max-parts=0", ""); a.element("IsTruncated") != "false" || len(a.elements("PartNumber")) > 0 {
		t.Errorf("no parts at all: %s", a.body)
	}
	c.wantCode("InvalidArgument", "GET", uploadOf("k", id)+"&max-parts=x", "")
	c.wantCode("InvalidArgument", "GET", uploadOf("k", id)+"&part-number-marker=x", "")
	c.wantCode("NoSuchUpload", "GET", uploadOf("k", "none"), "")
}

func TestListUploads(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	var want []string
	for _, k := range []string{"b", "a/2", "a/1", "a/2", "c d", "a/2"} {
		want = append(want, url.QueryEscape(k)+" "+c.create(k))
	}
	slices.Sort(want) // IDs sort by age
	for i, w := range want {
		want[i] = strings.Replace(w, "%2F", "/", 1)
	}
	for _, size := range []string{"1", "2", "4", "1000"} {
		var got []string
		query := url.Values{"uploads": {""}, "encoding-type": {"url"}, "max-uploads": {size}}
		for {
			a := c.want(200, "GET", "/bucket?"+query.Encode(), "")
			keys, ids := a.elements("Key"), a.elements("UploadId")
			for i := range keys {
				got = append(got, keys[i]+" "+ids[i])
			}
			if a.element("IsTruncated") == "false" {
				break
			}
			marker, _ := url.QueryUnescape(a.element("NextKeyMarker"))
			query.Set("key-marker", marker)
			query.Set("upload-id-marker", a.element("NextUploadIdMarker"))
		}
		if !slices.Equal(got, want) {
			t.Errorf("by %s: %q, want %q", size, got, want)
		}
	}
	count := func(query string) int {
		return len(c.want(200, "GET", "/bucket?uploads&"+query, "").elements("UploadId"))
	}
	if a, b, n := count("prefix=a/"), count("prefix=a/2"), count("key-marker=a/2"); a != 4 || b != 3 || n != 2 {
		t.Errorf("%d with a/, %d with a/2, %d after a/2", a, b, n)
	}
	c.wantCode("NotImplemented", "GET", "/bucket?uploads&delimiter=/", "")
	if a := c.want(200, "GET", "/bucket?uploads&prefix=c", ""); a.element("Key") != "c d" || a.element("EncodingType") != "" {
		t.Errorf("not encoded: %s", a.body)
	}
	c = newClient(t, Options{Quirks: Quirks{ExactUploadPrefix: true}})
	for range 3 {
		c.create("a/2")
	}
	if all, a, b := count(""), count("prefix=a/"), count("prefix=a/2"); all != 0 || a != 0 || b != 3 {
		t.Errorf("by exact prefix: %d, %d with a/, %d with a/2", all, a, b)
	}
}

// What the documents say beside what the other tests look at.
func TestDocuments(t *testing.T) {
	t.Parallel()
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	o := smallParts(Quirks{})
	o.Now = func() time.Time { return at }
	c := newClient(t, o)
	c.now = o.Now
	check := func(a answered, want ...string) {
		t.Helper()
		for i := 0; i < len(want); i += 2 {
			if got := a.element(want[i]); got != want[i+1] {
				t.Errorf("%s is %q, want %q: %s", want[i], got, want[i+1], a.body)
			}
		}
	}
	const date = "2030-01-02T03:04:05.000Z"
	c.s.Put("src", []byte("0123456789"), nil)
	created := c.want(200, "POST", path("k")+"?uploads", "", "X-Amz-Checksum-Algorithm", "CRC32",
		"X-Amz-Checksum-Type", "FULL_OBJECT", "X-Amz-Storage-Class", "STANDARD_IA", "X-Amz-Server-Side-Encryption", "AES256")
	if h := created.header; h.Get("X-Amz-Checksum-Algorithm") != "CRC32" || h.Get("X-Amz-Checksum-Type") != "FULL_OBJECT" {
		t.Errorf("created with %q", h)
	}
	check(created, "Bucket", "bucket", "Key", "k")
	id := created.element("UploadId")
	check(c.want(200, "PUT", partOf("k", id, 1), "", "X-Amz-Copy-Source", "bucket/src"), "LastModified", date)
	part := c.part("k", id, 2, "v")
	check(c.want(200, "GET", uploadOf("k", id), ""), "Bucket", "bucket", "Key", "k", "UploadId", id, "LastModified", date,
		"ChecksumAlgorithm", "CRC32", "StorageClass", "STANDARD_IA", "PartNumberMarker", "0", "NextPartNumberMarker", "2", "MaxParts", "1000")
	check(c.want(200, "GET", "/bucket?uploads&prefix=k&key-marker=a&upload-id-marker=b&encoding-type=url", ""), "Bucket", "bucket", "Prefix", "k",
		"KeyMarker", "a", "UploadIdMarker", "b", "MaxUploads", "1000", "EncodingType", "url", "Initiated", date, "StorageClass", "STANDARD_IA",
		"ChecksumAlgorithm", "CRC32", "ChecksumType", "FULL_OBJECT", "IsTruncated", "false")
	done := c.want(200, "POST", uploadOf("k", id), listed(2, part))
	check(done, "Bucket", "bucket", "Key", "k", "Location", c.s.URL()+"/bucket/k")
	copied := c.want(200, "PUT", path("l"), "", "X-Amz-Copy-Source", "bucket/src", "X-Amz-Server-Side-Encryption", "AES256")
	check(copied, "LastModified", date)
	for _, a := range []answered{created, done, copied} {
		if a.header.Get("X-Amz-Server-Side-Encryption") != "AES256" {
			t.Errorf("encrypted with %q", a.header)
		}
	}
	check(c.want(200, "GET", "/bucket?list-type=2&prefix=l", ""), "Name", "bucket", "LastModified", date, "Size", "10", "StorageClass", "STANDARD")
	check(c.want(200, "GET", "/bucket?list-type=2&prefix=k", ""), "ChecksumAlgorithm", "CRC32", "ChecksumType", "FULL_OBJECT")
	check(c.wantCode("NoSuchBucket", "GET", "/other", ""), "BucketName", "other", "Message", "The specified bucket does not exist",
		"HostId", hostID)
}

// An object of many parts keeps its size and its CRC when its bytes are thrown away.
func TestDiscard(t *testing.T) {
	t.Parallel()
	o := smallParts(Quirks{})
	o.Discard = true
	c := newClient(t, o)
	id := c.create("k", "X-Amz-Checksum-Algorithm", "CRC32", "X-Amz-Checksum-Type", "FULL_OBJECT")
	var all string
	var list []any
	for i := 1; i <= 5; i++ {
		data := strings.Repeat(strconv.Itoa(i), 100000+i)
		all += data
		list = append(list, i, c.part("k", id, i, data, "X-Amz-Checksum-Crc32", crcOf(data)))
	}
	c.wantCode("BadDigest", "POST", uploadOf("k", id), listed(list...), "X-Amz-Checksum-Crc32", crcOf("x"))
	c.want(200, "POST", uploadOf("k", id), listed(list...), "X-Amz-Checksum-Crc32", crcOf(all))
	stored, _ := c.s.Object("k")
	if stored.Data != nil || stored.Size != int64(len(all)) || stored.CRC32 != crc32.ChecksumIEEE([]byte(all)) {
		t.Errorf("stored %d bytes of %d", len(stored.Data), stored.Size)
	}
	if a := c.want(206, "GET", path("k"), "", "Range", "bytes=10-300009"); !bytes.Equal([]byte(a.body), make([]byte, 300000)) {
		t.Errorf("got %d bytes", len(a.body))
	}
	c.want(200, "PUT", path("l"), "", "X-Amz-Copy-Source", "bucket/k")
	if l, _ := c.s.Object("l"); l.Size != stored.Size || l.CRC32 != stored.CRC32 {
		t.Errorf("the copy is %+v", l)
	}
	// Of a part of what was thrown away nobody knows the CRC, so none is compared.
	id = c.create("m", "X-Amz-Checksum-Algorithm", "CRC32", "X-Amz-Checksum-Type", "FULL_OBJECT")
	c.want(200, "PUT", partOf("m", id, 1), "", "X-Amz-Copy-Source", "bucket/k", "X-Amz-Copy-Source-Range", "bytes=0-99")
	etag := c.want(200, "GET", uploadOf("m", id), "").element("ETag")
	c.want(200, "POST", uploadOf("m", id), listed(1, etag), "X-Amz-Checksum-Crc32", crcOf("x"))
	if m, _ := c.s.Object("m"); m.Size != 100 {
		t.Errorf("the range is %+v", m)
	}
	c.s.Put("p", []byte("direct"), nil)
	if p, _ := c.s.Object("p"); p.Data != nil || p.Size != 6 {
		t.Errorf("put directly: %+v", p)
	}
}
