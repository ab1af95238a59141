package s3fake

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

func (c *call) listParts() (*reply, error) {
	most, err := c.entries("max-parts")
	if err != nil {
		return nil, err
	}
	marker, err := strconv.ParseInt(cmp.Or(c.Query.Get("part-number-marker"), "0"), 10, 32)
	if err != nil || marker < 0 {
		return nil, refuse("InvalidArgument", "Argument part-number-marker must be an integer between 0 and 2147483647")
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	u, err := c.upload()
	if err != nil {
		return nil, err
	}
	numbers := slices.Sorted(maps.Keys(u.parts))
	first, _ := slices.BinarySearch(numbers, int(marker)+1)
	numbers = numbers[first:]
	truncated := most > 0 && int64(len(numbers)) > most
	numbers = numbers[:min(int64(len(numbers)), most)]
	next := 0
	if len(numbers) > 0 {
		next = numbers[len(numbers)-1]
	}
	d := &document{}
	return answer("ListPartsResult", d, func() {
		d.text("Bucket", c.bucket)
		d.text("Key", u.key)
		d.text("UploadId", u.id)
		d.number("PartNumberMarker", marker)
		d.number("NextPartNumberMarker", int64(next))
		d.number("MaxParts", most)
		d.bool("IsTruncated", truncated)
		for _, n := range numbers {
			d.in("Part", func() { u.parts[n].list(d, u) })
		}
		u.list(d)
	}), nil
}

func (p *part) list(d *document, u *upload) {
	d.number("PartNumber", int64(p.number))
	d.time("LastModified", p.modified)
	d.text("ETag", p.etag())
	d.number("Size", p.size)
	if u.algorithm != "" && !p.blurred {
		d.text("ChecksumCRC32", crcSum(p.crc).text())
	}
}

// list writes what both listings say about an upload.
func (u *upload) list(d *document) {
	writeUser(d, "Initiator")
	writeUser(d, "Owner")
	d.text("StorageClass", cmp.Or(u.header.Get(storageClass), "STANDARD"))
	d.some("ChecksumAlgorithm", u.algorithm)
	d.some("ChecksumType", u.kind)
}

func (c *call) listMultipartUploads() (*reply, error) {
	most, err := c.entries("max-uploads")
	if err != nil {
		return nil, err
	}
	l := &listing{}
	if l.encode, err = c.encoding(); err != nil {
		return nil, err
	}
	q := c.Query
	if q.Get("delimiter") != "" {
		return nil, notImplemented("delimiter")
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	all := c.matchingUploads()
	truncated := most > 0 && int64(len(all)) > most
	all = all[:min(int64(len(all)), most)]

	d := &document{references: !c.s.o.Quirks.NoEncodingType}
	return answer("ListMultipartUploadsResult", d, func() {
		d.text("Bucket", c.bucket)
		d.text("KeyMarker", l.name(q.Get("key-marker")))
		d.text("UploadIdMarker", q.Get("upload-id-marker"))
		if truncated {
			last := all[len(all)-1]
			d.text("NextKeyMarker", l.name(last.key))
			d.text("NextUploadIdMarker", last.id)
		}
		d.text("Prefix", l.name(q.Get("prefix")))
		if l.encode {
			d.text("EncodingType", "url")
		}
		d.number("MaxUploads", most)
		d.bool("IsTruncated", truncated)
		for _, u := range all {
			d.in("Upload", func() {
				d.text("UploadId", u.id)
				d.text("Key", l.name(u.key))
				u.list(d)
				d.time("Initiated", u.initiated)
			})
		}
	}), nil
}

// matchingUploads returns the uploads with the prefix and after the markers, in order.
func (c *call) matchingUploads() []*upload {
	prefix, key, id := c.Query.Get("prefix"), c.Query.Get("key-marker"), c.Query.Get("upload-id-marker")
	return slices.DeleteFunc(c.s.openUploads(), func(u *upload) bool {
		switch {
		case !strings.HasPrefix(u.key, prefix), c.s.o.Quirks.ExactUploadPrefix && u.key != prefix:
			return true
		case u.key != key:
			return u.key < key
		}
		// Without the other marker all uploads of this key have been seen.
		return key != "" && (id == "" || u.id <= id)
	})
}
