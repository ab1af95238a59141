package gcsfake

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func md5Of(s string) string {
	sum := md5.Sum([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func TestInsertAndGet(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 2, 3, 4, 5, 678999000, time.UTC)
	c := newClient(t, Options{Now: func() time.Time { return now }})
	const key = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
	a := c.tryInsert(`{"name": "a/b c", "metadata": {"Mtime": "17"}, "contentType": "text/x", "cacheControl": "no-store",
		"contentLanguage": "de", "contentDisposition": "inline", "contentEncoding": "x-own", "storageClass": "NEARLINE",
		"crc32c": "`+crcOf("hello")+`", "md5Hash": "`+md5Of("hello")+`", "eventBasedHold": false, "acl": [], "bucket": "bucket"}`,
		"hello", "kmsKeyName", key)
	gen := strconv.FormatInt(now.UnixMicro(), 10)
	for name, want := range map[string]string{
		"kind": "storage#object", "id": "bucket/a/b c/" + gen, "bucket": "bucket", "name": "a/b c", "generation": gen,
		"metageneration": "1", "size": "5", "crc32c": crcOf("hello"), "md5Hash": md5Of("hello"), "storageClass": "NEARLINE",
		"contentType": "text/x", "cacheControl": "no-store", "contentLanguage": "de", "contentDisposition": "inline",
		"contentEncoding": "x-own", "timeCreated": "2030-01-02T03:04:05.678Z", "updated": "2030-01-02T03:04:05.678Z",
		"timeFinalized": "2030-01-02T03:04:05.678Z", "timeStorageClassUpdated": "2030-01-02T03:04:05.678Z",
		"kmsKeyName": key + "/cryptoKeyVersions/1", "metadata.Mtime": "17", "componentCount": "",
	} {
		if got := a.field(name); a.status != 200 || got != want {
			t.Errorf("%d, %s is %q, want %q", a.status, name, got, want)
		}
	}
	if got := c.want(200, "GET", at("a/b c"), ""); got.body != a.body {
		t.Errorf("get says %s, insert said %s", got.body, a.body)
	}
	o, _ := c.s.Object("a/b c")
	if string(o.Data) != "hello" || o.Generation != now.UnixMicro() || o.Metageneration != 1 || o.Metadata["Mtime"] != "17" ||
		o.KMSKey != key+"/cryptoKeyVersions/1" || o.Header.Get("Content-Type") != "text/x" || o.ETag != a.field("etag") ||
		!o.Created.Equal(now.Truncate(time.Millisecond)) || base64.StdEncoding.EncodeToString(o.MD5) != md5Of("hello") {
		t.Errorf("%+v", o)
	}
	if c.s.Received() != 5 {
		t.Errorf("received %d", c.s.Received())
	}
}

func TestMedia(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	c := newClient(t, Options{Now: func() time.Time { return now }})
	c.tryInsert(`{"name": "a/b", "metadata": {"mtime": "17"}, "contentEncoding": "gzip", "cacheControl": "no-store"}`, "hello")
	gen := generation(c.s, "a/b")
	for target, special := range map[string]map[string]string{
		at("a/b") + "?alt=media":               {"X-Goog-Hash": "crc32c=" + crcOf("hello") + ",md5=" + md5Of("hello"), "X-Goog-Meta-Mtime": ""},
		"/download" + at("a/b") + "?alt=media": {"X-Goog-Hash": "crc32c=" + crcOf("hello") + ",md5=" + md5Of("hello")},
		"/bucket/a/b":                          {"X-Goog-Hash": "crc32c=" + crcOf("hello"), "X-Goog-Meta-Mtime": "17", "Etag": `"5d41402abc4b2a76b9719d911017c592"`},
		"/bucket/a%2Fb?generation=" + gen:      {"X-Goog-Meta-Mtime": "17"},
	} {
		a := c.want(200, "GET", target, "")
		want := map[string]string{
			"Content-Length": "5", "Content-Type": "text/plain", "Content-Encoding": "gzip", "Cache-Control": "no-store",
			"X-Goog-Generation": gen, "X-Goog-Metageneration": "1", "X-Goog-Stored-Content-Length": "5",
			"X-Goog-Stored-Content-Encoding": "gzip", "X-Goog-Storage-Class": "STANDARD",
			"Last-Modified": "Wed, 02 Jan 2030 03:04:05 GMT", "Date": "Wed, 02 Jan 2030 03:04:05 GMT",
		}
		for name, value := range special {
			want[name] = value
		}
		for name, value := range want {
			if got := a.header.Get(name); got != value || a.body != "hello" {
				t.Errorf("%s: %q, %s is %q, want %q", target, a.body, name, got, value)
			}
		}
		if a.header.Get("Etag") == "" || a.header.Get("X-Guploader-Uploadid") == "" {
			t.Errorf("%s says %q", target, a.header)
		}
	}
	if got := c.want(200, "GET", "/bucket/a/b", "").header.Values("X-Goog-Hash"); len(got) != 2 {
		t.Errorf("hashes %q", got)
	}
	if a := c.want(200, "HEAD", "/bucket/a/b", ""); a.body != "" || a.header.Get("Content-Length") != "5" {
		t.Errorf("HEAD says %q and %q", a.header, a.body)
	}
	if c.s.Sent() != 5*5 || c.s.Count("objects.media") != 6 {
		t.Errorf("sent %d in %d", c.s.Sent(), c.s.Count("objects.media"))
	}
	c.refused(404, "notFound", "GET", at("a/b")+"?alt=media&generation=1", "")
	c.refused(404, "notFound", "GET", at("a/b")+"?generation=1", "")
	if a := c.want(404, "GET", "/bucket/none", ""); !strings.Contains(a.body, "<Code>NoSuchKey</Code>") {
		t.Errorf("%s", a.body)
	}
	if a := c.want(404, "GET", "/other/none", ""); !strings.Contains(a.body, "<Code>NoSuchBucket</Code>") {
		t.Errorf("%s", a.body)
	}
	c.refused(404, "notFound", "GET", "/storage/v1/b/other/o/a", "")
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "X-Goog-Encryption-Key"} {
		c.refused(501, "notImplemented", "GET", at("a/b")+"?alt=media", "", name, "x")
	}
	c.want(501, "GET", "/bucket/a/b?ifGenerationMatch=1", "")
	c.want(501, "PUT", "/bucket/a/b", "x")
	c.want(501, "GET", "/bucket", "")
}

func TestRanges(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	c.s.Put("k", []byte("0123456789"), nil)
	c.s.Put("empty", nil, nil)
	for _, path := range []string{"/bucket/k", at("k") + "?alt=media"} {
		for span, want := range map[string]string{
			"bytes=0-0": "0", "bytes=2-4": "234", "bytes=8-": "89", "bytes=8-99": "89", "bytes=-3": "789", "bytes=0-": "0123456789",
		} {
			a := c.want(206, "GET", path, "", "Range", span)
			off := strings.Index("0123456789", want)
			if a.body != want || a.header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/10", off, off+len(want)-1) {
				t.Errorf("%s: %q %q", span, a.body, a.header)
			}
		}
		if a := c.want(200, "GET", path, "", "Range", "bytes=4-2"); a.body != "0123456789" {
			t.Errorf("%q", a.body)
		}
		c.want(416, "GET", path, "", "Range", "bytes=10-")
		c.want(416, "GET", path, "", "Range", "bytes=10-12")
		c.want(501, "GET", path, "", "Range", "bytes=0-1,3-4")
	}
	c.refused(416, "requestedRangeNotSatisfiable", "GET", at("empty")+"?alt=media", "", "Range", "bytes=0-")
	if a := c.want(416, "GET", "/bucket/empty", "", "Range", "bytes=0-"); !strings.Contains(a.body, "InvalidRange") || a.header.Get("Content-Range") != "bytes */0" {
		t.Errorf("%q %s", a.header, a.body)
	}
	if a := c.want(200, "GET", "/bucket/empty", ""); a.body != "" || a.header.Get("Content-Length") != "0" {
		t.Errorf("%q %q", a.header, a.body)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	c.s.Put("src", []byte("v"), nil)
	good := []string{
		"a", "a/", "a//", "/a", "./a", "a/..", "x//y", "a+b", "a b", "%2F", "ü/€", "\x01\x1f\x7f", "\t", "q?r#s[1]", "~*'()!",
		strings.Repeat("k", 1024), ".well-known/x",
	}
	for _, k := range good {
		c.insert(k, "at "+k)
		if a := c.want(200, "GET", at(k)+"?alt=media", ""); a.body != "at "+k {
			t.Errorf("%q holds %q", k, a.body)
		}
		if a := c.want(200, "GET", at(k), ""); a.field("name") != k {
			t.Errorf("%q is told as %q", k, a.field("name"))
		}
	}
	good = append(good, "src")
	slices.Sort(good)
	if got := c.s.Keys(); !slices.Equal(got, good) {
		t.Errorf("keys are %q", got)
	}
	n := len(c.s.Keys())
	for _, bad := range []string{".", "..", "a\r", "\na", strings.Repeat("k", 1025), ".well-known/acme-challenge/x", "\xff"} {
		c.refused(400, "invalid", "POST", query(uploads+"media", "name", bad), "v")
		c.refused(400, "invalid", "POST", query(uploads+"resumable", "name", bad), "")
		if bad != "." && bad != ".." { // a client cleans them away
			c.refused(400, "invalid", "POST", at(bad)+"/compose", `{"sourceObjects": [{"name": "src"}]}`)
			c.refused(400, "invalid", "POST", at("src")+"/rewriteTo/b/bucket/o/"+at(bad)[len(at("")):], "")
			c.refused(400, "invalid", "POST", at("src")+"/moveTo/o/"+at(bad)[len(at("")):], "")
		}
	}
	c.refused(400, "required", "POST", uploads+"media", "v")
	if a := c.tryInsert(`{}`, "v"); a.status != 400 {
		t.Errorf("without a name: %d", a.status)
	}
	if len(c.s.Keys()) != n || len(c.s.Sessions()) != 0 {
		t.Errorf("keys are %q, sessions %v", c.s.Keys(), c.s.Sessions())
	}
}

func TestInsertRefused(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	for _, test := range []struct {
		description, reason string
		status              int
	}{
		{`{"name": "k", "storageClass": "FAST"}`, "invalid", 400},
		{`{"name": "k", "crc32c": "` + crcOf("other") + `"}`, "invalid", 400},
		{`{"name": "k", "crc32c": "AA=="}`, "invalid", 400},
		{`{"name": "k", "md5Hash": "` + md5Of("other") + `"}`, "invalid", 400},
		{`{"name": "k", "md5Hash": 7}`, "invalid", 400},
		{`{"name": "k", "metadata": {"a": "` + strings.Repeat("v", 8<<10) + `"}}`, "invalid", 400},
		{`{"name": "k", "metadata": "v"}`, "invalid", 400},
		{`{"name": "k", "metadata": {"": "v"}}`, "invalid", 400},
		{`{"name": "k", "customTime": "2030-01-02T03:04:05Z"}`, "notImplemented", 501},
		{`{"name": "k", "eventBasedHold": true}`, "notImplemented", 501},
		{`{"name": "k", "colour": "red"}`, "notImplemented", 501},
		{`{"name": "k"`, "parseError", 400},
		{`null`, "parseError", 400},
	} {
		if a := c.tryInsert(test.description, "hello"); a.status != test.status || a.reason() != test.reason {
			t.Errorf("%.60s: %d %s", test.description, a.status, a.body)
		}
		a := c.do("POST", query(uploads+"resumable", "name", "k"), test.description, "Content-Type", "application/json")
		if other := strings.Contains(test.description, crcOf("other")) || strings.Contains(test.description, md5Of("other")); other {
			c.refused(400, "invalid", "PUT", a.header.Get("Location"), "hello")
		} else if a.status != test.status || a.reason() != test.reason {
			t.Errorf("session: %.60s: %d %s", test.description, a.status, a.body)
		}
	}
	multipart := "multipart/related; boundary=" + boundary
	whole := parts(`{"name": "k"}`, "v")
	for body, kind := range map[string]string{
		whole: "text/plain", whole[:len(whole)-8]: multipart, whole[5:]: multipart, "": multipart,
		strings.Replace(whole, "application/json", "text/plain", 1):                                  multipart,
		parts(`{"name": "k"}`, "v\r\n--"+boundary+"\r\n\r\nmore"):                                    multipart,
		"--" + boundary + "\r\nContent-Type: application/json\r\n\r\n{}\r\n--" + boundary + "--\r\n": multipart,
		parts(`{"name": "k"}`, "v") + " ":                                                            "multipart/related",
	} {
		c.refused(400, "badRequest", "POST", uploads+"multipart", body, "Content-Type", kind)
	}
	base64ed := strings.Replace(whole, "text/plain", "text/plain\r\nContent-Transfer-Encoding: base64", 1)
	c.refused(501, "notImplemented", "POST", uploads+"multipart", base64ed, "Content-Type", multipart)
	c.refused(400, "invalid", "POST", uploads+"multipart", partsOf(`{"name": "k", "contentType": "text/x"}`, "text/y", "v"), "Content-Type", multipart)
	c.refused(400, "invalid", "POST", uploads+"resumable&name=k", `{"contentType": "text/x"}`, "X-Upload-Content-Type", "text/y")
	media := query(uploads+"media", "name", "k")
	c.refused(400, "invalid", "POST", media, "hello", "X-Goog-Hash", "crc32c="+crcOf("other"))
	c.refused(400, "invalid", "POST", media, "hello", "X-Goog-Hash", "crc32c="+crcOf("hello")+",md5="+md5Of("other"))
	c.refused(400, "invalid", "POST", media, "hello", "X-Goog-Hash", "sha1=AAAA")
	c.refused(400, "invalid", "POST", media, "hello", "X-Goog-Hash", "md5=AAAA")
	c.refused(400, "invalid", "POST", query(media, "kmsKeyName", "key"), "hello")
	c.refused(501, "notImplemented", "POST", query(media, "predefinedAcl", "private"), "hello")
	c.refused(501, "notImplemented", "POST", query(media, "unheardOf", "x"), "hello")
	c.refused(400, "invalidParameter", "POST", query(media, "projection", "half"), "hello")
	c.refused(400, "invalid", "POST", query(media, "name", "l"), "hello")
	if a := c.tryInsert(`{"name": "k"}`, "v", "name", "l"); a.status != 400 {
		t.Errorf("two names: %d", a.status)
	}
	c.refused(501, "notImplemented", "POST", inBucket+"o?name=k", "hello")
	c.refused(501, "notImplemented", "POST", "/upload"+inBucket+"o?name=k", "hello")
	if len(c.s.Keys()) != 0 || c.s.Received() != 2*5 { // of the two sessions
		t.Errorf("stored %q, received %d", c.s.Keys(), c.s.Received())
	}
	c.want(200, "POST", media, "hello", "X-Goog-Hash", "crc32c="+crcOf("hello")+",md5="+md5Of("hello"), "Content-Type", "text/html")
	if o, _ := c.s.Object("k"); o.Header.Get("Content-Type") != "text/html" {
		t.Errorf("%+v", o)
	}
	c.want(200, "POST", query(uploads+"media", "name", "l", "contentEncoding", "gzip"), "hello")
	if o, _ := c.s.Object("l"); o.Header.Get("Content-Type") != "application/octet-stream" || o.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%+v", o)
	}
	c.tryInsert(`{"name": "m", "metadata": {"a": "`+strings.Repeat("v", 8<<10-1)+`"}}`, "")
	wantData(t, c.s, "m", "")
}

