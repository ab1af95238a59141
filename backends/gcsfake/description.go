package gcsfake

import (
	"mime"
	"mime/multipart"
)

// readDescription reads what describes the object to be made and finds out where its content is.
// That is done before anything else, so that the log and the faults know its name.
func (c *call) readDescription() error {
	contentType := c.Header.Get("Content-Type")
	media, params, err := mime.ParseMediaType(contentType)
	switch {
	case c.Op == "session.start":
		contentType = c.Header.Get("X-Upload-Content-Type")
		if c.R.ContentLength == 0 {
			break
		}
		if err != nil || media != "application/json" {
			return refuse("badRequest", "Content type %q is no description of an object", c.Header.Get("Content-Type"))
		}
		if c.described, err = c.readDocument(); err != nil {
			return err
		}
	case c.Query.Get("uploadType") == "media":
		c.content = c.Body
	case err != nil || media != "multipart/related" || params["boundary"] == "":
		return refuse("badRequest", "Content type %q is not multipart/related with a boundary", contentType)
	default:
		if contentType, err = c.readParts(params["boundary"]); err != nil {
			return err
		}
	}
	return c.complete(contentType)
}

func (c *call) readDocument() (description, error) {
	raw, err := takeAll(c.Body, maxDocument)
	if err != nil {
		return description{}, err
	}
	return parseDescription(raw)
}

// readParts reads a multipart body up to its content and returns the type of that.
func (c *call) readParts(boundary string) (string, error) {
	parts := multipart.NewReader(c.Body, boundary)
	malformed := refuse("badRequest", "Malformed multipart body.")
	first, err := parts.NextRawPart()
	if err != nil {
		return "", malformed
	}
	if media, _, err := mime.ParseMediaType(first.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return "", refuse("badRequest", "The first part of a multipart body has to be application/json.")
	}
	raw, err := takeAll(first, maxDocument)
	if err != nil {
		return "", malformed
	}
	if c.described, err = parseDescription(raw); err != nil {
		return "", err
	}
	second, err := parts.NextRawPart()
	if err != nil {
		return "", malformed
	}
	if e := second.Header.Get("Content-Transfer-Encoding"); e != "" && e != "binary" {
		return "", notImplemented("Content-Transfer-Encoding: " + e)
	}
	c.content = &lastPart{parts: parts, part: second}
	return second.Header.Get("Content-Type"), nil
}

// complete adds what the parameters say, and what nobody has to say.
func (c *call) complete(contentType string) error {
	d := &c.described
	if d.texts == nil {
		d.meta, d.texts = map[string]string{}, map[string]string{}
	}
	if name := c.Query.Get("name"); name != "" {
		if d.name != "" && d.name != name {
			return invalid("Value '%s' in content does not agree with value '%s' in the parameter.", d.name, name).at("name")
		}
		d.name = name
	}
	c.Key = d.name
	if e := c.Query.Get("contentEncoding"); e != "" {
		d.texts["contentEncoding"] = e
	}
	if said := d.texts["contentType"]; said != "" && contentType != "" && said != contentType {
		return invalid("Content-Type specified in the upload (%s) does not match Content-Type specified in metadata (%s).", contentType, said)
	}
	if d.texts["contentType"] == "" && contentType != "" {
		d.texts["contentType"] = contentType
	}
	var err error
	if d.kms, err = kmsKey(c.Query.Get("kmsKeyName")); err != nil {
		return err
	}
	if err := d.check(); err != nil {
		return err
	}
	return checkName(d.name)
}
