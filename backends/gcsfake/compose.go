package gcsfake

import (
	"encoding/json"
	"strconv"
)

// composition is the body of objects.compose.
type composition struct {
	Kind                string
	Destination         json.RawMessage
	DeleteSourceObjects bool
	SourceObjects       []component
}

type component struct {
	Name                string
	Generation          int64ish
	ObjectPreconditions struct{ IfGenerationMatch *int64ish }
}

// int64ish is a number that may be written as a text, as those of 64 bits are.
type int64ish int64

func (n *int64ish) UnmarshalJSON(raw []byte) error {
	text := string(raw)
	if text == "null" {
		return nil
	}
	if unquoted, err := strconv.Unquote(text); err == nil {
		text = unquoted
	}
	v, err := strconv.ParseInt(text, 10, 64)
	*n = int64ish(v)
	return err
}

func (c *call) compose() (*reply, error) {
	cond, err := c.condition("if")
	if err != nil {
		return nil, err
	}
	raw, err := takeAll(c.Body, maxDocument)
	if err != nil {
		return nil, err
	}
	var sent composition
	if json.Unmarshal(raw, &sent) != nil {
		return nil, refuse("parseError", "Parse Error")
	}
	if string(sent.Destination) == "null" {
		sent.Destination = nil
	}
	d, err := parseDescription(sent.Destination)
	switch {
	case err != nil:
		return nil, err
	case sent.DeleteSourceObjects:
		return nil, notImplemented("deleteSourceObjects")
	case len(sent.SourceObjects) == 0:
		return nil, refuse("required", "You must provide at least one source component.")
	case len(sent.SourceObjects) > maxSources:
		return nil, invalid("The number of source components provided (%d) exceeds the maximum (%d)",
			len(sent.SourceObjects), maxSources)
	}
	if d.kms, err = kmsKey(c.Query.Get("kmsKeyName")); err != nil {
		return nil, err
	}
	if err := checkName(c.Key); err != nil {
		return nil, err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	o, err := c.assemble(&d, sent.SourceObjects)
	if err != nil {
		return nil, err
	}
	if o, err = c.s.publish(c.Key, cond, o); err != nil {
		return nil, err
	}
	return c.document(c.resource(o))
}

// assemble makes an object of its sources. The caller holds the lock.
func (c *call) assemble(d *description, sources []component) (*object, error) {
	o := &object{}
	var parts []*content
	class := ""
	for _, s := range sources {
		src := c.s.objects[s.Name]
		if src == nil || s.Generation != 0 && int64(s.Generation) != src.generation {
			return nil, c.noSuchObject(s.Name)
		}
		if match := (*int64)(s.ObjectPreconditions.IfGenerationMatch); match != nil {
			if err := (condition{match: match}).check(src); err != nil {
				return nil, err
			}
		}
		if class != "" && class != src.class {
			return nil, invalid("The source objects have different storage classes.")
		}
		class = src.class
		parts = append(parts, &src.content)
		o.components += max(src.components, 1)
	}
	if d.class != "" && d.class != class {
		return nil, invalid("The storage class of the source objects is %s, not %s.", class, d.class)
	}
	d.class = class
	if err := d.check(); err != nil {
		return nil, err
	}
	o.attrs = d.attrs
	o.content = join(parts, c.s.o.Discard)
	if o.size > maxObject {
		return nil, refuse("uploadTooLarge", "The object is larger than 5 TiB.")
	}
	return o, d.claim.check(&o.content)
}
