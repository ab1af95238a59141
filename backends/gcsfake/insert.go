package gcsfake

import (
	"errors"
	"io"
	"mime/multipart"
)

// lastPart is the part of a multipart body that has to be its last.
type lastPart struct {
	parts *multipart.Reader
	part  io.Reader
}

func (p *lastPart) Read(b []byte) (int, error) {
	n, err := p.part.Read(b)
	if errors.Is(err, io.EOF) {
		if _, more := p.parts.NextRawPart(); !errors.Is(more, io.EOF) {
			return n, io.ErrUnexpectedEOF
		}
	}
	return n, err
}

// insert makes an object of one request.
func (c *call) insert() (*reply, error) {
	cond, err := c.condition("if")
	if err != nil {
		return nil, err
	}
	header, err := c.claimed()
	if err != nil {
		return nil, err
	}
	length := int64(-1)
	if c.Query.Get("uploadType") == "media" {
		length = c.R.ContentLength
	}
	got, err := c.receive(c.Content(c.content), length, c.described.claim.also(header))
	if err != nil {
		return nil, err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	o, err := c.s.publish(c.Key, cond, &object{content: got, attrs: c.described.attrs})
	if err != nil {
		return nil, err
	}
	c.Took(got.size)
	return c.document(c.resource(o))
}
