package gcsfake

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// bytesOf is n bytes, of which no two granules are the same.
func bytesOf(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%015d\n", i)
	}
	return b.String()[:n]
}

// span is a Content-Range; total < 0 is not known yet.
func span(off, n, total int) string {
	if total < 0 {
		return fmt.Sprintf("bytes %d-%d/*", off, off+n-1)
	}
	return fmt.Sprintf("bytes %d-%d/%d", off, off+n-1, total)
}

func TestSession(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 2, 3, 4, 5, 678000000, time.UTC)
	c := newClient(t, Options{Now: func() time.Time { return now }})
	begun := now
	started := c.want(200, "POST", uploads+"resumable&name=a%2Fb%20c", `{"metadata": {"m": "1"}, "cacheControl": "no-store"}`,
		"X-Upload-Content-Type", "text/x")
	session := started.header.Get("Location")
	u, err := url.Parse(session)
	id := u.Query().Get("upload_id")
	if err != nil || !strings.HasPrefix(session, c.s.URL()+"/upload/storage/v1/b/bucket/o?uploadType=resumable&name=a%2Fb+c&upload_id=") ||
		started.body != "" || started.header.Get("X-Guploader-Uploadid") != id || len(id) < 80 {
		t.Fatalf("%s, %q", session, started.header)
	}
	data := bytesOf(3*granule + 5)
	now = now.Add(time.Minute)
	if got := c.ask(session); got != "308 " {
		t.Errorf("at first: %s", got)
	}
	for i, want := range []string{"bytes=0-262143", "bytes=0-524287", "bytes=0-786431"} {
		a := c.put(session, span(i*granule, granule, -1), data[i*granule:(i+1)*granule])
		if a.status != 308 || a.header.Get("Range") != want || a.body != "" || c.ask(session) != "308 "+want {
			t.Errorf("%d %q %s", a.status, a.header, a.body)
		}
	}
	want := []Session{{"a/b c", id, 3 * granule, begun, map[string]string{"m": "1"}}}
	if got := c.s.Sessions(); len(got) != 1 || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%+v", got)
	}
	c.refused(404, "notFound", "GET", at("a/b c"), "")
	a := c.put(session, span(3*granule, 5, len(data)), data[3*granule:])
	if a.status != 200 || a.field("name") != "a/b c" || a.field("md5Hash") != md5Of(data) || a.field("contentType") != "text/x" ||
		a.field("cacheControl") != "no-store" || a.field("metadata.m") != "1" || a.field("timeCreated") != "2030-01-02T03:05:05.678Z" {
		t.Errorf("%d %s", a.status, a.body)
	}
	wantData(t, c.s, "a/b c", data)
	// Who lost the answer may ask for it again, whatever has become of the object.
	c.s.Remove("a/b c")
	now = now.Add(30 * 24 * time.Hour)
	for _, span := range []string{"bytes */*", fmt.Sprintf("bytes */%d", len(data)), "bytes */0"} {
		if again := c.put(session, span, ""); again.status != 200 || again.body != a.body {
			t.Errorf("again: %d %s", again.status, again.body)
		}
	}
	if again := c.put(session, span(0, granule, -1), data[:granule]); again.status != 200 || again.body != a.body {
		t.Errorf("late: %d %s", again.status, again.body)
	}
	c.refused(400, "invalid", "DELETE", session, "")
	if len(c.s.Sessions()) != 0 || len(c.s.Keys()) != 0 || c.s.Received() != int64(len(data)) {
		t.Errorf("%v, %q, received %d", c.s.Sessions(), c.s.Keys(), c.s.Received())
	}
	for op, n := range map[string]int{"session.start": 1, "session.put": 6, "session.status": 6, "session.cancel": 1} {
		if c.s.Count(op) != n {
			t.Errorf("%d %s, want %d", c.s.Count(op), op, n)
		}
	}
	for _, r := range c.s.Requests() {
		if strings.HasPrefix(r.Op, "session.") && r.Key != "a/b c" {
			t.Errorf("%s of %q", r.Op, r.Key)
		}
	}
}

