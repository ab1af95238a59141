package gcsfake

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// timeText is how a time is written.
func timeText(t time.Time) string { return t.Format("2006-01-02T15:04:05.000Z") }

// etag is that of the JSON API: it changes with every generation and metageneration.
func (o *object) etag() string {
	return base64.StdEncoding.EncodeToString(fmt.Append(nil, o.generation, "/", o.metageneration))
}

// resource is an object as the JSON API tells of it.
func (c *call) resource(o *object) map[string]any {
	base := "http://" + c.R.Host
	path := "/storage/v1/b/" + c.s.o.Bucket + "/o/" + url.PathEscape(o.key)
	v := map[string]any{
		"kind":                    "storage#object",
		"id":                      fmt.Sprintf("%s/%s/%d", c.s.o.Bucket, o.key, o.generation),
		"selfLink":                base + path,
		"mediaLink":               base + "/download" + path + "?generation=" + strconv.FormatInt(o.generation, 10) + "&alt=media",
		"bucket":                  c.s.o.Bucket,
		"name":                    o.key,
		"generation":              strconv.FormatInt(o.generation, 10),
		"metageneration":          strconv.FormatInt(o.metageneration, 10),
		"size":                    strconv.FormatInt(o.size, 10),
		"crc32c":                  crcText(o.crc),
		"etag":                    o.etag(),
		"storageClass":            o.class,
		"timeCreated":             timeText(o.created),
		"timeFinalized":           timeText(o.created),
		"timeStorageClassUpdated": timeText(o.created),
		"updated":                 timeText(o.updated),
	}
	for name, value := range o.texts {
		v[name] = value
	}
	if len(o.meta) > 0 {
		v["metadata"] = o.meta
	}
	if o.md5 != nil {
		v["md5Hash"] = base64.StdEncoding.EncodeToString(o.md5)
	}
	if o.components > 0 {
		v["componentCount"] = o.components
	}
	if o.kms != "" {
		v["kmsKeyName"] = o.kms
	}
	return v
}

// describe is what a reply with the content says about the object.
func (o *object) describe() http.Header {
	h := http.Header{}
	for name, value := range o.texts {
		h.Set(textFields[name], value)
	}
	h.Set("X-Goog-Generation", strconv.FormatInt(o.generation, 10))
	h.Set("X-Goog-Metageneration", strconv.FormatInt(o.metageneration, 10))
	h.Set("X-Goog-Storage-Class", o.class)
	h.Set("X-Goog-Stored-Content-Length", strconv.FormatInt(o.size, 10))
	h.Set("X-Goog-Stored-Content-Encoding", "identity")
	if e := o.texts["contentEncoding"]; e != "" {
		h.Set("X-Goog-Stored-Content-Encoding", e)
	}
	h.Set("X-Goog-Hash", "crc32c="+crcText(o.crc))
	if o.md5 != nil {
		h.Add("X-Goog-Hash", "md5="+base64.StdEncoding.EncodeToString(o.md5))
	}
	if o.components > 0 {
		h.Set("X-Goog-Component-Count", strconv.Itoa(o.components))
	}
	if o.kms != "" {
		h.Set("X-Goog-Encryption-Kms-Key-Name", o.kms)
	}
	h.Set("Last-Modified", o.updated.Format(http.TimeFormat))
	return h
}

// same is a copy of the object that may be changed.
func (o *object) same() *object {
	p := *o
	p.attrs = o.attrs.clone()
	return &p
}

func (a attrs) clone() attrs {
	a.meta, a.texts = maps.Clone(a.meta), maps.Clone(a.texts)
	return a
}
