package s3fake

import (
	"strconv"

	"github.com/sluice-ftp/sluice/backends/storefake"
)

// listing is one ListObjectsV2.
type listing struct {
	storefake.Listing
	startAfter, token string
	encode            bool
	none              bool // nothing can follow
}

// entry is a key or a common prefix.
type entry struct {
	prefix string
	object *object
}

func (c *call) listObjectsV2() (*reply, error) {
	l, err := c.parseListing()
	if err != nil {
		return nil, err
	}
	c.s.mu.Lock()
	entries, next := c.s.page(l)
	c.s.mu.Unlock()

	d := &document{references: !c.s.o.Quirks.NoEncodingType}
	return answer("ListBucketResult", d, func() {
		d.text("Name", c.bucket)
		d.text("Prefix", l.name(l.Prefix))
		d.some("Delimiter", l.name(l.Delimiter))
		d.some("StartAfter", l.name(l.startAfter))
		d.some("ContinuationToken", l.token)
		d.some("NextContinuationToken", next)
		d.number("KeyCount", int64(len(entries)))
		d.number("MaxKeys", int64(l.Max))
		if l.encode {
			d.text("EncodingType", "url")
		}
		d.bool("IsTruncated", next != "")
		for _, e := range entries {
			if e.object != nil {
				d.in("Contents", func() { e.object.list(d, l, c.Query.Get("fetch-owner") == "true") })
			}
		}
		for _, e := range entries {
			if e.object == nil {
				d.in("CommonPrefixes", func() { d.text("Prefix", l.name(e.prefix)) })
			}
		}
	}), nil
}

func (o *object) list(d *document, l *listing, owner bool) {
	d.text("Key", l.name(o.key))
	d.time("LastModified", o.modified)
	d.text("ETag", o.etag)
	if o.checksum.algorithm != "" {
		d.text("ChecksumAlgorithm", o.checksum.algorithm)
		d.text("ChecksumType", o.checksum.kind())
	}
	d.number("Size", o.size)
	if owner {
		writeUser(d, "Owner")
	}
	class := o.header.Get(storageClass)
	if class == "" {
		class = "STANDARD"
	}
	d.text("StorageClass", class)
}

func writeUser(d *document, role string) {
	d.in(role, func() {
		d.text("ID", "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a")
		d.text("DisplayName", "owner")
	})
}

// name is a key or prefix as this listing writes it.
func (l *listing) name(s string) string {
	if l.encode {
		return urlEncode(s)
	}
	return s
}

func (c *call) parseListing() (*listing, error) {
	q := c.Query
	l := &listing{
		Listing: storefake.Listing{
			Prefix: q.Get("prefix"), Delimiter: q.Get("delimiter"), Repeat: c.s.o.Quirks.RepeatPrefixes,
		},
		startAfter: q.Get("start-after"), token: q.Get("continuation-token"),
	}
	most, err := c.entries("max-keys")
	if err != nil {
		return nil, err
	}
	l.Max = int(most)
	if l.encode, err = c.encoding(); err != nil {
		return nil, err
	}
	l.From = l.Prefix
	switch {
	case l.token != "":
		from, ok := storefake.DecodeToken(l.token)
		if !ok {
			return nil, refuse("InvalidArgument", "The continuation token provided is incorrect").
				with("ArgumentName", "continuation-token")
		}
		l.From = max(l.From, from)
	case q.Has("continuation-token"):
		return nil, refuse("InvalidArgument", "The continuation token provided is incorrect").
			with("ArgumentName", "continuation-token")
	case l.startAfter != "":
		l.From = max(l.From, storefake.After(l.startAfter))
		// What is rolled up into this prefix has been listed if the prefix has.
		if group, ok := l.Group(l.startAfter); ok && group == l.startAfter {
			var more bool
			l.From, more = storefake.AfterAll(group)
			l.none = !more
		}
	}
	return l, nil
}

// entries reads the parameter that bounds a page.
func (c *call) entries(name string) (int64, error) {
	limit := int64(c.s.o.PageSize)
	s := c.Query.Get(name)
	if s == "" {
		return limit, nil
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 0 {
		return 0, refuse("InvalidArgument", "Provided %s not an integer or within integer range", name).
			with("ArgumentName", name).with("ArgumentValue", s)
	}
	return min(n, limit), nil
}

func (c *call) encoding() (bool, error) {
	switch e := c.Query.Get("encoding-type"); e {
	case "":
		return false, nil
	case "url":
		return !c.s.o.Quirks.NoEncodingType, nil
	default:
		return false, refuse("InvalidArgument", "Invalid Encoding Method specified in Request").
			with("ArgumentName", "encoding-type").with("ArgumentValue", e)
	}
}

// page returns the entries of one page and the token of the next. The caller holds the lock.
func (s *Server) page(l *listing) (entries []entry, next string) {
	if l.none {
		return nil, ""
	}
	found, next := l.Page(s.keys.Ceil)
	for _, e := range found {
		if e.Rolled {
			entries = append(entries, entry{prefix: e.Name})
		} else {
			entries = append(entries, entry{object: s.objects[e.Name]})
		}
	}
	return entries, storefake.EncodeToken(next)
}
