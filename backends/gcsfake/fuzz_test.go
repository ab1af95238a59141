package gcsfake

import (
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/backends/storefake"
)

// FuzzRequest sends nonsense with a good token to a store that has something to lose: whatever
// comes, the server answers, in a well-formed document where it says so, and its books stay right.
func FuzzRequest(f *testing.F) {
	for _, seed := range []struct{ method, path, query, header, body string }{
		{"POST", "/upload/storage/v1/b/bucket/o", "uploadType=multipart", "Content-Type: multipart/related; boundary=between", parts(`{"name": "k"}`, "v")},
		{"POST", "/upload/storage/v1/b/bucket/o", "uploadType=media&name=k&ifGenerationMatch=0", "X-Goog-Hash: crc32c=AAAAAA==", ""},
		{"POST", "/upload/storage/v1/b/bucket/o", "uploadType=resumable", "X-Upload-Content-Length: 5\nContent-Type: application/json", `{"name": "k", "metadata": {"a": null}}`},
		{"PUT", "/upload/storage/v1/b/bucket/o", "upload_id=ID", "Content-Range: bytes 3-4/5", "lo"},
		{"PUT", "/upload/storage/v1/b/bucket/o", "upload_id=ID", "Content-Range: bytes */*", ""},
		{"PUT", "/upload/storage/v1/b/bucket/o", "upload_id=ID", "Content-Range: bytes */3", ""},
		{"POST", "/upload/storage/v1/b/bucket/o", "upload_id=ID", "X-Guploader-No-308: yes", "hello"},
		{"DELETE", "/upload/storage/v1/b/bucket/o", "upload_id=ID", "", ""},
		{"GET", "/storage/v1/b/bucket/o", "delimiter=/&prefix=a&maxResults=1&fields=items(name),prefixes", "", ""},
		{"GET", "/storage/v1/b/bucket/o", "includeTrailingDelimiter=true&includeFoldersAsPrefixes=true&delimiter=/&pageToken=AAAAAA==", "", ""},
		{"GET", "/storage/v1/b/bucket/o/there", "generation=1", "", ""},
		{"GET", "/storage/v1/b/bucket/o/there", "alt=media", "Range: bytes=1-2", ""},
		{"GET", "/bucket/there", "", "Range: bytes=-1\nX-Goog-If-Generation-Match: 1", ""},
		{"HEAD", "/bucket/a/1", "", "", ""},
		{"PATCH", "/storage/v1/b/bucket/o/there", "", "", `{"metadata": {"m": null, "n": "2"}, "contentType": null}`},
		{"DELETE", "/storage/v1/b/bucket/o/there", "ifMetagenerationMatch=1", "", ""},
		{"POST", "/storage/v1/b/bucket/o/there/rewriteTo/b/bucket/o/k", "maxBytesRewrittenPerCall=1048576", "", `{"contentType": "x"}`},
		{"POST", "/storage/v1/b/bucket/o/there/moveTo/o/a%2F3", "", "", ""},
		{"POST", "/storage/v1/b/bucket/o/k/compose", "", "", `{"sourceObjects": [{"name": "there"}, {"name": "a/1", "generation": "7"}]}`},
		{"POST", "/storage/v1/b/bucket/folders", "recursive=true", "", `{"name": "f/g/"}`},
		{"GET", "/storage/v1/b/bucket/folders", "delimiter=/&pageSize=1", "", ""},
		{"DELETE", "/storage/v1/b/bucket/folders/a%2F", "", "", ""},
		{"POST", "/storage/v1/b/bucket/folders/a%2F/renameTo/folders/b%2F", "", "", ""},
		{"GET", "/storage/v1/b/bucket/operations/x", "", "", ""},
		{"GET", "/storage/v1/b/bucket/iam/testPermissions", "permissions=storage.x", "", ""},
		{"POST", "/token", "", "", "grant_type=refresh_token&refresh_token=r"},
		{"POST", "/v1/projects/-/serviceAccounts/a:generateAccessToken", "", "", `{"scope": ["s"]}`},
		{"PATCH", "//bucket/../\x00\xff", "a;b&%zz", "X-Goog-Hash: md5", ""},
	} {
		f.Add(seed.method, seed.path, seed.query, seed.header, []byte(seed.body), false)
		f.Add(seed.method, seed.path, seed.query, seed.header, []byte(seed.body), true)
	}
	f.Fuzz(func(t *testing.T, method, path, query, header string, body []byte, quirky bool) {
		s := fuzzServer(quirky)
		s.ServeHTTP(httptest.NewRecorder(), fuzzRequest("PUT", "/upload/storage/v1/b/bucket/o", "upload_id=ID", "Content-Range: bytes 0-262143/*", make([]byte, granule)))
		for range 2 {
			w := httptest.NewRecorder()
			s.ServeHTTP(w, fuzzRequest(method, path, query, header, body))
			if w.Code < 200 || w.Code > 599 {
				t.Errorf("status %d", w.Code)
			}
			wellFormed(t, w.Header().Get("Content-Type"), w.Body.Bytes())
			checkBooks(t, s)
		}
	})
}

func fuzzServer(quirky bool) *Server {
	o := Options{PageSize: 2, Discard: quirky, Hierarchical: quirky, Now: func() time.Time { return time.Unix(2e9, 0) }}
	if quirky {
		o.Quirks = Quirks{RepeatPrefixes: true, PersistNothing: true, SlowRename: true, RewriteStep: 3}
	}
	s := New(o)
	for _, k := range []string{"there", "a/1", "a/2", "a", "z\x01"} {
		s.Put(k, []byte("value of "+k), map[string]string{"m": "v"})
	}
	s.ServeHTTP(httptest.NewRecorder(), fuzzRequest("POST", "/upload/storage/v1/b/bucket/o", "uploadType=resumable&name=open", "", nil))
	u := s.sessions[s.Sessions()[0].ID]
	delete(s.sessions, u.id)
	u.id = "ID"
	s.sessions[u.id] = u
	return s
}

func fuzzRequest(method, path, query, header string, body []byte) *http.Request {
	return storefake.RequestOf(method, path, query, "Authorization: Bearer testtoken\n"+header, body)
}

func wellFormed(t *testing.T, kind string, document []byte) {
	t.Helper()
	var err error
	switch {
	case strings.HasPrefix(kind, "application/json;"):
		err = json.Unmarshal(document, new(any))
	case strings.HasPrefix(kind, "application/xml;"):
		err = xml.Unmarshal(document, new(struct{ Code string }))
	}
	if err != nil {
		t.Fatalf("%v: %s", err, document)
	}
}

func checkBooks(t *testing.T, s *Server) {
	t.Helper()
	keys := s.Keys()
	if !slices.IsSorted(keys) || len(keys) != len(s.objects) {
		t.Errorf("keys %q of %d objects", keys, len(s.objects))
	}
	for _, k := range keys {
		o, ok := s.Object(k)
		if !ok || !s.o.Discard && int64(len(o.Data)) != o.Size || o.Generation > s.generation || o.Metageneration < 1 {
			t.Errorf("%q: %+v", k, o)
		}
		if up := parent(k); s.o.Hierarchical && up != "" && s.folders[up] == nil {
			t.Errorf("%q is in no folder", k)
		}
	}
	folders := s.Folders()
	if !slices.IsSorted(folders) || len(folders) != len(s.folders) {
		t.Errorf("folders %q of %d", folders, len(s.folders))
	}
	for _, u := range s.Sessions() {
		if open := s.sessions[u.ID]; open == nil || open.key != u.Name || len(open.turn) != 0 || u.Size != open.size {
			t.Errorf("session %+v", u)
		}
	}
}