// A body of no known length, larger than the first buffer.
func TestLargeBody(t *testing.T) {
	t.Parallel()
	for _, discard := range []bool{false, true} {
		c := newClient(t, Options{Discard: discard})
		data := strings.Repeat("0123456789a", 1<<20)
		r := c.request("POST", query(uploads+"media", "name", "k"), data)
		r.ContentLength = -1
		a, err := c.send(r)
		if err != nil || a.status != 200 || a.field("crc32c") != crcOf(data) || a.field("size") != strconv.Itoa(len(data)) {
			t.Fatalf("%v %d %s", err, a.status, a.body)
		}
		a = c.want(200, "GET", at("k")+"?alt=media", "")
		if discard {
			data = strings.Repeat("\x00", len(data))
		}
		if a.body != data || (c.want(200, "GET", at("k"), "").field("md5Hash") == "") != discard {
			t.Errorf("got %d bytes", len(a.body))
		}
	}
}

func TestGenerationsRise(t *testing.T) {
	t.Parallel()
	now := time.Unix(2e9, 0)
	c := newClient(t, Options{Now: func() time.Time { return now }})
	last := int64(0)
	for i := range 6 {
		c.insert("k"+strconv.Itoa(i%2), "v")
		o, _ := c.s.Object("k" + strconv.Itoa(i%2))
		if o.Generation <= last || o.Metageneration != 1 {
			t.Errorf("generation %d after %d", o.Generation, last)
		}
		if last = o.Generation; i == 3 {
			now = now.Add(-time.Hour)
		}
	}
	if last != time.Unix(2e9, 0).UnixMicro()+5 {
		t.Errorf("generation %d", last)
	}
}

