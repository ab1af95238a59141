package yamlfile

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// entry is one of a draft's list.
type entry struct {
	*draft
	*ast.MappingNode
	i int
}

// place is the path to the value of key.
func (e *entry) place(key string) string { return fmt.Sprintf("%s[%d].%s", e.draft.Key, e.i, key) }

// in returns the entry in the meaning of its document.
func (e *entry) in(root map[string]any) map[string]any {
	list, _ := root[e.draft.Key].([]any)
	m, _ := list[e.i].(map[string]any)
	return m
}

// index is that of the pair of key, or -1.
func (e *entry) index(key string) int {
	for i, kv := range e.Values {
		if name, _ := text(kv.Key); name == key {
			return i
		}
	}
	return -1
}

// set writes strings with quotes: secrets may look like anything.
func (e *entry) set(key string, value any) *splice {
	with := inline(value)
	if s, ok := value.(string); ok {
		with = quote(s)
	}
	if kv := pair(e.MappingNode, key); kv != nil {
		return e.replace(kv, with)
	}
	id := pair(e.MappingNode, e.ID)
	_, end, ok := e.span(id)
	if !ok {
		return nil
	}
	added := scalar(key) + ": " + with
	if e.IsFlowStyle {
		return &splice{end, end, ", " + added}
	}
	end = e.lineEnd(end)
	indent := strings.Repeat(" ", position(id.Key).Column-1)
	return &splice{end, end, e.lineBreak() + indent + added}
}

func (e *entry) replace(kv *ast.MappingValueNode, with string) *splice {
	from, to, ok := e.span(kv)
	switch {
	case !ok || !single(kv.Value):
		return nil
	case from == to:
		return &splice{from, to, " " + with}
	}
	return &splice{from, to, with}
}

// single: the value is a scalar or missing, so that no comment stands in it.
func single(n ast.Node) bool {
	_, scalar := text(n)
	_, null := n.(*ast.NullNode)
	return scalar || null
}

// unset removes the pair i, which is not the ID and so not the only one.
func (e *entry) unset(i int) *splice {
	kv := e.Values[i]
	from := e.offset(position(kv.Key))
	value, to, ok := e.span(kv)
	colon := e.behindColon(kv)
	if !ok || !single(kv.Value) || colon > value || strings.Contains(e.text[colon:value], "#") {
		return nil
	}
	next := len(e.text)
	if i+1 < len(e.Values) {
		next = e.offset(position(e.Values[i+1].Key))
	}
	if next < to {
		return nil
	}
	if e.IsFlowStyle {
		return e.unsetFlow(i, from, to, next)
	}
	begin, end := e.lineStart(from), e.lineEnd(to)
	switch {
	case blank(e.text[begin:from]) && blank(e.text[to:end]):
		return e.cutLine(begin, end)
	case !blank(e.text[begin:from]) && blank(e.text[to:next]):
		to = next // the next key takes its place behind the dash
	default:
		to = next - len(strings.TrimLeft(e.text[to:next], " \t")) // a comment takes its place
	}
	return &splice{from, to, ""}
}

// unsetFlow takes a comma along: the one before the next pair, or else the one behind the last.
func (e *entry) unsetFlow(i, from, to, next int) *splice {
	if i+1 < len(e.Values) && strings.TrimSpace(e.text[to:next]) == "," {
		return &splice{from, next, ""}
	}
	if i > 0 {
		if _, end, ok := e.span(e.Values[i-1]); ok && end <= from && strings.TrimSpace(e.text[end:from]) == "," {
			return &splice{end, to, ""}
		}
	}
	return nil // comments stand between
}
