package gcsfake

import (
	"strings"
	"testing"
	"time"
)

func TestPatch(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	c := newClient(t, Options{Now: func() time.Time { return now }})
	c.tryInsert(`{"name": "k", "metadata": {"a": "1", "b": "2"}, "contentType": "text/x", "cacheControl": "no-store"}`, "v")
	gen := generation(c.s, "k")
	old, _ := c.s.Object("k")
	now = now.Add(time.Hour)
	a := c.want(200, "PATCH", at("k")+"?generation="+gen, `{"metadata": {"a": null, "c": "3"}, "cacheControl": null,
		"contentType": "text/y", "contentLanguage": "de", "contentEncoding": "gzip", "contentDisposition": "inline"}`)
	for name, want := range map[string]string{
		"metadata.a": "", "metadata.b": "2", "metadata.c": "3", "cacheControl": "", "contentType": "text/y",
		"contentLanguage": "de", "contentEncoding": "gzip", "contentDisposition": "inline", "metageneration": "2",
		"generation": gen, "timeCreated": "2030-01-02T03:04:05.000Z", "updated": "2030-01-02T04:04:05.000Z",
	} {
		if got := a.field(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	o, _ := c.s.Object("k")
	if string(o.Data) != "v" || o.Metageneration != 2 || o.ETag == old.ETag || !o.LastModified.Equal(now) || old.Metadata["a"] != "1" {
		t.Errorf("%+v, before %+v", o, old)
	}
	c.want(200, "PATCH", at("k"), `{"contentType": null, "metadata": null}`)
	if o, _ := c.s.Object("k"); len(o.Metadata) != 0 || o.Header.Get("Content-Type") != defaultType || o.Metageneration != 3 {
		t.Errorf("%+v", o)
	}
	c.want(200, "PATCH", at("k"), `{}`)
	c.refused(400, "invalid", "PATCH", at("k"), `{"metadata": {"a": "`+strings.Repeat("v", maxMeta)+`"}}`)
	c.refused(400, "invalid", "PATCH", at("k"), `{"contentType": 7}`)
	c.refused(400, "parseError", "PATCH", at("k"), `{`)
	c.refused(501, "notImplemented", "PATCH", at("k"), `{"temporaryHold": true}`)
	c.refused(501, "notImplemented", "PATCH", at("k"), `{"storageClass": "NEARLINE"}`)
	c.refused(404, "notFound", "PATCH", at("k")+"?generation=1", `{}`)
	c.refused(404, "notFound", "PATCH", at("none"), `{}`)
	if o, _ := c.s.Object("k"); o.Metageneration != 4 {
		t.Errorf("%+v", o)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	c.s.Put("k", []byte("v"), nil)
	c.refused(404, "notFound", "DELETE", at("k")+"?generation=1", "")
	c.refused(404, "notFound", "DELETE", at("none"), "")
	wantData(t, c.s, "k", "v")
	if a := c.want(204, "DELETE", at("k")+"?generation="+generation(c.s, "k"), ""); a.body != "" {
		t.Errorf("%q", a.body)
	}
	c.refused(404, "notFound", "DELETE", at("k"), "")
}

func TestMove(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	c.tryInsert(`{"name": "a/b", "metadata": {"m": "1"}, "contentType": "text/x", "storageClass": "COLDLINE"}`, "v")
	c.want(200, "PATCH", at("a/b"), `{"metadata": {"n": "2"}}`)
	old, _ := c.s.Object("a/b")
	c.s.Put("c/d", []byte("other"), nil)
	a := c.want(200, "POST", at("a/b")+"/moveTo/o/c%2Fd", "")
	o, _ := c.s.Object("c/d")
	if a.field("name") != "c/d" || string(o.Data) != "v" || o.Generation <= old.Generation || o.Metageneration != 1 ||
		o.Metadata["m"] != "1" || o.Metadata["n"] != "2" || o.Header.Get("Content-Type") != "text/x" || a.field("storageClass") != "COLDLINE" {
		t.Errorf("%s %+v", a.body, o)
	}
	if keys := c.s.Keys(); len(keys) != 1 {
		t.Errorf("%q", keys)
	}
	c.refused(400, "invalid", "POST", at("c/d")+"/moveTo/o/c%2Fd", "")
	c.refused(404, "notFound", "POST", at("a/b")+"/moveTo/o/x", "")
	if r := c.s.Requests()[2]; r.Op != "objects.move" || r.Key != "c/d" {
		t.Errorf("%+v", r)
	}
	c = newClient(t, Options{Quirks: Quirks{NoMove: true}})
	c.s.Put("k", []byte("v"), nil)
	c.refused(400, "invalid", "POST", at("k")+"/moveTo/o/l", "")
	wantData(t, c.s, "k", "v")
}
