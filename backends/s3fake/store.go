package s3fake

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// object is what a key holds. It never changes: whoever has one may read it without the lock.
type object struct {
	content
	attrs
	key      string
	etag     string // with quotes
	checksum checksum
	modified time.Time
	upload   string // the multipart upload that made it
}

// attrs is what a client may say about an object when it makes it.
type attrs struct {
	meta   map[string]string
	header http.Header // those of attributes, as sent
}

const (
	defaultType  = "binary/octet-stream"
	storageClass = "X-Amz-Storage-Class"
	tagging      = "X-Amz-Tagging"
	encryption   = "X-Amz-Server-Side-Encryption"
	metaPrefix   = "X-Amz-Meta-"

	maxMeta = 2 << 10 // bytes of all names and values
	maxTags = 10
)

// described are the headers that belong to the content and survive a copy.
var described = []string{
	"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Expires",
}

// placed are the headers that belong to this one object and are not copied; prefixes of groups end
// with a dash.
var placed = []string{
	storageClass, encryption, encryption + "-Aws-Kms-Key-Id", encryption + "-Context",
	encryption + "-Bucket-Key-Enabled", "X-Amz-Acl", "X-Amz-Grant-", "X-Amz-Object-Lock-",
	"X-Amz-Website-Redirect-Location",
}

// storageClasses says which classes there are, and which of them are to be restored before a read.
var storageClasses = map[string]bool{
	"STANDARD": false, "REDUCED_REDUNDANCY": false, "STANDARD_IA": false, "ONEZONE_IA": false,
	"INTELLIGENT_TIERING": false, "GLACIER_IR": false, "GLACIER": true, "DEEP_ARCHIVE": true,
}

// attributes reads all that the headers say about the object to be made.
func (c *call) attributes() (attrs, error) {
	a := attrs{map[string]string{}, http.Header{"Content-Type": {defaultType}}}
	size := 0
	for name, values := range c.Header {
		switch {
		case strings.HasPrefix(name, encryption+"-Customer-"):
			return attrs{}, notImplemented(strings.ToLower(name))
		case strings.HasPrefix(name, metaPrefix):
			key, value := strings.ToLower(name[len(metaPrefix):]), strings.Join(values, ",")
			a.meta[key] = value
			size += len(key) + len(value)
		case name == tagging, slices.Contains(described, name), isPlaced(name):
			a.header[name] = slices.Clone(values)
		}
	}
	if size > maxMeta {
		return attrs{}, refuse("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size").
			with("Size", fmt.Sprint(size))
	}
	if class := a.header.Get(storageClass); class != "" {
		if _, known := storageClasses[class]; !known {
			return attrs{}, refuse("InvalidStorageClass", "The storage class you specified is not valid")
		}
	}
	_, err := parseTags(a.header.Get(tagging))
	return a, err
}

func isPlaced(name string) bool {
	return slices.ContainsFunc(placed, func(p string) bool {
		return name == p || strings.HasSuffix(p, "-") && strings.HasPrefix(name, p)
	})
}

func parseTags(header string) (url.Values, error) {
	tags, err := url.ParseQuery(header)
	if err != nil || len(tags) > maxTags {
		return nil, refuse("InvalidTag", "The TagSet is not valid")
	}
	for name, values := range tags {
		if name == "" || len(values) != 1 || len(name) > 128 || len(values[0]) > 256 {
			return nil, refuse("InvalidTag", "The TagSet is not valid")
		}
	}
	return tags, nil
}

// archived refuses to read what would have to be restored first.
func (o *object) archived() error {
	class := o.header.Get(storageClass)
	if !storageClasses[class] {
		return nil
	}
	return refuse("InvalidObjectState", "The operation is not valid for the object's storage class").
		with("StorageClass", class)
}

// newETag is the ETag of an object made of this content at once. Encrypted with a key of KMS it is
// not the MD5, and never the same twice.
func (s *Server) newETag(c *content, header http.Header) string {
	if !strings.HasPrefix(header.Get(encryption), "aws:kms") {
		return c.etag()
	}
	s.made++
	other := contentOf(fmt.Append(nil, s.made, c.sum), false)
	return other.etag()
}

// publish makes o what its key holds. The caller holds the lock and has checked everything.
func (s *Server) publish(o *object) {
	s.objects[o.key] = o
	s.keys.Add(o.key)
}

func (s *Server) remove(key string) {
	delete(s.objects, key)
	s.keys.Remove(key)
}

// place refuses a key that a store on top of a file system could not hold.
func (s *Server) place(key string) error {
	if !s.o.Quirks.NoKeyBelowObject {
		return nil
	}
	for i := range len(key) {
		if key[i] == '/' && s.objects[key[:i]] != nil {
			return refuse("ObjectParentIsFile", "Object parent already exists as a file.")
		}
	}
	if below, ok := s.keys.Ceil(key + "/"); ok && strings.HasPrefix(below, key+"/") && !strings.HasSuffix(key, "/") {
		return refuse("ExistingObjectIsDirectory", "Existing Object is a directory.")
	}
	return nil
}
