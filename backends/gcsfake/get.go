package gcsfake

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/sluice-ftp/sluice/backends/storefake"
)

// read finds the object that is to be read, if the condition holds.
func (c *call) read(cond condition) (*object, error) {
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range"} {
		if c.Header.Get(name) != "" {
			return nil, notImplemented("the header " + name)
		}
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	o, err := c.findObject(c.Key, "generation")
	if err != nil {
		return nil, err
	}
	return o, cond.compareRead(o.generation, o.metageneration)
}

// getObject returns what is known of an object.
func (c *call) getObject() (*reply, error) {
	cond, err := c.condition("if")
	if err != nil {
		return nil, err
	}
	o, err := c.read(cond)
	if err != nil {
		return nil, err
	}
	return c.document(c.resource(o))
}

// media returns the content of an object, through either API.
func (c *call) media() (*reply, error) {
	cond, err := c.condition("if")
	if c.route.xml {
		if cond != (condition{}) || c.Query.Has("projection") || err != nil {
			return nil, notImplemented("the parameters of the JSON API in the XML API")
		}
		cond, err = c.headerCondition()
	}
	if err != nil {
		return nil, err
	}
	o, err := c.read(cond)
	if err != nil {
		return nil, err
	}
	asked := c.Header.Get("Range")
	if strings.Contains(asked, ",") {
		return nil, notImplemented("Range: " + asked)
	}
	part, ok := storefake.ParseRange(asked, o.size)
	if !ok {
		f := refuse("requestedRangeNotSatisfiable", "Request range not satisfiable")
		f.header = http.Header{"Content-Range": {fmt.Sprintf("bytes */%d", o.size)}}
		return nil, f
	}
	rep := part.Reply(o.describe(), o.data, o.size)
	c.sayWhat(o, rep.Header)
	return rep, nil
}

// sayWhat adds what the two APIs say in their own ways.
func (c *call) sayWhat(o *object, h http.Header) {
	if !c.route.xml {
		h.Set("Etag", o.etag())
		h.Set("X-Goog-Hash", strings.Join(h.Values("X-Goog-Hash"), ","))
		return
	}
	h.Set("Accept-Ranges", "bytes")
	h.Set("Etag", `"-`+o.etag()+`"`)
	if o.md5 != nil {
		h.Set("Etag", fmt.Sprintf(`"%x"`, o.md5))
	}
	for name, value := range o.meta {
		h.Set("X-Goog-Meta-"+name, value)
	}
}
