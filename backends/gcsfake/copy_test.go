package gcsfake

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

func TestRewrite(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	const key = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
	c.tryInsert(`{"name": "a/b", "metadata": {"m": "1"}, "contentType": "text/x", "storageClass": "NEARLINE"}`, "hello", "kmsKeyName", key)
	a := c.want(200, "POST", at("a/b")+"/rewriteTo/b/bucket/o/c%2Fd", "")
	for name, want := range map[string]string{
		"kind": "storage#rewriteResponse", "done": "true", "objectSize": "5", "totalBytesRewritten": "5", "rewriteToken": "",
		"resource.name": "c/d", "resource.metadata.m": "1", "resource.contentType": "text/x", "resource.storageClass": "NEARLINE",
		"resource.md5Hash": md5Of("hello"), "resource.metageneration": "1", "resource.kmsKeyName": "",
	} {
		if got := a.field(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	wantData(t, c.s, "c/d", "hello")
	wantData(t, c.s, "a/b", "hello")
	a = c.want(200, "POST", at("a/b")+"/rewriteTo/b/bucket/o/e?destinationKmsKeyName="+key, `{"metadata": {"n": "2"}}`)
	if a.field("resource.metadata.m") != "" || a.field("resource.metadata.n") != "2" || a.field("resource.contentType") != defaultType ||
		a.field("resource.storageClass") != "NEARLINE" || a.field("resource.kmsKeyName") != key+"/cryptoKeyVersions/1" {
		t.Errorf("replaced: %s", a.body)
	}
	a = c.want(200, "POST", at("a/b")+"/rewriteTo/b/bucket/o/f", `{}`)
	if a.field("resource.metadata.m") != "1" {
		t.Errorf("replaced by nothing: %s", a.body)
	}
	a = c.want(200, "POST", at("a/b")+"/rewriteTo/b/bucket/o/a%2Fb", `{"storageClass": "ARCHIVE", "contentType": "text/z"}`)
	if a.field("resource.storageClass") != "ARCHIVE" || a.field("resource.contentType") != "text/z" {
		t.Errorf("onto itself: %s", a.body)
	}
	c.refused(400, "invalid", "POST", at("a/b")+"/rewriteTo/b/bucket/o/g", `{"storageClass": "FAST"}`)
	c.refused(400, "invalid", "POST", at("a/b")+"/rewriteTo/b/bucket/o/g?destinationKmsKeyName=k", "")
	c.refused(404, "notFound", "POST", at("none")+"/rewriteTo/b/bucket/o/g", "")
	c.refused(404, "notFound", "POST", at("a/b")+"/rewriteTo/b/other/o/g", "")
	c.refused(404, "notFound", "POST", at("a/b")+"/rewriteTo/b/bucket/o/g?sourceGeneration=1", "")
	c.want(200, "POST", at("a/b")+"/rewriteTo/b/bucket/o/g?sourceGeneration="+generation(c.s, "a/b"), "")
	if r := c.s.Requests()[1]; r.Op != "objects.rewrite" || r.Key != "c/d" {
		t.Errorf("%+v", r)
	}
}

func TestRewriteInSteps(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	c := newClient(t, Options{Quirks: Quirks{RewriteStep: 2 * mib}})
	data := bytesOf(5*mib + 1)
	c.s.Put("src", []byte(data), map[string]string{"m": "1"})
	path := at("src") + "/rewriteTo/b/bucket/o/new"
	step := func(token string, parameters ...string) answered {
		t.Helper()
		if token != "" {
			parameters = append(parameters, "rewriteToken", token)
		}
		return c.want(200, "POST", query(path, parameters...), "")
	}
	a := step("")
	token := a.field("rewriteToken")
	if a.field("done") != "false" || a.field("totalBytesRewritten") != strconv.Itoa(2*mib) || a.field("objectSize") != strconv.Itoa(len(data)) ||
		token == "" || a.field("resource") != "" {
		t.Errorf("%s", a.body)
	}
	if a = step(token, "maxBytesRewrittenPerCall", strconv.Itoa(mib)); a.field("totalBytesRewritten") != strconv.Itoa(3*mib) {
		t.Errorf("%s", a.body)
	}
	c.refused(404, "notFound", "GET", at("new"), "")
	c.refused(400, "invalid", "POST", query(at("src")+"/rewriteTo/b/bucket/o/other", "rewriteToken", token), "")
	c.refused(400, "invalid", "POST", query(path, "rewriteToken", "none"), "")
	for _, bad := range []string{"0", "1", "x", strconv.Itoa(mib + 1)} {
		c.refused(400, "invalid", "POST", query(path, "rewriteToken", token, "maxBytesRewrittenPerCall", bad), "")
	}
	if a = step(token, "maxBytesRewrittenPerCall", strconv.Itoa(100*mib)); a.field("totalBytesRewritten") != strconv.Itoa(5*mib) {
		t.Errorf("%s", a.body)
	}
	c.s.Put("new", []byte("there"), nil)
	c.refused(412, "conditionNotMet", "POST", query(path, "rewriteToken", token, "ifGenerationMatch", "0"), "")
	c.s.Remove("new")
	if a = step(token, "ifGenerationMatch", "0"); a.field("done") != "true" || a.field("totalBytesRewritten") != strconv.Itoa(len(data)) || a.field("resource.metadata.m") != "1" {
		t.Errorf("%s", a.body)
	}
	wantData(t, c.s, "new", data)
	c.refused(400, "invalid", "POST", query(path, "rewriteToken", token), "")
	token = step("").field("rewriteToken")
	c.s.Put("src", []byte(data), nil)
	c.refused(400, "invalid", "POST", query(path, "rewriteToken", token), "")
}

func TestCompose(t *testing.T) {
	t.Parallel()
	for _, discard := range []bool{false, true} {
		c := newClient(t, Options{Discard: discard})
		c.s.Put("a", []byte("hello "), map[string]string{"lost": "yes"})
		c.s.Put("b", []byte("world"), nil)
		a := c.want(200, "POST", at("c/d")+"/compose", `{"kind": "storage#composeRequest", "destination": {"contentType": "text/x",
			"metadata": {"m": "1"}, "crc32c": "`+crcOf("hello world")+`"}, "sourceObjects": [{"name": "a", "generation": "`+generation(c.s, "a")+`",
			"objectPreconditions": {"ifGenerationMatch": `+generation(c.s, "a")+`}}, {"name": "b"}]}`)
		for name, want := range map[string]string{
			"name": "c/d", "size": "11", "crc32c": crcOf("hello world"), "md5Hash": "", "componentCount": "2",
			"contentType": "text/x", "metadata.m": "1", "metadata.lost": "", "storageClass": "STANDARD", "metageneration": "1",
		} {
			if got := a.field(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		// An object may be a part of its own successor.
		a = c.want(200, "POST", at("c/d")+"/compose", `{"sourceObjects": [{"name": "c/d"}, {"name": "b"}, {"name": "c/d"}]}`)
		if a.field("componentCount") != "5" || a.field("crc32c") != crcOf("hello worldworldhello world") || a.field("contentType") != defaultType {
			t.Errorf("%s", a.body)
		}
		if a := c.want(200, "GET", "/bucket/c/d", ""); len(a.header.Values("X-Goog-Hash")) != 1 || a.header.Get("X-Goog-Component-Count") != "5" {
			t.Errorf("%q", a.header)
		}
		if o, _ := c.s.Object("c/d"); o.Components != 5 || o.MD5 != nil || !discard && string(o.Data) != "hello worldworldhello world" {
			t.Errorf("%+v", o)
		}
		if a := c.want(200, "POST", at("c/d")+"/rewriteTo/b/bucket/o/e", ""); a.field("resource.componentCount") != "5" || a.field("resource.md5Hash") != "" {
			t.Errorf("%s", a.body)
		}
	}
}

func TestComposeRefused(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	c.s.Put("a", []byte("a"), nil)
	c.tryInsert(`{"name": "cold", "storageClass": "COLDLINE"}`, "c")
	many := func(n int) string {
		return `{"sourceObjects": [` + strings.TrimSuffix(strings.Repeat(`{"name": "a"},`, n), ",") + `]}`
	}
	for body, want := range map[string]string{
		many(0): "400 required", many(33): "400 invalid", `{`: "400 parseError", `{"sourceObjects": 7}`: "400 parseError",
		`{"sourceObjects": [{"name": "none"}]}`:                                                                          "404 notFound",
		`{"sourceObjects": [{"name": "a", "generation": "1"}]}`:                                                          "404 notFound",
		`{"sourceObjects": [{"name": "a", "generation": "x"}]}`:                                                          "400 parseError",
		`{"sourceObjects": [{"name": "a", "objectPreconditions": {"ifGenerationMatch": "1"}}]}`:                          "412 conditionNotMet",
		`{"sourceObjects": [{"name": "a", "objectPreconditions": {"ifGenerationMatch": "0"}}]}`:                          "412 conditionNotMet",
		`{"sourceObjects": [{"name": "a"}, {"name": "cold"}]}`:                                                           "400 invalid",
		`{"destination": {"storageClass": "COLDLINE"}, "sourceObjects": [{"name": "a"}]}`:                                "400 invalid",
		`{"destination": {"crc32c": "` + crcOf("x") + `"}, "sourceObjects": [{"name": "a"}]}`:                            "400 invalid",
		`{"destination": {"metadata": {"a": "` + strings.Repeat("v", maxMeta) + `"}}, "sourceObjects": [{"name": "a"}]}`: "400 invalid",
		`{"deleteSourceObjects": true, "sourceObjects": [{"name": "a"}]}`:                                                "501 notImplemented",
	} {
		a := c.do("POST", at("new")+"/compose", body)
		if got := fmt.Sprint(a.status, " ", a.reason()); got != want {
			t.Errorf("%.80s: %s, want %s", body, got, want)
		}
	}
	c.refused(400, "invalid", "POST", at("new")+"/compose?kmsKeyName=k", many(1))
	if len(c.s.Keys()) != 2 {
		t.Errorf("made %q", c.s.Keys())
	}
	c.want(200, "POST", at("new")+"/compose", many(32))
	wantData(t, c.s, "new", strings.Repeat("a", 32))
	a := c.want(200, "POST", at("new")+"/compose", `{"destination": null, "sourceObjects": [{"name": "cold", "generation": null}]}`)
	if a.field("storageClass") != "COLDLINE" || a.field("componentCount") != "1" {
		t.Errorf("%s", a.body)
	}
}
