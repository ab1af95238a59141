package s3fake

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/sluice-ftp/sluice/backends/storefake"
)

// getObject is GetObject and HeadObject, which differ in nothing but the body.
func (c *call) getObject() (*reply, error) {
	if c.Query.Has("partNumber") {
		return nil, notImplemented("partNumber")
	}
	for _, name := range []string{"If-Modified-Since", "If-Unmodified-Since"} {
		if c.Header.Get(name) != "" {
			return nil, notImplemented(name)
		}
	}
	c.s.mu.Lock()
	o := c.s.objects[c.Key]
	c.s.mu.Unlock()
	if o == nil {
		return nil, noSuchKey()
	}
	if match := c.Header.Get("If-Match"); match != "" && !sameETag(match, o.etag) {
		return nil, preconditionFailed("If-Match")
	}
	if none := c.Header.Get("If-None-Match"); none != "" && sameETag(none, o.etag) {
		f := refuse("NotModified", "Not Modified")
		f.header = http.Header{"Etag": {o.etag}, "Last-Modified": {o.modified.Format(http.TimeFormat)}}
		return nil, f
	}
	if c.Op == "GetObject" {
		if err := o.archived(); err != nil {
			return nil, err
		}
	}
	part, err := span(c.Header.Get("Range"), o.size)
	if err != nil {
		return nil, err
	}
	rep := part.Reply(o.describe(), o.data, o.size)
	// The checksum is that of the whole object and would be wrong for a part of it.
	if c.Header.Get("X-Amz-Checksum-Mode") == "ENABLED" && rep.Status == http.StatusOK {
		o.checksum.set(rep.Header)
	}
	return rep, nil
}

// describe is what the reply says about the object.
func (o *object) describe() http.Header {
	h := http.Header{}
	for _, name := range described {
		if v := o.header.Get(name); v != "" {
			h.Set(name, v)
		}
	}
	for name, value := range o.meta {
		h.Set(metaPrefix+name, value)
	}
	if class := o.header.Get(storageClass); class != "STANDARD" && class != "" {
		h.Set(storageClass, class)
	}
	if tags, _ := parseTags(o.header.Get(tagging)); len(tags) > 0 {
		h.Set("X-Amz-Tagging-Count", strconv.Itoa(len(tags)))
	}
	if v := o.header.Get("X-Amz-Website-Redirect-Location"); v != "" {
		h.Set("X-Amz-Website-Redirect-Location", v)
	}
	o.sayEncryption(h)
	h.Set("Accept-Ranges", "bytes")
	h.Set("Etag", o.etag)
	h.Set("Last-Modified", o.modified.Format(http.TimeFormat))
	return h
}

// span is the part of size bytes that a Range header asks for.
func span(header string, size int64) (storefake.Span, error) {
	if strings.Contains(header, ",") {
		return storefake.Span{}, notImplemented("Range: " + header)
	}
	s, ok := storefake.ParseRange(header, size)
	if !ok {
		return storefake.Span{}, refuse("InvalidRange", "The requested range is not satisfiable").
			with("RangeRequested", header).with("ActualObjectSize", strconv.FormatInt(size, 10))
	}
	return s, nil
}