// All the ways to say that there is no more.
func TestSessionEnds(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	for _, n := range []int{0, 1, granule - 1, granule, granule + 1, 2 * granule} {
		data := bytesOf(n)
		whole := n / granule * granule
		total := strconv.Itoa(n)
		for name, end := range map[string]func(session string) answered{
			"in one": func(session string) answered {
				if n == 0 {
					return c.put(session, "bytes */0", "")
				}
				return c.put(session, span(0, n, n), data)
			},
			"in one without a range": func(session string) answered { return c.put(session, "", data) },
			"of no known length": func(session string) answered {
				r := c.request("PUT", session, data, "Authorization", "")
				if n > 0 {
					r.ContentLength = -1
				}
				a, _ := c.send(r)
				return a
			},
			"posted": func(session string) answered {
				return c.do("POST", session, data, "Content-Type", "text/plain")
			},
			"granules, then the rest or nothing": func(session string) answered {
				if whole > 0 {
					if a := c.put(session, span(0, whole, -1), data[:whole]); a.status != 308 {
						return a
					}
				}
				if n == whole {
					return c.put(session, "bytes */"+total, "")
				}
				return c.put(session, span(whole, n-whole, n), data[whole:])
			},
			"with an early total": func(session string) answered {
				if whole > 0 && whole < n {
					if a := c.put(session, span(0, whole, n), data[:whole]); a.status != 308 {
						return a
					}
				}
				return c.put(session, "", data)
			},
		} {
			for _, length := range []string{"", total} {
				a := end(c.start("k", "", "X-Upload-Content-Length", length))
				if a.status != 200 || a.field("size") != total || a.field("crc32c") != crcOf(data) {
					t.Fatalf("%d bytes %s: %d %s", n, name, a.status, a.body)
				}
				wantData(t, c.s, "k", data)
			}
		}
	}
}

func TestSessionNo308(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	session := c.start("k", "")
	a := c.put(session, span(0, granule, -1), bytesOf(granule), "X-GUploader-No-308", "yes")
	if a.status != 200 || a.header.Get("X-Http-Status-Code-Override") != "308" || a.header.Get("Range") != "bytes=0-262143" || a.body != "" {
		t.Errorf("%d %q", a.status, a.header)
	}
	if a := c.put(session, "bytes */*", "", "X-GUploader-No-308", "yes"); a.status != 200 || a.header.Get("X-Http-Status-Code-Override") != "308" {
		t.Errorf("%d %q", a.status, a.header)
	}
	if a := c.put(session, "bytes */262144", "", "X-GUploader-No-308", "yes"); a.status != 200 || a.header.Get("X-Http-Status-Code-Override") != "" {
		t.Errorf("%d %q", a.status, a.header)
	}
}

// A chunk that is there in part is taken from where it is new.
func TestSessionOverlaps(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	data := bytesOf(3*granule + 5)
	session := c.start("k", "")
	c.put(session, span(0, 2*granule, -1), data[:2*granule])
	other := strings.Repeat("x", granule)
	if a := c.put(session, span(0, granule, -1), other); a.status != 308 || a.header.Get("Range") != "bytes=0-524287" {
		t.Errorf("there already: %d %q", a.status, a.header)
	}
	if a := c.put(session, span(granule+7, granule, -1), data[granule+7:2*granule+7]); a.status != 308 || a.header.Get("Range") != "bytes=0-524287" {
		t.Errorf("no whole granule is new: %d %q", a.status, a.header)
	}
	late := c.start("k", "")
	c.put(late, span(0, granule, -1), data[:granule])
	if a := c.put(late, span(7, 2*granule, -1), other[7:]+data[granule:2*granule+7]); a.status != 308 || a.header.Get("Range") != "bytes=0-524287" {
		t.Errorf("from the middle of what is there: %d %q", a.status, a.header)
	}
	if a := c.put(late, span(9, 2*granule, 2*granule+9), strings.Repeat("y", 2*granule-9)+data[2*granule:2*granule+9]); a.status != 200 {
		t.Errorf("and to the end: %d %s", a.status, a.body)
	}
	wantData(t, c.s, "k", data[:2*granule+9])
	c.s.Reset()
	c.s.Remove("k")
	if a := c.put(session, span(granule, 2*granule, -1), other+data[2*granule:3*granule]); a.status != 308 || a.header.Get("Range") != "bytes=0-786431" {
		t.Errorf("half of it: %d %q", a.status, a.header)
	}
	if a := c.put(session, span(granule, 2*granule+5, len(data)), strings.Repeat("y", 2*granule)+data[3*granule:]); a.status != 200 {
		t.Errorf("the end: %d %s", a.status, a.body)
	}
	wantData(t, c.s, "k", data)
	if c.s.Received() != granule+5 {
		t.Errorf("received %d", c.s.Received())
	}
}

