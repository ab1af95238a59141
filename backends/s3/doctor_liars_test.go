package s3_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/sluice-ftp/sluice/backends/bucket"
	"github.com/sluice-ftp/sluice/backends/s3"
	"github.com/sluice-ftp/sluice/backends/s3fake"
)

// Servers that are wrong in ways that no quirk has, by what happens around a request.
func TestDoctorLiars(t *testing.T) {
	t.Parallel()
	is := func(r s3fake.Request, op, suffix string) bool { return r.Op == op && strings.HasSuffix(r.Key, suffix) }
	// replaced puts another content in place when somebody looks after the first probes.
	replaced := func(f *s3fake.Server) func(r s3fake.Request) {
		return func(r s3fake.Request) {
			if r.Op == "HeadObject" && f.Count("CreateMultipartUpload") > 0 {
				if o, ok := f.Object(r.Key); ok {
					f.Put(r.Key, []byte("second"), o.Metadata)
				}
			}
		}
	}
	for name, test := range map[string]struct {
		around  func(f *s3fake.Server) func(r s3fake.Request)
		probe   string
		outcome bucket.Outcome
		found   string
	}{
		"race": {
			func(f *s3fake.Server) func(r s3fake.Request) {
				return func(r s3fake.Request) {
					if is(r, "PutObject", "/race") {
						f.Remove(r.Key)
					}
				}
			}, "put if absent", bucket.OutcomeWarning, "of 8 writers at once ",
		},
		"everything is there": {
			func(f *s3fake.Server) func(r s3fake.Request) {
				return func(r s3fake.Request) {
					if is(r, "HeadObject", "/none") {
						f.Put(r.Key, nil, nil)
					}
				}
			}, "missing key", bucket.OutcomeFailed, "the store says that there is an object which there is not",
		},
		"kept": {
			func(f *s3fake.Server) func(r s3fake.Request) {
				deleted := ""
				return func(r s3fake.Request) {
					switch {
					case r.Op == "DeleteObject" && deleted == "":
						deleted = r.Key
					case r.Op == "HeadObject" && r.Key == deleted:
						f.Put(r.Key, nil, nil)
					}
				}
			}, "delete", bucket.OutcomeFailed, "the object is still there",
		},
		"other content": {
			func(f *s3fake.Server) func(r s3fake.Request) {
				return func(r s3fake.Request) {
					if is(r, "GetObject", "/object") {
						f.Put(r.Key, []byte("SLUICE DOCTOR"), nil)
					}
				}
			}, "get", bucket.OutcomeFailed, "the content is not what was written",
		},
		"no metadata": {
			func(f *s3fake.Server) func(r s3fake.Request) {
				return func(r s3fake.Request) {
					if is(r, "HeadObject", "/object") {
						o, _ := f.Object(r.Key)
						f.Put(r.Key, o.Data, nil)
					}
				}
			}, "get", bucket.OutcomeFailed, "the metadata is not what was written",
		},
		"parts in another order": {
			func(f *s3fake.Server) func(r s3fake.Request) {
				return func(r s3fake.Request) {
					if is(r, "GetObject", "/unequal") {
						f.Put(r.Key, make([]byte, 3*doctorPart), nil)
					}
				}
			}, "parts of any size", bucket.OutcomeFailed, "the object is not its parts in their order",
		},
		"put all the same":      {replaced, "put if absent", bucket.OutcomeWarning, "a second write was refused and took effect all the same"},
		"copied all the same":   {replaced, "copy if absent", bucket.OutcomeOK, "a copy was refused and took effect all the same"},
		"complete all the same": {replaced, "complete if absent", bucket.OutcomeWarning, "the upload was refused and took effect all the same"},
		"wrong all the same": {
			func(f *s3fake.Server) func(r s3fake.Request) {
				return func(r s3fake.Request) {
					if is(r, "HeadObject", "/wrong") {
						f.Put(r.Key, nil, nil)
					}
				}
			}, "checksum of an object", bucket.OutcomeWarning, "a wrong one is refused, and the object is there",
		},
		"kept under a condition": {
			func(f *s3fake.Server) func(r s3fake.Request) {
				deleted := ""
				return func(r s3fake.Request) {
					switch {
					case r.Op == "DeleteObject" && r.Header.Get("If-Match") != "":
						deleted = r.Key
					case r.Op == "HeadObject" && r.Key == deleted:
						f.Put(r.Key, nil, nil)
					}
				}
			}, "delete if unchanged", bucket.OutcomeWarning, "the object is still there",
		},
		"copied with the old metadata": {
			func(f *s3fake.Server) func(r s3fake.Request) {
				return func(r s3fake.Request) {
					if is(r, "HeadObject", "/copy") {
						o, _ := f.Object(r.Key)
						f.Put(r.Key, o.Data, map[string]string{"sluice-upload": "old"})
					}
				}
			}, "copy", bucket.OutcomeFailed, "the copy is not like what was copied",
		},
		"hidden": {
			func(f *s3fake.Server) func(r s3fake.Request) {
				return func(r s3fake.Request) {
					if key := slices.IndexFunc(f.Keys(), func(k string) bool { return strings.HasSuffix(k, "/a/b") }); r.Op == "ListObjectsV2" && key >= 0 {
						f.Remove(f.Keys()[key])
					}
				}
			}, "folder beside file", bucket.OutcomeWarning, "what is in a folder beside a file of its name is not listed",
		},
		"another size": {
			func(f *s3fake.Server) func(r s3fake.Request) {
				copied := ""
				return func(r s3fake.Request) {
					switch {
					case r.Op == "UploadPartCopy":
						copied = r.Key
					case r.Op == "HeadObject" && r.Key == copied:
						f.Put(r.Key, nil, nil)
					}
				}
			}, "copy in parts", bucket.OutcomeWarning, "the copy has another size",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, c := doctored(t, s3fake.Options{})
			around := test.around(f)
			f.OnRequest(func(r s3fake.Request) s3fake.Fault {
				around(r)
				return s3fake.Fault{}
			})
			r := result(t, examine(t, f, c), test.probe)
			if r.Outcome != test.outcome || !strings.HasPrefix(r.Found, test.found) {
				t.Errorf("%+v", r)
			}
		})
	}
}

