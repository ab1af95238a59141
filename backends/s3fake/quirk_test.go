package s3fake

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestQuirksOfConditions(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		quirks                      Quirks
		put, complete, copied, gone string // the code of each with a condition that fails
	}{
		"AWS":                       {Quirks{}, "PreconditionFailed", "PreconditionFailed", "PreconditionFailed", "PreconditionFailed"},
		"NoConditionalPut":          {Quirks{NoConditionalPut: true}, "NotImplemented", "PreconditionFailed", "PreconditionFailed", "PreconditionFailed"},
		"NoConditionalComplete":     {Quirks{NoConditionalComplete: true}, "PreconditionFailed", "NotImplemented", "PreconditionFailed", "PreconditionFailed"},
		"IgnoreConditionalComplete": {Quirks{IgnoreConditionalComplete: true}, "PreconditionFailed", "", "PreconditionFailed", "PreconditionFailed"},
		"IgnoreConditionalCopy":     {Quirks{IgnoreConditionalCopy: true}, "PreconditionFailed", "PreconditionFailed", "", "PreconditionFailed"},
		"IgnoreConditionalDelete":   {Quirks{IgnoreConditionalDelete: true}, "PreconditionFailed", "PreconditionFailed", "PreconditionFailed", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, Options{Quirks: test.quirks})
			c.s.Put("k", []byte("v"), nil)
			c.s.Put("src", []byte("v"), nil)
			id := c.create("k")
			parts := listed(1, c.part("k", id, 1, "new"))
			for _, r := range []struct{ code, method, target, body, header, value string }{
				{test.put, "PUT", path("k"), "new", "If-None-Match", "*"},
				{test.put, "PUT", path("k"), "new", "If-Match", `"x"`},
				{test.complete, "POST", uploadOf("k", id), parts, "If-None-Match", "*"},
				{test.gone, "DELETE", path("k"), "", "If-Match", `"x"`},
			} {
				if a := c.do(r.method, r.target, r.body, r.header, r.value); a.code() != r.code {
					t.Errorf("%s with %s: %d %q, want %q", r.method, r.header, a.status, a.code(), r.code)
				}
			}
			c.s.Put("k", []byte("v"), nil)
			if a := c.do("PUT", path("k"), "", "X-Amz-Copy-Source", "bucket/src", "If-None-Match", "*"); a.code() != test.copied {
				t.Errorf("copy: %d %q, want %q", a.status, a.code(), test.copied)
			}
			body := "<Delete><Object><Key>k</Key><ETag>x</ETag></Object></Delete>"
			if a := c.do("POST", "/bucket?delete", body, "X-Amz-Checksum-Crc32", crcOf(body)); a.code() != test.gone {
				t.Errorf("delete many: %d %q, want %q", a.status, a.code(), test.gone)
			}
		})
	}
}

func TestQuirkUniformParts(t *testing.T) {
	t.Parallel()
	for _, uniform := range []bool{false, true} {
		c := newClient(t, smallParts(Quirks{UniformParts: uniform}))
		id := c.create("k")
		e1, e2, e3 := c.part("k", id, 1, bytesOf("a", 11)), c.part("k", id, 2, bytesOf("b", 12)), c.part("k", id, 3, "c")
		a := c.do("POST", uploadOf("k", id), listed(1, e1, 2, e2, 3, e3))
		if uniform != (a.code() == "InvalidPart") {
			t.Errorf("uniform %v: %d %q", uniform, a.status, a.code())
		}
		if uniform {
			c.want(200, "POST", uploadOf("k", id), listed(1, e1, 3, e3))
		}
	}
}

func TestQuirkNoChecksums(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{Quirks: Quirks{NoChecksums: true}})
	c.want(200, "PUT", path("k"), "v")
	for _, header := range []string{"X-Amz-Checksum-Crc32", "X-Amz-Checksum-Algorithm", "X-Amz-Sdk-Checksum-Algorithm"} {
		c.wantCode("NotImplemented", "PUT", path("k"), "v", header, "x")
		c.wantCode("NotImplemented", "POST", path("k")+"?uploads", "", header, "x")
		c.wantCode("NotImplemented", "PUT", partOf("k", "u", 1), "v", header, "x")
		c.wantCode("NotImplemented", "POST", uploadOf("k", "u"), "v", header, "x")
		c.wantCode("NotImplemented", "POST", "/bucket?delete", "v", header, "x")
		c.wantCode("NotImplemented", "PUT", path("l"), "", "X-Amz-Copy-Source", "bucket/k", header, "x")
	}
	c.want(200, "GET", path("k"), "", "X-Amz-Checksum-Mode", "ENABLED")
}

