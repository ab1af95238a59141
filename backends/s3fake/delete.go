package s3fake

import (
	"encoding/xml"
	"net/http"
)

func (c *call) deleteObject() (*reply, error) {
	cond, err := c.condition(false, c.s.o.Quirks.IgnoreConditionalDelete)
	if err != nil {
		return nil, err
	}
	if cond.absent {
		return nil, notImplemented("If-None-Match")
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if err := c.s.admit(c.Key, cond); err != nil {
		return nil, err
	}
	c.s.remove(c.Key)
	return &reply{Status: http.StatusNoContent, Header: http.Header{}}, nil
}

// deletion is the body of DeleteObjects.
type deletion struct {
	XMLName xml.Name `xml:"Delete"`
	Quiet   bool
	Object  []struct {
		Key       string
		ETag      string
		VersionID string `xml:"VersionId"`
	}
}

func (c *call) deleteObjects() (*reply, error) {
	if err := c.checksumsAllowed(); err != nil {
		return nil, err
	}
	// A damaged list of what to delete would be worse than any damaged object.
	if sum, err := c.sentChecksum(); err != nil {
		return nil, err
	} else if sum.algorithm == "" && c.Header.Get("Content-Md5") == "" {
		return nil, refuse("InvalidRequest", "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
	}
	var list deletion
	if err := c.document(&list, true); err != nil {
		return nil, err
	}
	if len(list.Object) == 0 || len(list.Object) > maxEntries {
		return nil, malformedXML()
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	d := &document{}
	return answer("DeleteResult", d, func() {
		for _, o := range list.Object {
			f := c.deleteListed(o.Key, o.ETag, o.VersionID)
			switch {
			case f != nil:
				d.in("Error", func() {
					d.text("Key", o.Key)
					d.text("Code", f.code)
					d.text("Message", f.message)
				})
			case !list.Quiet:
				d.in("Deleted", func() { d.text("Key", o.Key) })
			}
		}
	}), nil
}

// deleteListed deletes one of many. The caller holds the lock.
func (c *call) deleteListed(key, etag, version string) *failure {
	switch {
	case version != "":
		return notImplemented("VersionId")
	case key == "":
		return refuse("InvalidArgument", "The key must not be empty.")
	case len(key) > maxKey:
		return refuse("KeyTooLongError", "Your key is too long")
	}
	if o := c.s.objects[key]; etag != "" && !c.s.o.Quirks.IgnoreConditionalDelete {
		switch {
		case o == nil:
			return noSuchKey()
		case !sameETag(etag, o.etag):
			return preconditionFailed("If-Match")
		}
	}
	c.s.remove(key)
	return nil
}
