package s3fake

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"strconv"
	"strings"
)

// listing is one ListObjectsV2.
type listing struct {
	prefix, delimiter, startAfter, token string
	max                                  int64
	encode                               bool

	from string // the first string of the page
	none bool   // nothing can follow
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
		d.text("Prefix", l.name(l.prefix))
		d.some("Delimiter", l.name(l.delimiter))
		d.some("StartAfter", l.name(l.startAfter))
		d.some("ContinuationToken", l.token)
		d.some("NextContinuationToken", next)
		d.number("KeyCount", int64(len(entries)))
		d.number("MaxKeys", l.max)
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
		prefix: q.Get("prefix"), delimiter: q.Get("delimiter"),
		startAfter: q.Get("start-after"), token: q.Get("continuation-token"),
	}
	var err error
	if l.max, err = c.entries("max-keys"); err != nil {
		return nil, err
	}
	if l.encode, err = c.encoding(); err != nil {
		return nil, err
	}
	l.from = l.prefix
	switch {
	case l.token != "":
		from, ok := decodeToken(l.token)
		if !ok {
			return nil, refuse("InvalidArgument", "The continuation token provided is incorrect").
				with("ArgumentName", "continuation-token")
		}
		l.from = max(l.from, from)
	case q.Has("continuation-token"):
		return nil, refuse("InvalidArgument", "The continuation token provided is incorrect").
			with("ArgumentName", "continuation-token")
	case l.startAfter != "":
		l.from = max(l.from, after(l.startAfter))
		// What is rolled up into this prefix has been listed if the prefix has.
		if group, ok := l.group(l.startAfter); ok && group == l.startAfter {
			var more bool
			l.from, more = afterAll(group)
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

// group is the common prefix that key is rolled up into.
func (l *listing) group(key string) (string, bool) {
	rest, ok := strings.CutPrefix(key, l.prefix)
	i := strings.Index(rest, l.delimiter)
	if !ok || l.delimiter == "" || i < 0 {
		return "", false
	}
	return key[:len(l.prefix)+i+len(l.delimiter)], true
}

// page returns the entries of one page and the token of the next. The caller holds the lock.
func (s *Server) page(l *listing) (entries []entry, next string) {
	from := l.from
	for !l.none && l.max > 0 {
		key, ok := s.keys.ceil(from)
		if !ok || !strings.HasPrefix(key, l.prefix) {
			return entries, ""
		}
		if int64(len(entries)) == l.max {
			return entries, encodeToken(from)
		}
		group, rolled := l.group(key)
		if !rolled {
			entries = append(entries, entry{object: s.objects[key]})
			from = after(key)
			continue
		}
		entries = append(entries, entry{prefix: group})
		if s.o.Quirks.RepeatPrefixes && int64(len(entries)) == l.max {
			from = after(key)
			continue
		}
		if from, ok = afterAll(group); !ok {
			return entries, ""
		}
	}
	return entries, ""
}

// encodeToken hides where the next page begins. The checksum is there to refuse what is no token.
func encodeToken(from string) string {
	sum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(from)))
	return base64.StdEncoding.EncodeToString(append(sum, from...))
}

func decodeToken(token string) (string, bool) {
	raw, err := base64.StdEncoding.DecodeString(token)
	if err != nil || len(raw) < 4 {
		return "", false
	}
	from := string(raw[4:])
	return from, binary.BigEndian.Uint32(raw) == crc32.ChecksumIEEE([]byte(from))
}
