package s3fake

import "strings"

// condition is what has to hold for a write. S3 knows two: that there is no object, and that it is
// still the one of this ETag.
type condition struct {
	absent bool
	match  string // "" is no condition
}

// condition reads If-None-Match and If-Match of a write; refused and ignored are the quirks of this
// operation.
func (c *call) condition(refused, ignored bool) (condition, error) {
	match, none := c.Header.Get("If-Match"), c.Header.Get("If-None-Match")
	switch {
	case match == "" && none == "", ignored:
		return condition{}, nil
	case refused, none != "" && none != "*", none != "" && match != "", match == "*" && c.Op != "DeleteObject":
		return condition{}, notImplemented("If-None-Match, If-Match")
	}
	return condition{none != "", match}, nil
}

// admit checks the condition against what key holds. The caller holds the lock and keeps it until
// the effect is there.
func (s *Server) admit(key string, cond condition) error {
	o := s.objects[key]
	switch {
	case cond.absent && o != nil:
		return preconditionFailed("If-None-Match")
	case cond.match == "":
		return nil
	case o == nil:
		return noSuchKey()
	case !sameETag(cond.match, o.etag):
		return preconditionFailed("If-Match")
	}
	return nil
}

// sameETag compares an ETag of a header, with or without quotes or a list of them, to that of an
// object. An asterisk is any.
func sameETag(header, etag string) bool {
	for h := range strings.SplitSeq(header, ",") {
		h = strings.TrimSpace(h)
		if h == "*" || strings.Trim(h, `"`) == strings.Trim(etag, `"`) {
			return true
		}
	}
	return false
}
