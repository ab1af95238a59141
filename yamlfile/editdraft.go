package yamlfile

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// draft is a text that is to be changed, and where things stand in it.
type draft struct {
	List
	// doc is the text as it was parsed. Its places hold for text too, as lines and columns.
	doc  *Document
	text string
	// mark is the byte order mark that stood before the text.
	mark string
	root *ast.MappingNode      // nil is an empty file
	list *ast.MappingValueNode // nil is none
}

// draft reads data and refuses what a change could not be sure of.
func (l List) draft(data []byte) (*draft, error) {
	d := &draft{List: l, text: string(data)}
	if text, ok := strings.CutPrefix(d.text, "\ufeff"); ok {
		d.mark, d.text = "\ufeff", text
	}
	doc, err := parse(l.File, oneLineEnd([]byte(d.text)), parser.ParseBytes)
	if err != nil {
		return nil, err
	}
	meant := doc.meaning()
	if err := doc.Err(); err != nil {
		return nil, err
	}
	if raw, err := l.meaning(d.text); err != nil || !reflect.DeepEqual(meant, raw) {
		return nil, Problems{doc.At("", "line ends that can be read in more than one way; end all lines alike")}
	}
	d.doc = doc
	if d.root, _ = doc.body.(*ast.MappingNode); d.root != nil {
		d.list = pair(d.root, l.Key)
	}
	return d, nil
}

// find returns the entries of that id.
func (d *draft) find(id string) []*entry {
	if d.list == nil {
		return nil
	}
	list, _ := d.list.Value.(*ast.SequenceNode)
	if list == nil {
		return nil
	}
	var found []*entry
	for i, n := range list.Values {
		m, _ := n.(*ast.MappingNode)
		if m == nil {
			continue
		}
		if kv := pair(m, d.ID); kv != nil {
			if name, ok := text(kv.Value); ok && name == id {
				found = append(found, &entry{draft: d, MappingNode: m, i: i})
			}
		}
	}
	return found
}

// pair returns the pair of that key, or nil.
func pair(m *ast.MappingNode, key string) *ast.MappingValueNode {
	for _, kv := range m.Values {
		if name, _ := text(kv.Key); name == key {
			return kv
		}
	}
	return nil
}

// meaning returns what a text says, which is what a change of it is held to.
func (l List) meaning(text string) (map[string]any, error) {
	doc, err := parse(l.File, []byte(text), parser.ParseBytes)
	if err != nil {
		return nil, err
	}
	root := doc.meaning()
	return root, doc.Err()
}

// meaning is the document as maps, slices, strings and nil. What cannot be edited is a problem.
func (d *Document) meaning() map[string]any {
	switch n := d.body.(type) {
	case nil, *ast.NullNode:
	case *ast.MappingNode:
		root, _ := d.meant(n, "").(map[string]any)
		return root
	default:
		d.wrong(n, "", "keys with values")
	}
	return map[string]any{}
}

func (d *Document) meant(n ast.Node, key string) any {
	d.places[key] = position(n)
	switch n := n.(type) {
	case *ast.NullNode:
		return nil
	case *ast.MappingNode:
		m := map[string]any{}
		for name, kv := range d.pairs(n, key) {
			m[name] = d.meant(kv.Value, join(key, name))
		}
		return m
	case *ast.SequenceNode:
		s := make([]any, len(n.Values))
		for i, e := range n.Values {
			s[i] = d.meant(e, fmt.Sprintf("%s[%d]", key, i))
		}
		return s
	}
	s, ok := text(n)
	if !ok {
		d.wrong(n, key, "a value")
	}
	return s
}

// splice is a change of a text: what stands from one byte up to another is replaced.
type splice struct {
	from, to int
	with     string
}

// finish makes a change at key and reads the result, which has to mean what want makes of the old
// meaning. No splice is a place that cannot be changed.
func (d *draft) finish(key string, s *splice, want func(root map[string]any)) ([]byte, error) {
	if s != nil && s.from <= s.to {
		meant := d.doc.meaning()
		want(meant)
		after := d.text[:s.from] + s.with + d.text[s.to:]
		if got, err := d.meaning(after); err == nil && reflect.DeepEqual(meant, got) {
			return []byte(d.mark + after), nil
		}
	}
	return nil, Problems{d.doc.At(key, "not written in a form that can be changed here; write each key with its value in one line, or change it by hand")}
}