func TestSessionRefuses(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	chunk := bytesOf(granule)
	for _, test := range []struct {
		name   string
		status int
		reason string
		total  string // X-Upload-Content-Length
		span   string
		body   string
	}{
		{"a gap", 503, "backendError", "", span(2*granule, granule, -1), chunk},
		{"a gap at the end", 503, "backendError", "", span(2*granule, 1, 2*granule+1), "x"},
		{"no multiple", 400, "invalid", "", span(granule, 100, -1), chunk[:100]},
		{"no multiple, but a total", 400, "invalid", "", span(granule, 100, 2*granule), chunk[:100]},
		{"a multiple and more", 400, "invalid", "", span(granule, granule+1, -1), chunk + "x"},
		{"longer than it says", 400, "invalid", "", span(granule, granule, -1), chunk + "x"},
		{"shorter than it says", 400, "invalid", "", span(granule, granule, -1), chunk[1:]},
		{"beyond the total", 400, "invalid", "", span(granule, granule, granule+1), chunk},
		{"backwards", 400, "invalid", "", "bytes 9-8/*", "x"},
		{"nonsense", 400, "invalid", "", "bytes x-8/*", "x"},
		{"no unit", 400, "invalid", "", "0-8/9", chunk[:9]},
		{"too many digits", 400, "invalid", "", "bytes 0-9999999999999999999/*", "x"},
		{"another total", 400, "invalid", "600000", span(granule, 5, granule+5), chunk[:5]},
		{"another total without bytes", 400, "invalid", "600000", "bytes */262144", ""},
		{"beyond what was said at first", 400, "invalid", "262145", span(granule, granule, -1), chunk},
		{"less than is there", 400, "invalid", "", "bytes */5", ""},
		{"nothing, where something is", 400, "invalid", "", "bytes */0", ""},
		{"a status with a body", 400, "invalid", "", "bytes */*", "x"},
		{"a status with nonsense", 400, "invalid", "", "bytes */x", ""},
		{"larger than anything", 413, "uploadTooLarge", "", fmt.Sprintf("bytes 262144-524287/%d", int64(maxObject)+1), chunk},
	} {
		session := c.start("k", "", "X-Upload-Content-Length", test.total)
		c.put(session, span(0, granule, -1), chunk)
		a := c.put(session, test.span, test.body)
		if a.status != test.status || a.reason() != test.reason {
			t.Errorf("%s: %d %s", test.name, a.status, a.body)
		}
		if got := c.ask(session); got != "308 bytes=0-262143" {
			t.Errorf("%s: afterwards %s", test.name, got)
		}
	}
	session := c.start("k", "")
	c.put(session, span(0, granule, 2*granule), chunk)
	if a := c.put(session, span(granule, 1, granule+1), "x"); a.status != 400 {
		t.Errorf("a total unlike that of an earlier chunk: %d", a.status)
	}
	if a := c.put(session, "bytes */600000", ""); a.status != 400 {
		t.Errorf("and without bytes: %d", a.status)
	}
	r := c.request("PUT", session, chunk, "Content-Range", span(granule, granule, 2*granule))
	r.ContentLength = -1
	if a, err := c.send(r); err != nil || a.status != 411 || a.reason() != "lengthRequired" {
		t.Errorf("%v, a range of no known length: %d %s", err, a.status, a.body)
	}
	for _, length := range []string{"x", "-1"} {
		c.refused(400, "invalid", "POST", uploads+"resumable&name=k", "", "X-Upload-Content-Length", length)
	}
	c.refused(413, "uploadTooLarge", "POST", uploads+"resumable&name=k", "", "X-Upload-Content-Length", strconv.FormatInt(maxObject+1, 10))
	c.refused(400, "badRequest", "POST", uploads+"resumable&name=k", "name=k")
	if len(c.s.Keys()) != 0 {
		t.Errorf("made %q", c.s.Keys())
	}
}

func TestSessionChecksums(t *testing.T) {
	t.Parallel()
	for _, discard := range []bool{false, true} {
		c := newClient(t, Options{Discard: discard})
		data := bytesOf(granule + 5)
		for _, test := range []struct{ description, header string }{
			{`{"crc32c": "` + crcOf("x") + `"}`, ""},
			{`{"md5Hash": "` + md5Of("x") + `"}`, ""},
			{``, "crc32c=" + crcOf("x")},
			{`{"md5Hash": "` + md5Of(data) + `"}`, "md5=" + md5Of("x")},
			{`{"crc32c": "` + crcOf(data) + `"}`, "crc32c=" + crcOf("x")},
		} {
			session := c.start("k", test.description)
			// Only what is sent with the end counts.
			if a := c.put(session, span(0, granule, -1), data[:granule], "X-Goog-Hash", "crc32c="+crcOf("no")); a.status != 308 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if a := c.put(session, span(granule, 5, granule+5), data[granule:], "X-Goog-Hash", test.header); a.status != 400 || a.reason() != "invalid" {
				t.Errorf("%v: %d %s", test, a.status, a.body)
			}
			for _, span := range []string{"bytes */*", "bytes 0-4/5", "bytes */262149"} {
				if a := c.put(session, span, data[:5*strings.Count(span, "-")]); a.status != 410 || a.reason() != "gone" {
					t.Errorf("%v, then %s: %d %s", test, span, a.status, a.body)
				}
			}
			c.refused(410, "gone", "DELETE", session, "")
		}
		if len(c.s.Keys()) != 0 || len(c.s.Sessions()) != 0 {
			t.Errorf("%q, %v", c.s.Keys(), c.s.Sessions())
		}
		session := c.start("k", `{"crc32c": "`+crcOf(data)+`", "md5Hash": "`+md5Of(data)+`"}`)
		c.put(session, span(0, granule, -1), data[:granule])
		if a := c.put(session, span(granule, 5, granule+5), data[granule:], "X-Goog-Hash", "crc32c="+crcOf(data)+",md5="+md5Of(data)); a.status != 200 {
			t.Errorf("%d %s", a.status, a.body)
		}
		session = c.start("k", "")
		if a := c.put(session, span(0, 1, 1), "x", "X-Goog-Hash", "nonsense"); a.status != 400 || c.ask(session) != "308 bytes=0-0" {
			t.Errorf("%d %s", a.status, a.body)
		}
		if a := c.put(session, "bytes */1", "", "X-Goog-Hash", "crc32c="+crcOf("x")); a.status != 200 {
			t.Errorf("%d %s", a.status, a.body)
		}
		if a := c.put(c.start("k", ""), span(0, 1, 1), "x", "X-Goog-Hash", "md5="+md5Of("x")); (a.status == 501) != discard {
			t.Errorf("MD5 at the end: %d", a.status)
		}
	}
}

