package gcsfake

import (
	"cmp"
	"strconv"
)

// rewrite is a copy that is not done yet.
type rewrite struct {
	source     string
	generation int64 // of the source
	target     string
	done       int64 // bytes
}

// megabyte divides what a client may want to have rewritten by one request.
const megabyte = 1 << 20

func (c *call) rewriteObject() (*reply, error) {
	target, source, err := c.conditions()
	if err != nil {
		return nil, err
	}
	step, err := c.step()
	if err != nil {
		return nil, err
	}
	d, err := c.readDocument()
	if err != nil {
		return nil, err
	}
	if d.kms, err = kmsKey(c.Query.Get("destinationKmsKeyName")); err != nil {
		return nil, err
	}
	if err := checkName(c.Key); err != nil {
		return nil, err
	}
	if c.route.target != c.s.o.Bucket {
		return nil, refuse("notFound", "The specified bucket does not exist.")
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	src, err := c.findObject(c.route.source, "sourceGeneration")
	if err != nil {
		return nil, err
	}
	if err := source.check(src); err != nil {
		return nil, err
	}
	token, w, err := c.rewrite(src)
	if err != nil {
		return nil, err
	}
	if w.done += step; w.done < src.size {
		if err := target.check(c.s.objects[c.Key]); err != nil {
			return nil, err
		}
		c.s.rewrites[token] = w
		return c.rewritten(w, src, map[string]any{"rewriteToken": token})
	}
	o, err := d.copyOf(src)
	if err != nil {
		return nil, err
	}
	if o, err = c.s.publish(c.Key, target, o); err != nil {
		return nil, err
	}
	delete(c.s.rewrites, token)
	w.done = o.size
	return c.rewritten(w, src, map[string]any{"resource": c.resource(o)})
}

// step is how many bytes this request may rewrite.
func (c *call) step() (int64, error) {
	n, err := c.number("maxBytesRewrittenPerCall")
	switch {
	case err != nil:
		return 0, err
	case n == 0 || n > 0 && n%megabyte != 0:
		return 0, invalid("maxBytesRewrittenPerCall must be an integral multiple of 1 MiB (%d)", megabyte).
			at("maxBytesRewrittenPerCall")
	case n < 0:
		n = c.s.o.Quirks.RewriteStep
	}
	return min(n, c.s.o.Quirks.RewriteStep), nil
}

// rewrite finds the copy that a token belongs to, or begins one. What it returns is not kept yet.
// The caller holds the lock.
func (c *call) rewrite(src *object) (token string, w rewrite, err error) {
	fresh := rewrite{source: src.key, generation: src.generation, target: c.Key}
	token = c.Query.Get("rewriteToken")
	if token == "" {
		return c.s.newID(), fresh, nil
	}
	w, known := c.s.rewrites[token]
	fresh.done = w.done
	if !known || w != fresh {
		return "", rewrite{}, invalid("Invalid rewrite token").at("rewriteToken")
	}
	return token, w, nil
}

// copyOf is a copy with what is said of the source, unless something is said of the copy.
func (d *description) copyOf(src *object) (*object, error) {
	o := src.same()
	if d.fields > 0 {
		class := cmp.Or(d.class, src.class)
		kms := d.kms
		o.attrs = d.attrs.clone()
		o.class, o.kms = class, kms
	} else {
		o.kms = d.kms
	}
	return o, o.attrs.check()
}

func (c *call) rewritten(w rewrite, src *object, also map[string]any) (*reply, error) {
	_, more := also["rewriteToken"]
	v := map[string]any{
		"kind":                "storage#rewriteResponse",
		"done":                !more,
		"objectSize":          strconv.FormatInt(src.size, 10),
		"totalBytesRewritten": strconv.FormatInt(w.done, 10),
	}
	for name, value := range also {
		v[name] = value
	}
	return c.document(v)
}
