package s3fake

import (
	"encoding/xml"
	"maps"
	"net/http"
	"net/url"
	"slices"
)

func (c *call) getObjectTagging() (*reply, error) {
	c.s.mu.Lock()
	o := c.s.objects[c.Key]
	c.s.mu.Unlock()
	if o == nil {
		return nil, noSuchKey()
	}
	tags, err := parseTags(o.header.Get(tagging))
	if err != nil {
		return nil, err
	}
	d := &document{}
	return answer("Tagging", d, func() {
		d.in("TagSet", func() {
			for _, name := range slices.Sorted(maps.Keys(tags)) {
				d.in("Tag", func() {
					d.text("Key", name)
					d.text("Value", tags.Get(name))
				})
			}
		})
	}), nil
}

func (c *call) putObjectTagging() (*reply, error) {
	if err := c.checksumsAllowed(); err != nil {
		return nil, err
	}
	var sent struct {
		XMLName xml.Name `xml:"Tagging"`
		TagSet  *struct {
			Tag []struct{ Key, Value string }
		}
	}
	if err := c.document(&sent, true); err != nil {
		return nil, err
	}
	if sent.TagSet == nil {
		return nil, malformedXML()
	}
	tags := url.Values{}
	for _, t := range sent.TagSet.Tag {
		tags.Add(t.Key, t.Value)
	}
	if _, err := parseTags(tags.Encode()); err != nil {
		return nil, err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	o := c.s.objects[c.Key]
	if o == nil {
		return nil, noSuchKey()
	}
	tagged := *o
	tagged.header = o.header.Clone()
	tagged.header.Set(tagging, tags.Encode())
	c.s.publish(&tagged)
	return &reply{Status: http.StatusOK, Header: http.Header{}}, nil
}