// Of all that insert where nothing is, one wins; and so of all that replace the same generation.
func TestConditionalRace(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	generation := "0"
	for round := range 5 {
		results := make([]answered, 16)
		var wg sync.WaitGroup
		for i := range results {
			wg.Go(func() {
				body := strings.Repeat(fmt.Sprintf("%d-%d ", round, i), 1000)
				r := c.request("POST", query(uploads+"media", "name", "k", "ifGenerationMatch", generation), body)
				if i%2 == 1 {
					session := c.want(200, "POST", query(uploads+"resumable", "name", "k", "ifGenerationMatch", generation), "").header.Get("Location")
					r = c.request("PUT", session, body)
				}
				results[i], _ = c.send(r)
			})
		}
		wg.Wait()
		var won []string
		for _, a := range results {
			switch a.status {
			case 200:
				won = append(won, a.field("generation"))
			case 412:
			default:
				t.Fatalf("%d %s", a.status, a.body)
			}
		}
		if o, _ := c.s.Object("k"); len(won) != 1 || strconv.FormatInt(o.Generation, 10) != won[0] {
			t.Fatalf("won: %q, there is %d", won, o.Generation)
		}
		generation = won[0]
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	now := time.Unix(2e9, 0)
	c := newClient(t, Options{Now: func() time.Time { return now }, Quirks: Quirks{RateLimit: true}})
	c.insert("k", "v")
	c.insert("l", "v")
	now = now.Add(999 * time.Millisecond)
	if a := c.tryInsert(`{"name": "k"}`, "w"); a.status != 429 || a.reason() != "rateLimitExceeded" {
		t.Errorf("%d %s", a.status, a.body)
	}
	c.refused(429, "rateLimitExceeded", "PATCH", at("k"), `{"metadata": {"a": "b"}}`)
	c.refused(429, "rateLimitExceeded", "POST", at("k")+"/compose", `{"sourceObjects": [{"name": "l"}]}`)
	c.refused(429, "rateLimitExceeded", "POST", at("l")+"/moveTo/o/k", "")
	c.refused(429, "rateLimitExceeded", "PUT", c.start("k", ""), "x")
	wantData(t, c.s, "k", "v")
	now = now.Add(time.Millisecond)
	c.insert("k", "w")
	c.want(204, "DELETE", at("k"), "")
}

func TestUnknown(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	c.s.Put("k", []byte("v"), nil)
	for _, r := range [][2]string{
		{"PUT", at("k")},
		{"POST", at("k")},
		{"GET", at("k") + "/acl"},
		{"POST", at("k") + "/copyTo/b/bucket/o/l"},
		{"GET", inBucket + "notificationConfigs"},
		{"PATCH", "/storage/v1/b/bucket"},
		{"GET", "/storage/v1/b"},
		{"GET", "/batch/storage/v1"},
		{"GET", "/download" + at("k")},
		{"GET", at("k") + "?softDeleted=true"},
		{"GET", inBucket + "o?versions=true"},
		{"GET", inBucket + "o?matchGlob=*"},
		{"GET", inBucket + "o?maxResults=0"},
		{"GET", inBucket + "o/"},
		{"GET", "/v1/projects"},
		{"POST", folderAt("a/") + "/deleteRecursive"},
		{"DELETE", "/upload" + inBucket + "o"},
		{"GET", inBucket + "o/a/b"},
	} {
		c.refused(501, "notImplemented", r[0], r[1], "")
	}
	c.want(501, http.MethodHead, at("k"), "")
	c.refused(400, "invalidParameter", "GET", inBucket+"o?alt=media", "")
	c.refused(400, "invalid", "GET", at("k")+"?generation=x", "")
	c.refused(400, "invalid", "GET", at("k")+"?generation=1&generation=2", "")
	c.refused(400, "invalid", "GET", at("k")+"?a;b=%zz", "")
	if c.s.Count("Unknown") == 0 || c.s.Count("objects.get") != 4 {
		t.Errorf("%d unknown, %d known", c.s.Count("Unknown"), c.s.Count("objects.get"))
	}
}