// The condition is that of the start and counts at the end.
func TestSessionConditions(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	begin := func(parameters ...string) string {
		return c.want(200, "POST", query(uploads+"resumable&name=k", parameters...), "").header.Get("Location")
	}
	early := begin("ifGenerationMatch", "0")
	c.insert("k", "there")
	gen := generation(c.s, "k")
	late := begin("ifGenerationMatch", "0") // nobody objects yet
	for _, session := range []string{early, late} {
		if a := c.put(session, span(0, 1, 1), "x"); a.status != 412 || a.reason() != "conditionNotMet" {
			t.Errorf("%d %s", a.status, a.body)
		}
		if got := c.ask(session); got != "308 bytes=0-0" {
			t.Errorf("afterwards %s", got)
		}
		if a := c.put(session, "bytes */1", ""); a.status != 412 {
			t.Errorf("again: %d %s", a.status, a.body)
		}
	}
	match := begin("ifGenerationMatch", gen)
	wantData(t, c.s, "k", "there")
	if a := c.put(match, span(0, 1, 1), "y"); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	c.s.Remove("k")
	if a := c.put(late, "bytes */1", ""); a.status != 200 {
		t.Errorf("now that nothing is there: %d %s", a.status, a.body)
	}
	wantData(t, c.s, "k", "x")
	c.refused(400, "invalid", "POST", uploads+"resumable&name=k&ifGenerationMatch=x", "")
}

func TestSessionCancel(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	session := c.start("k", "")
	c.put(session, span(0, granule, -1), bytesOf(granule))
	for range 2 {
		c.refused(499, "clientClosedRequest", "DELETE", session, "", "Authorization", "")
	}
	c.refused(499, "clientClosedRequest", "PUT", session, "x", "Content-Range", span(0, 1, 1))
	c.refused(499, "clientClosedRequest", "PUT", session, "", "Content-Range", "bytes */*")
	c.refused(499, "clientClosedRequest", "PUT", session, "", "Content-Range", "bytes */262144")
	if len(c.s.Sessions()) != 0 || len(c.s.Keys()) != 0 {
		t.Errorf("%v, %q", c.s.Sessions(), c.s.Keys())
	}
	unknown := uploads + "resumable&name=k&upload_id=none"
	c.refused(404, "notFound", "DELETE", unknown, "")
	c.refused(404, "notFound", "PUT", unknown, "x")
	c.refused(404, "notFound", "PUT", unknown, "", "Content-Range", "bytes */*")
	c.refused(404, "notFound", "PUT", strings.Replace(c.start("k", ""), "/b/bucket/", "/b/other/", 1), "x")
}

func TestSessionExpires(t *testing.T) {
	t.Parallel()
	now := time.Unix(2e9, 0)
	c := newClient(t, Options{Now: func() time.Time { return now }})
	session := c.start("k", "")
	now = now.Add(7 * 24 * time.Hour)
	if got := c.ask(session); got != "308 " {
		t.Errorf("on the last day: %s", got)
	}
	now = now.Add(time.Second)
	if len(c.s.Sessions()) != 0 {
		t.Error("open after a week")
	}
	c.refused(410, "gone", "PUT", session, "x")
	c.refused(410, "gone", "PUT", session, "", "Content-Range", "bytes */*")
	c.refused(410, "gone", "DELETE", session, "")
}