// A cache or proxy in between that knows neither ranges nor conditions.
func TestDoctorRanges(t *testing.T) {
	t.Parallel()
	for _, ranges := range []bool{false, true} {
		f, c := doctored(t, s3fake.Options{})
		behind(t, &c, func(w http.ResponseWriter, r *http.Request) {
			o, ok := f.Object(strings.TrimPrefix(r.URL.Path, "/bucket/"))
			if r.Method != http.MethodGet || r.Header.Get("Range") == "" || !ok {
				f.ServeHTTP(w, r)
				return
			}
			var first, last int
			if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last); err != nil || !ranges {
				_, _ = w.Write(o.Data)
				return
			}
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(o.Data[first : last+1])
		})
		want := "the range is not what was asked for"
		if ranges {
			want = "If-Match is ignored"
		}
		if r := result(t, examine(t, f, c), "get a range"); r.Outcome != bucket.OutcomeFailed || r.Found != want {
			t.Errorf("%+v, want %q", r, want)
		}
	}
}

// A checksum that the store does not look at.
func TestDoctorChecksumIgnored(t *testing.T) {
	t.Parallel()
	f, c := doctored(t, s3fake.Options{})
	behind(t, &c, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut || !strings.HasSuffix(r.URL.Path, "/wrong") || r.URL.RawQuery != "x-id=PutObject" {
			f.ServeHTTP(w, r)
			return
		}
		f.Put(strings.TrimPrefix(r.URL.Path, "/bucket/"), nil, nil)
		w.Header().Set("Etag", `"e"`)
	})
	d := examine(t, f, c)
	if r := result(t, d, "checksum of an object"); r.Outcome != bucket.OutcomeWarning || r.Found != "a wrong one is ignored" {
		t.Errorf("%+v", r)
	}
	if d.Measured.Checksums {
		t.Errorf("%+v", d.Measured)
	}
}

// Lists that lack something, and an abort that does nothing.
func TestDoctorForgetful(t *testing.T) {
	t.Parallel()
	for probe, test := range map[string]struct {
		method, query, reply, found string
	}{
		"list parts":      {http.MethodGet, "uploadId", "<ListPartsResult></ListPartsResult>", "a part that was sent is not listed"},
		"list uploads":    {http.MethodGet, "uploads", "<ListMultipartUploadsResult></ListMultipartUploadsResult>", "an upload that was begun is not listed"},
		"abort an upload": {http.MethodDelete, "uploadId", "", "the upload is still there after its abort"},
	} {
		t.Run(probe, func(t *testing.T) {
			t.Parallel()
			f, c := doctored(t, s3fake.Options{})
			var once sync.Once
			behind(t, &c, func(w http.ResponseWriter, r *http.Request) {
				instead := false
				if r.Method == test.method && r.URL.Query().Has(test.query) {
					once.Do(func() { instead = true })
				}
				if instead {
					fmt.Fprint(w, test.reply)
					return
				}
				f.ServeHTTP(w, r)
			})
			r := result(t, examine(t, f, c), probe)
			if r.Outcome != bucket.OutcomeWarning || r.Found != test.found || r.Todo == "" {
				t.Errorf("%+v", r)
			}
		})
	}
}

// What a server says is for one line of a terminal.
func TestDoctorPlain(t *testing.T) {
	t.Parallel()
	if got := s3.Plain("a\x1b[31m\tb\r\n\u009bc  ü"); got != "a [31m b c ü" {
		t.Errorf("%q", got)
	}
	if got := s3.Plain(strings.Repeat("ü", 1000)); len(got) > 250 || !utf8.ValidString(got) || !strings.HasSuffix(got, "ü...") {
		t.Errorf("%q", got)
	}
}
