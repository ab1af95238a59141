package s3fake

import (
	"bytes"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/backends/storefake"
)

// FuzzRequest sends well-signed nonsense to a store that has something to lose: whatever comes, the
// server answers, in well-formed XML where it answers in XML, and its books stay right.
func FuzzRequest(f *testing.F) {
	for _, seed := range []struct{ method, path, query, header, body string }{
		{"PUT", "/bucket/k", "", "If-None-Match: *\nX-Amz-Checksum-Crc32: NhCmhg==", "hello"},
		{"PUT", "/bucket/k", "", "Content-Md5: XUFAKrxLKna5cZ2REBfFkg==\nX-Amz-Meta-A: b", "hello"},
		{"GET", "/bucket/there", "", "Range: bytes=1-2\nX-Amz-Checksum-Mode: ENABLED", ""},
		{"HEAD", "/bucket/there", "", "Range: bytes=-1\nIf-None-Match: \"x\"", ""},
		{"DELETE", "/bucket/there", "", "If-Match: *", ""},
		{"GET", "/bucket", "list-type=2&delimiter=/&prefix=a&max-keys=1&encoding-type=url&start-after=a%01", "", ""},
		{"GET", "/bucket", "list-type=2&continuation-token=AAAAAA==", "", ""},
		{"GET", "/bucket", "uploads&key-marker=a&upload-id-marker=b&max-uploads=1", "", ""},
		{"POST", "/bucket/k", "uploads", "X-Amz-Checksum-Algorithm: CRC32", ""},
		{"PUT", "/bucket/open", "partNumber=2&uploadId=ID", "X-Amz-Checksum-Crc32: NhCmhg==", "hello"},
		{"PUT", "/bucket/open", "partNumber=2&uploadId=ID", "X-Amz-Copy-Source: bucket/there\nX-Amz-Copy-Source-Range: bytes=0-1", ""},
		{"POST", "/bucket/open", "uploadId=ID", "X-Amz-Mp-Object-Size: 4", listed(1, "8d777f385d3dfec8815d20f7496026dc")},
		{"GET", "/bucket/open", "uploadId=ID&max-parts=0&part-number-marker=-1", "", ""},
		{"DELETE", "/bucket/open", "uploadId=ID", "", ""},
		{"PUT", "/bucket/k", "", "X-Amz-Copy-Source: bucket%2Fthere\nX-Amz-Metadata-Directive: REPLACE", ""},
		{"POST", "/bucket", "delete", "X-Amz-Checksum-Crc32: AAAAAA==", "<Delete><Object><Key>a/1</Key></Object></Delete>"},
		{"PUT", "/bucket/there", "tagging", "", "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"},
		{"GET", "/bucket/there", "tagging", "", ""},
		{"GET", "/bucket", "lifecycle", "", ""},
		{"GET", "/bucket", "location", "", ""},
		{"PATCH", "//bucket/../\x00\xff", "a;b&%zz", "X-Amz-Storage-Class: GLACIER", ""},
	} {
		f.Add(seed.method, seed.path, seed.query, seed.header, []byte(seed.body), false)
		f.Add(seed.method, seed.path, seed.query, seed.header, []byte(seed.body), true)
	}
	f.Fuzz(func(t *testing.T, method, path, query, header string, body []byte, quirky bool) {
		s := fuzzServer(quirky)
		s.ServeHTTP(httptest.NewRecorder(), fuzzRequest(s, "PUT", "/bucket/open", "partNumber=1&uploadId=ID", "", []byte("data")))
		w := httptest.NewRecorder()
		s.ServeHTTP(w, fuzzRequest(s, method, path, query, header, body))
		if w.Code < 200 || w.Code > 599 {
			t.Errorf("status %d", w.Code)
		}
		if w.Header().Get("Content-Type") == "application/xml" {
			wellFormed(t, w.Body.Bytes())
		}
		checkBooks(t, s)
	})
}

func fuzzServer(quirky bool) *Server {
	o := Options{PageSize: 2, Discard: quirky, Now: func() time.Time { return time.Unix(2e9, 0) }}
	if quirky {
		o.Quirks = Quirks{
			UniformParts: true, IgnoreConditionalCopy: true, IgnoreConditionalDelete: true, CompleteAfterAbort: true,
			NoEncodingType: true, RepeatPrefixes: true, ExactUploadPrefix: true, NoKeyBelowObject: true, MinPartSize: 1,
		}
	}
	s := New(o)
	for _, k := range []string{"there", "a/1", "a/2", "a", "z\x01"} {
		s.Put(k, []byte("value of "+k), map[string]string{"m": "v"})
	}
	s.uploads["ID"] = &upload{key: "open", id: "ID", parts: map[int]*part{}, attrs: attrs{header: http.Header{}}}
	return s
}

// fuzzRequest signs with the server's own idea of the request, for it is what follows that is tested.
func fuzzRequest(s *Server, method, path, query, header string, body []byte) *http.Request {
	r := storefake.RequestOf(method, path, query, header, body)
	r.Header.Set("X-Amz-Content-Sha256", unsigned)
	date := s.o.Now().UTC().Format(signTime)
	r.Header.Set("X-Amz-Date", date)
	signed := []string{"host"}
	for name := range r.Header {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-amz-") {
			signed = append(signed, name)
		}
	}
	slices.Sort(signed)
	c := s.newCall(&storefake.Exchange{R: r})
	cred := credential{s.o.AccessKey, date[:8], s.o.Region, signed, nil}
	r.Header.Set("Authorization", signAlgorithm+" Credential="+cred.access+"/"+cred.day+"/"+cred.region+
		"/s3/aws4_request, SignedHeaders="+strings.Join(signed, ";")+", Signature="+
		hex.EncodeToString(sign(s.o.SecretKey, cred, date, c.canonicalRequest(signed))))
	return r
}

var references = regexp.MustCompile(`&#x(1?[0-9a-f]|fff[ef]);`)

// wellFormed parses a document, but for the characters that S3 writes although XML has none for them.
func wellFormed(t *testing.T, document []byte) {
	t.Helper()
	document = references.ReplaceAll(document, nil)
	for d := xml.NewDecoder(bytes.NewReader(document)); ; {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v: %s", err, document)
		}
	}
}

func checkBooks(t *testing.T, s *Server) {
	t.Helper()
	keys := s.Keys()
	if !slices.IsSorted(keys) || len(keys) != len(s.objects) {
		t.Errorf("keys %q of %d objects", keys, len(s.objects))
	}
	for _, k := range keys {
		if o, ok := s.Object(k); !ok || !s.o.Discard && int64(len(o.Data)) != o.Size {
			t.Errorf("%q: %+v", k, o)
		}
	}
	for _, u := range s.Uploads() {
		if u.ID == "" || s.uploads[u.ID].key != u.Key {
			t.Errorf("upload %+v", u)
		}
	}
}