func TestQuirkNoKeyBelowObject(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{Quirks: Quirks{NoKeyBelowObject: true}})
	c.want(200, "PUT", path("a"), "v")
	c.want(200, "PUT", path("d/e/f"), "v")
	c.want(200, "PUT", path("p/"), "")
	c.want(200, "PUT", path("p/x"), "v")
	c.want(200, "PUT", path("a-b"), "v")
	for key, code := range map[string]string{
		"a/b": "ObjectParentIsFile", "a/b/c": "ObjectParentIsFile", "a/": "ObjectParentIsFile",
		"d": "ExistingObjectIsDirectory", "d/e": "ExistingObjectIsDirectory", "p": "ExistingObjectIsDirectory",
	} {
		c.wantCode(code, "PUT", path(key), "v")
		c.wantCode(code, "PUT", path(key), "", "X-Amz-Copy-Source", "bucket/a-b")
		id := c.create(key)
		c.wantCode(code, "POST", uploadOf(key, id), listed(1, c.part(key, id, 1, "v")))
	}
	c.want(200, "PUT", path("a"), "w")
	c.want(200, "PUT", path("p/"), "")
}

func TestOtherQuirks(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{Quirks: Quirks{NoPartCopy: true, NoLifecycle: true, MaxParts: 3}})
	c.s.Put("k", []byte("v"), nil)
	id := c.create("l")
	c.wantCode("NotImplemented", "PUT", partOf("l", id, 1), "", "X-Amz-Copy-Source", "bucket/k")
	c.part("l", id, 3, "v")
	c.wantCode("InvalidArgument", "PUT", partOf("l", id, 4), "v")
	c.s.SetLifecycle(1)
	c.wantCode("NotImplemented", "GET", "/bucket?lifecycle", "")
}

func TestLifecycle(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	c.wantCode("NoSuchLifecycleConfiguration", "GET", "/bucket?lifecycle", "")
	c.s.SetLifecycle(7)
	if a := c.want(200, "GET", "/bucket?lifecycle", ""); a.element("DaysAfterInitiation") != "7" || a.element("Status") != "Enabled" {
		t.Errorf("%s", a.body)
	}
	c.s.SetLifecycle(0)
	c.wantCode("NoSuchLifecycleConfiguration", "GET", "/bucket?lifecycle", "")
}

func TestUnknown(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	c.s.Put("k", []byte("v"), nil)
	for _, r := range [][2]string{
		{"GET", "/"},
		{"GET", "/bucket"},
		{"GET", "/bucket?versions"},
		{"PUT", "/bucket"},
		{"DELETE", "/bucket"},
		{"POST", "/bucket"},
		{"GET", path("k") + "?acl"},
		{"GET", path("k") + "?versionId=1"},
		{"GET", path("k") + "?response-content-type=a"},
		{"DELETE", path("k") + "?tagging"},
		{"POST", path("k")},
		{"POST", path("k") + "?restore"},
	} {
		c.wantCode("NotImplemented", r[0], r[1], "")
	}
	c.wantCode("MethodNotAllowed", "PATCH", path("k"), "")
	c.wantCode("MethodNotAllowed", "OPTIONS", path("k"), "")
	c.wantCode("NoSuchBucket", "GET", "/other/k", "")
	c.want(404, "HEAD", "/other", "")
	c.wantCode("KeyTooLongError", "PUT", path(strings.Repeat("k", 1025)), "v")
	c.wantCode("InvalidURI", "GET", path("\xff"), "")
	c.wantCode("InvalidURI", "GET", path("k")+"?a=%zz", "")
	c.wantCode("InvalidStorageClass", "PUT", path("k"), "", "X-Amz-Storage-Class", "ICE")
	c.want(200, "GET", path("k")+"?x-id=GetObject&whatever", "")
	if a := c.wantCode("NoSuchKey", "GET", path("none"), ""); a.element("Key") != "none" || a.element("RequestId") == "" ||
		a.element("RequestId") != a.header.Get("X-Amz-Request-Id") || a.header.Get("Content-Type") != "application/xml" {
		t.Errorf("%q %s", a.header, a.body)
	}
	wantData(t, c.s, "k", "v")
}

// Every code in the table is either answered by this package, or there for faults. This is the list
// of the latter; the tests of the former fail without them.
func TestStatuses(t *testing.T) {
	t.Parallel()
	for status, code := range codes {
		if statuses[code] != status {
			t.Errorf("%d is %s, which is %d", status, code, statuses[code])
		}
	}
	for _, code := range slices.Sorted(maps.Keys(statuses)) {
		f := injected(0, code)
		if f.status != statuses[code] || f.code != code {
			t.Errorf("%s is injected as %d %s", code, f.status, f.code)
		}
	}
}
