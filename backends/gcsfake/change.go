package gcsfake

import (
	"net/http"
	"strings"
)

// patch changes what is said about an object and nothing else.
func (c *call) patch() (*reply, error) {
	cond, err := c.condition("if")
	if err != nil {
		return nil, err
	}
	d, err := c.readDocument()
	if err != nil {
		return nil, err
	}
	if d.class != "" {
		return nil, notImplemented("another storage class without a rewrite")
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	old, err := c.findObject(c.Key, "generation")
	if err != nil {
		return nil, err
	}
	o := old.same()
	if err := d.change(o); err != nil {
		return nil, err
	}
	if err := c.s.admit(c.Key, cond); err != nil {
		return nil, err
	}
	o.metageneration++
	o.updated = c.s.now()
	c.s.keep(o)
	return c.document(c.resource(o))
}

// change does to o what the description says.
func (d *description) change(o *object) error {
	if d.wipe {
		clear(o.meta)
	}
	for name, value := range d.meta {
		o.meta[name] = value
	}
	for name, value := range d.texts {
		o.texts[name] = value
	}
	for _, name := range d.removed {
		if entry, ok := strings.CutPrefix(name, "metadata/"); ok {
			delete(o.meta, entry)
		} else {
			delete(o.texts, name)
		}
	}
	for name, value := range o.texts {
		if value == "" {
			delete(o.texts, name)
		}
	}
	return o.attrs.check()
}

func (c *call) deleteObject() (*reply, error) {
	cond, err := c.condition("if")
	if err != nil {
		return nil, err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	o, err := c.findObject(c.Key, "generation")
	if err != nil {
		return nil, err
	}
	if c.s.pending(c.Key) {
		return nil, beingRenamed(c.Key)
	}
	if err := cond.check(o); err != nil {
		return nil, err
	}
	c.s.remove(c.Key)
	return empty(http.StatusNoContent), nil
}

// conditions reads those of the target and those of the source.
func (c *call) conditions() (target, source condition, err error) {
	if target, err = c.condition("if"); err == nil {
		source, err = c.condition("ifSource")
	}
	return target, source, err
}

// move gives an object another name, at once.
func (c *call) move() (*reply, error) {
	target, source, err := c.conditions()
	switch {
	case err != nil:
		return nil, err
	case c.s.o.Quirks.NoMove:
		return nil, invalid("Moving objects is not supported for this bucket.")
	case c.route.source == c.Key:
		return nil, invalid("The source and destination objects must be different.")
	}
	if err := checkName(c.Key); err != nil {
		return nil, err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	old, err := c.findObject(c.route.source, "")
	if err != nil {
		return nil, err
	}
	if err := source.check(old); err != nil {
		return nil, err
	}
	if c.s.pending(old.key) {
		return nil, beingRenamed(old.key)
	}
	o, err := c.s.publish(c.Key, target, old.same())
	if err != nil {
		return nil, err
	}
	c.s.remove(old.key)
	return c.document(c.resource(o))
}
