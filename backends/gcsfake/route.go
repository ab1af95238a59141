package gcsfake

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// unknownOp is the name of what Google may know and this package does not.
const unknownOp = "Unknown"

// others are beginnings of paths that are no bucket's.
var others = []string{"batch", "download", "storage", "upload", "v1"}

// route is what the path says, beside Key.
type route struct {
	bucket string
	source string // what a copy, a move or a renaming starts from
	target string // the bucket a copy goes to
	id     string // of an operation; the email of an account
	xml    bool   // the XML API
}

// find names what the request asks for and of what.
func (c *call) find() error {
	c.Op = unknownOp
	path := strings.TrimPrefix(c.R.URL.EscapedPath(), "/")
	parts := strings.Split(path, "/")
	for i, p := range parts {
		var err error
		if parts[i], err = url.PathUnescape(p); err != nil {
			return invalid("Invalid path: %v", err)
		}
	}
	upload := c.Query.Get("uploadType")
	switch {
	case path == "token":
		c.Op = methods{http.MethodPost: "token"}.of(c)
	case strings.HasPrefix(path, "v1/projects/-/serviceAccounts/") && len(parts) == 5:
		if email, ok := strings.CutSuffix(parts[4], ":generateAccessToken"); ok {
			c.route.id = email
			c.Op = methods{http.MethodPost: "generateAccessToken"}.of(c)
		}
	case match(parts, "upload", "storage", "v1", "b", "*", "o"):
		c.route.bucket, c.Key = parts[4], c.Query.Get("name")
		c.findUpload(upload)
	case match(parts, "download", "storage", "v1", "b", "*", "o", "*"):
		c.route.bucket, c.Key = parts[4], parts[6]
		if c.Query.Get("alt") == "media" {
			c.Op = methods{http.MethodGet: "objects.media"}.of(c)
		}
	case match(parts[:min(len(parts), 4)], "storage", "v1", "b", "*"):
		c.route.bucket = parts[3]
		c.findInBucket(parts[4:])
	case slices.Contains(others, parts[0]):
	default:
		c.route.xml = true
		c.route.bucket = parts[0]
		c.Key = strings.Join(parts[1:], "/")
		if c.Key != "" {
			c.Op = methods{http.MethodGet: "objects.media", http.MethodHead: "objects.media"}.of(c)
		}
	}
	return nil
}

// match compares the parts of a path with a pattern, in which an asterisk is anything but nothing.
func match(parts []string, pattern ...string) bool {
	if len(parts) != len(pattern) {
		return false
	}
	for i, p := range pattern {
		if p != parts[i] && (p != "*" || parts[i] == "") {
			return false
		}
	}
	return true
}

// methods are the names of operations on the same path.
type methods map[string]string

func (m methods) of(c *call) string {
	if op, ok := m[c.R.Method]; ok {
		return op
	}
	return unknownOp
}

// findInBucket goes on below /storage/v1/b/{bucket}.
func (c *call) findInBucket(parts []string) {
	switch {
	case match(parts):
		c.Op = methods{http.MethodGet: "buckets.get"}.of(c)
	case match(parts, "storageLayout"):
		c.Op = methods{http.MethodGet: "buckets.storageLayout"}.of(c)
	case match(parts, "iam", "testPermissions"):
		c.Op = methods{http.MethodGet: "buckets.testIamPermissions"}.of(c)
	case match(parts, "operations", "*"):
		c.route.id = parts[1]
		c.Op = methods{http.MethodGet: "operations.get"}.of(c)
	case match(parts, "o"):
		c.Op = methods{http.MethodGet: "objects.list"}.of(c)
	case match(parts, "o", "*"):
		c.Key = parts[1]
		c.Op = methods{
			http.MethodGet: "objects.get", http.MethodDelete: "objects.delete", http.MethodPatch: "objects.patch",
		}.of(c)
		if c.Op == "objects.get" && c.Query.Get("alt") == "media" {
			c.Op = "objects.media"
		}
	case match(parts, "o", "*", "compose"):
		c.Key = parts[1]
		c.Op = methods{http.MethodPost: "objects.compose"}.of(c)
	case match(parts, "o", "*", "rewriteTo", "b", "*", "o", "*"):
		c.route.source, c.route.target, c.Key = parts[1], parts[4], parts[6]
		c.Op = methods{http.MethodPost: "objects.rewrite"}.of(c)
	case match(parts, "o", "*", "moveTo", "o", "*"):
		c.route.source, c.Key = parts[1], parts[4]
		c.Op = methods{http.MethodPost: "objects.move"}.of(c)
	default:
		c.findFolder(parts)
	}
}

func (c *call) findFolder(parts []string) {
	switch {
	case match(parts, "folders"):
		c.Op = methods{http.MethodGet: "folders.list", http.MethodPost: "folders.insert"}.of(c)
	case match(parts, "folders", "*"):
		c.Key = parts[1]
		c.Op = methods{http.MethodGet: "folders.get", http.MethodDelete: "folders.delete"}.of(c)
	case match(parts, "folders", "*", "renameTo", "folders", "*"):
		c.route.source, c.Key = parts[1], parts[4]
		c.Op = methods{http.MethodPost: "folders.rename"}.of(c)
	}
}

// findUpload tells the ways to upload from each other.
func (c *call) findUpload(kind string) {
	id := c.Query.Get("upload_id")
	put := c.R.Method == http.MethodPut || c.R.Method == http.MethodPost // Google's own clients post
	switch {
	case id != "" && put:
		c.Op = "session.put"
		if total, ok := strings.CutPrefix(c.Header.Get("Content-Range"), "bytes */"); ok && total != "0" {
			c.Op = "session.status"
		}
	case id != "":
		c.Op = methods{http.MethodDelete: "session.cancel"}.of(c)
	case kind == "resumable":
		c.Op = methods{http.MethodPost: "session.start"}.of(c)
	case kind == "multipart" || kind == "media":
		c.Op = methods{http.MethodPost: "objects.insert"}.of(c)
	}
	if id != "" {
		c.s.mu.Lock()
		defer c.s.mu.Unlock()
		if u := c.s.sessions[id]; u != nil {
			c.Key = u.key
		}
	}
}
