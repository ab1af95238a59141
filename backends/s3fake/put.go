package s3fake

import "net/http"

func (c *call) putObject() (*reply, error) {
	if err := c.checksumsAllowed(); err != nil {
		return nil, err
	}
	cond, err := c.condition(c.s.o.Quirks.NoConditionalPut, false)
	if err != nil {
		return nil, err
	}
	attrs, err := c.attributes()
	if err != nil {
		return nil, err
	}
	got, sum, err := c.receive(intake{limit: maxObject, discard: c.s.o.Discard, checksums: true})
	if err != nil {
		return nil, err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if err := c.s.admit(c.Key, cond); err != nil {
		return nil, err
	}
	if err := c.s.place(c.Key); err != nil {
		return nil, err
	}
	o := &object{content: got, attrs: attrs, key: c.Key, checksum: sum, modified: c.s.now()}
	o.etag = c.s.newETag(&o.content, o.header)
	c.s.publish(o)
	c.Took(got.size)
	rep := &reply{Status: http.StatusOK, Header: http.Header{"Etag": {o.etag}}}
	sum.set(rep.Header)
	o.sayEncryption(rep.Header)
	return rep, nil
}

// sayEncryption tells how the object is encrypted, as all replies do.
func (a attrs) sayEncryption(h http.Header) {
	for _, name := range []string{encryption, encryption + "-Aws-Kms-Key-Id", encryption + "-Bucket-Key-Enabled"} {
		if v := a.header.Get(name); v != "" {
			h.Set(name, v)
		}
	}
}
