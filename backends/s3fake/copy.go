package s3fake

import (
	"cmp"
	"crypto/md5"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const copySource = "X-Amz-Copy-Source"

// source finds the object to copy and checks what is said about it. The caller holds the lock.
func (c *call) source() (*object, error) {
	for _, name := range []string{"-If-Modified-Since", "-If-Unmodified-Since"} {
		if c.Header.Get(copySource+name) != "" {
			return nil, notImplemented(strings.ToLower(copySource + name))
		}
	}
	raw := c.Header.Get(copySource)
	// A plus is a space to S3: who means a plus has to encode it.
	path, err := url.QueryUnescape(raw)
	bucket, key, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch {
	case strings.Contains(raw, "?"), strings.HasPrefix(path, "arn:"):
		return nil, notImplemented("x-amz-copy-source: " + raw)
	case err != nil || !ok || key == "":
		return nil, refuse("InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey").
			with("ArgumentName", "x-amz-copy-source").with("ArgumentValue", raw)
	case bucket != c.s.o.Bucket:
		return nil, refuse("NoSuchBucket", "The specified bucket does not exist")
	}
	o := c.s.objects[key]
	if o == nil {
		return nil, noSuchKey()
	}
	if match := c.Header.Get(copySource + "-If-Match"); match != "" && !sameETag(match, o.etag) {
		return nil, preconditionFailed("x-amz-copy-source-If-Match")
	}
	if none := c.Header.Get(copySource + "-If-None-Match"); none != "" && sameETag(none, o.etag) {
		return nil, preconditionFailed("x-amz-copy-source-If-None-Match")
	}
	return o, o.archived()
}

func tooLargeToCopy() *failure {
	return refuse("InvalidRequest", "The specified copy source is larger than the maximum allowable size for a "+
		"copy source: %d", int64(maxObject))
}

func (c *call) copyObject() (*reply, error) {
	if err := c.checksumsAllowed(); err != nil {
		return nil, err
	}
	cond, err := c.condition(false, c.s.o.Quirks.IgnoreConditionalCopy)
	if err != nil {
		return nil, err
	}
	algorithm := c.Header.Get("X-Amz-Checksum-Algorithm")
	if algorithm != "" && algorithm != "CRC32" {
		return nil, notImplemented("x-amz-checksum-algorithm: " + algorithm)
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	src, err := c.source()
	if err != nil {
		return nil, err
	}
	attrs, err := c.copiedAttributes(src)
	if err != nil {
		return nil, err
	}
	if src.size > maxObject {
		return nil, tooLargeToCopy()
	}
	if err := c.s.admit(c.Key, cond); err != nil {
		return nil, err
	}
	if err := c.s.place(c.Key); err != nil {
		return nil, err
	}
	o := &object{content: src.whole(c.s.o.Discard), attrs: attrs, key: c.Key, modified: c.s.now(), checksum: src.checksum}
	if (algorithm != "" || o.checksum.parts > 0) && !o.blurred {
		o.checksum = crcSum(o.crc) // a copy is made at once: it has no checksum of checksums
	}
	o.etag = c.s.newETag(&o.content, o.header)
	c.s.publish(o)
	d := &document{}
	rep := answer("CopyObjectResult", d, func() {
		d.time("LastModified", o.modified)
		d.text("ETag", o.etag)
		o.checksum.write(d)
	})
	o.sayEncryption(rep.Header)
	return rep, nil
}

// whole is the content as if it had come in one piece, with an MD5 of its own.
func (o *object) whole(discard bool) content {
	switch {
	case o.upload == "":
		return o.content
	case !discard:
		return contentOf(o.data, false)
	}
	return o.span(0, o.size)
}

// span is the content of n bytes of a discarded object. Of less than all of it nobody knows the
// CRC any more.
func (o *object) span(off, n int64) content {
	if off == 0 && n == o.size {
		return o.content
	}
	return content{size: n, blurred: true, sum: md5.Sum(fmt.Append(nil, o.etag, off, n))}
}

// copiedAttributes are those of the copy: what describes the content comes along unless it is
// replaced, what says where and how it is stored never does.
func (c *call) copiedAttributes(src *object) (attrs, error) {
	a, err := c.attributes()
	if err != nil {
		return attrs{}, err
	}
	directive := cmp.Or(c.Header.Get("X-Amz-Metadata-Directive"), "COPY")
	tags := cmp.Or(c.Header.Get("X-Amz-Tagging-Directive"), "COPY")
	for _, d := range []string{directive, tags} {
		if d != "COPY" && d != "REPLACE" {
			return attrs{}, refuse("InvalidArgument", "Unknown directive.").with("ArgumentValue", d)
		}
	}
	moved := slices.ContainsFunc([]string{storageClass, encryption, "X-Amz-Website-Redirect-Location"},
		func(name string) bool { return a.header.Get(name) != "" })
	if c.Key == src.key && directive == "COPY" && !moved {
		return attrs{}, refuse("InvalidRequest", "This copy request is illegal because it is trying to copy an "+
			"object to itself without changing the object's metadata, storage class, website redirect location "+
			"or encryption attributes.")
	}
	if directive == "COPY" {
		a.meta = src.meta
		for _, name := range described {
			a.header.Del(name)
			if v, ok := src.header[name]; ok {
				a.header[name] = v
			}
		}
	}
	if tags == "COPY" {
		a.header.Del(tagging)
		if v, ok := src.header[tagging]; ok {
			a.header[tagging] = v
		}
	}
	return a, nil
}

func (c *call) uploadPartCopy() (*reply, error) {
	if c.s.o.Quirks.NoPartCopy {
		return nil, notImplemented("x-amz-copy-source")
	}
	number, err := c.partNumber()
	if err != nil {
		return nil, err
	}
	src, u, err := c.partSource()
	if err != nil {
		return nil, err
	}
	off, n, err := c.copyRange(src.size)
	if err != nil {
		return nil, err
	}
	got := src.span(off, n)
	if !c.s.o.Discard {
		got = contentOf(src.data[off:off+n:off+n], false)
	}
	p, err := c.store(got, number)
	if err != nil {
		return nil, err
	}
	d := &document{}
	return answer("CopyPartResult", d, func() {
		d.time("LastModified", p.modified)
		d.text("ETag", p.etag())
		if u.algorithm != "" && !p.blurred {
			d.text("ChecksumCRC32", crcSum(p.crc).text())
		}
	}), nil
}

func (c *call) partSource() (*object, *upload, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	u, err := c.upload()
	if err != nil {
		return nil, nil, err
	}
	src, err := c.source()
	return src, u, err
}

// copyRange reads which bytes to copy. It has to be both ends, and both in the object.
func (c *call) copyRange(size int64) (off, n int64, err error) {
	header := c.Header.Get(copySource + "-Range")
	if header == "" {
		if size > maxObject {
			return 0, 0, tooLargeToCopy()
		}
		return 0, size, nil
	}
	spec, ok := strings.CutPrefix(header, "bytes=")
	first, last, _ := strings.Cut(spec, "-")
	from, errFrom := strconv.ParseUint(first, 10, 62)
	to, errTo := strconv.ParseUint(last, 10, 62)
	invalid := func(why string) *failure {
		return refuse("InvalidArgument", "%s", why).
			with("ArgumentName", "x-amz-copy-source-range").with("ArgumentValue", header)
	}
	switch {
	case !ok || errFrom != nil || errTo != nil || to < from:
		return 0, 0, invalid("The x-amz-copy-source-range value must be of the form bytes=first-last where first " +
			"and last are the zero-based offsets of the first and last bytes to copy")
	case int64(to) >= size:
		return 0, 0, invalid(fmt.Sprintf("Range specified is not valid for source object of size: %d", size))
	case size < c.s.o.Quirks.MinPartSize:
		return 0, 0, refuse("InvalidRequest", "The specified copy source is not supported as a byte-range copy source")
	case int64(to-from)+1 > maxObject:
		return 0, 0, tooLargeToCopy()
	}
	return int64(from), int64(to-from) + 1, nil
}
