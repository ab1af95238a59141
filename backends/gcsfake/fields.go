package gcsfake

import "strings"

// mask is which fields of a document were asked for; nil is all.
type mask map[string]mask

// selected is the part of a document that the parameter fields asks for.
func (c *call) selected(v map[string]any) (map[string]any, error) {
	text := c.Query.Get("fields")
	if text == "" || text == "*" {
		return v, nil
	}
	m, rest, ok := parseMask(text)
	if !ok || rest != "" {
		return nil, refuse("invalidParameter", "Invalid field selection %s", text).at("fields")
	}
	return m.apply(v), nil
}

// parseMask reads fields like a,b(c,d),e/f to the end or to a closing bracket.
func parseMask(s string) (m mask, rest string, ok bool) {
	m = mask{}
	for {
		if s, ok = m.parseField(s); !ok || !strings.HasPrefix(s, ",") {
			return m, s, ok
		}
		s = s[1:]
	}
}

// parseField reads one field and what is asked for below it.
func (m mask) parseField(s string) (rest string, ok bool) {
	end := strings.IndexAny(s, ",()/")
	if end < 0 {
		end = len(s)
	}
	name := strings.TrimSpace(s[:end])
	var below mask
	s, ok = s[end:], name != ""
	switch {
	case ok && strings.HasPrefix(s, "/"):
		below = mask{}
		s, ok = below.parseField(s[1:])
	case ok && strings.HasPrefix(s, "("):
		if below, s, ok = parseMask(s[1:]); ok {
			s, ok = strings.CutPrefix(s, ")")
		}
	}
	if ok {
		m.add(name, below)
	}
	return s, ok
}

// add joins a field with what was asked for of it before.
func (m mask) add(name string, below mask) {
	before, known := m[name]
	switch {
	case !known:
		m[name] = below
	case before == nil || below == nil:
		m[name] = nil
	default:
		for n, b := range below {
			before.add(n, b)
		}
	}
}

// apply keeps what was asked for.
func (m mask) apply(v map[string]any) map[string]any {
	if _, all := m["*"]; m == nil || all {
		return v
	}
	kept := map[string]any{}
	for name, below := range m {
		switch value := v[name].(type) {
		case nil:
		case map[string]any:
			kept[name] = below.apply(value)
		case map[string]string:
			entries := map[string]any{}
			for k, e := range value {
				entries[k] = e
			}
			kept[name] = below.apply(entries)
		case []map[string]any:
			items := make([]map[string]any, len(value))
			for i, item := range value {
				items[i] = below.apply(item)
			}
			kept[name] = items
		default:
			kept[name] = value
		}
	}
	return kept
}
