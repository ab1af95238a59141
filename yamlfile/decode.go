package yamlfile

import (
	"encoding"
	"fmt"
	"iter"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Raw is a value whose form the caller knows only after having looked at it.
type Raw struct {
	// Key is the path to it.
	Key string

	doc  *Document
	node ast.Node
}

// Decode reads r into the struct that into points to. Its fields are named by yaml tags and are
// structs, slices, maps by string, strings, integers, booleans, Raw, or encoding.TextUnmarshaler,
// whose error is taken as the problem's text. A key that is missing or null leaves the field as it
// is. Keys named in others may stand beside those of the struct.
func (r Raw) Decode(into any, others ...string) {
	if r.node == nil {
		return
	}
	v := reflect.ValueOf(into).Elem()
	if _, ok := r.node.(*ast.NullNode); !ok {
		r.doc.structure(r.node, r.Key, v, others)
	}
}

// Text returns the scalar at key within r, "" if there is none.
func (r Raw) Text(key string) string {
	m, ok := r.node.(*ast.MappingNode)
	if !ok {
		return ""
	}
	for _, kv := range m.Values {
		if name, _ := text(kv.Key); name == key {
			r.doc.places[join(r.Key, key)] = position(kv.Value)
			s, _ := text(kv.Value)
			if e, err := r.doc.expand(s); err == nil {
				return e
			}
		}
	}
	return ""
}

func (d *Document) value(n ast.Node, key string, v reflect.Value) {
	if _, ok := n.(*ast.NullNode); ok {
		return
	}
	d.places[key] = position(n)
	if raw, ok := v.Addr().Interface().(*Raw); ok {
		*raw = Raw{Key: key, doc: d, node: n}
		return
	}
	if _, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		d.scalar(n, key, v)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(n, key, v, nil)
	case reflect.Map:
		d.mapping(n, key, v)
	case reflect.Slice:
		d.sequence(n, key, v)
	default:
		d.scalar(n, key, v)
	}
}

// structure reads a mapping whose keys are v's fields, and those of structs that are embedded in it.
func (d *Document) structure(n ast.Node, key string, v reflect.Value, others []string) {
	fields := map[string]reflect.Value{}
	var known []string
	for _, f := range reflect.VisibleFields(v.Type()) {
		if name := f.Tag.Get("yaml"); name != "" {
			fields[name] = v.FieldByIndex(f.Index)
			known = append(known, name)
		}
	}
	known = append(known, others...)
	for name, kv := range d.pairs(n, key) {
		if f, ok := fields[name]; ok {
			d.value(kv.Value, join(key, name), f)
		} else if !slices.Contains(others, name) {
			d.unknown(kv, key, name, known)
		}
	}
}

// plainKey is what people may have meant as a key. What is not may be a part of a secret: the rest, behind a
// comma, of a value without quotes in a flow mapping.
var plainKey = regexp.MustCompile(`^[A-Za-z][a-z0-9_-]{0,39}$`)

func (d *Document) unknown(kv *ast.MappingValueNode, key, name string, known []string) {
	text := "known here are " + strings.Join(known, ", ")
	if plainKey.MatchString(name) {
		d.add(position(kv.Key), join(key, name), "unknown key; "+text)
		return
	}
	d.add(position(kv.Key), key, "something that is no key; a value with a comma needs quotes; "+text)
}

// mapping reads a mapping whose keys are free.
func (d *Document) mapping(n ast.Node, key string, v reflect.Value) {
	m := reflect.MakeMap(v.Type())
	for name, kv := range d.pairs(n, key) {
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(kv.Value, join(key, name), e)
		m.SetMapIndex(reflect.ValueOf(name), e)
	}
	v.Set(m)
}

func (d *Document) sequence(n ast.Node, key string, v reflect.Value) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.wrong(n, key, "a list")
		return
	}
	s := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
	for i, e := range seq.Values {
		k := fmt.Sprintf("%s[%d]", key, i)
		if _, ok := e.(*ast.NullNode); ok {
			d.add(position(e), k, "an empty entry; remove it or fill it in")
			continue
		}
		d.value(e, k, s.Index(i))
	}
	v.Set(s)
}

// pairs yields the keys of a mapping with their values, and reports what is not one.
func (d *Document) pairs(n ast.Node, key string) iter.Seq2[string, *ast.MappingValueNode] {
	return func(yield func(string, *ast.MappingValueNode) bool) {
		m, ok := n.(*ast.MappingNode)
		if !ok {
			d.wrong(n, key, "keys with values")
			return
		}
		seen := map[string]int{}
		for _, kv := range m.Values {
			name, ok := text(kv.Key)
			if !ok {
				d.wrong(kv.Key, key, "a plain name as key")
				continue
			}
			if line, ok := seen[name]; ok {
				if !plainKey.MatchString(name) {
					name = ""
				}
				d.add(position(kv.Key), join(key, name), fmt.Sprintf("given a second time; the first is in line %d", line))
				continue
			}
			seen[name] = position(kv.Key).Line
			if !yield(name, kv) {
				return
			}
		}
	}
}

func (d *Document) scalar(n ast.Node, key string, v reflect.Value) {
	s, ok := text(n)
	if !ok {
		d.wrong(n, key, "a single value")
		return
	}
	s, err := d.expand(s)
	if err == nil {
		err = set(v, s)
	}
	if err != nil {
		d.add(position(n), key, err.Error())
	}
}

func (d *Document) expand(s string) (string, error) {
	if d.Expand == nil {
		return s, nil
	}
	return d.Expand(s)
}

// set does not quote what a string holds in its errors, for it may be a secret.
func set(v reflect.Value, s string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(s))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Bool:
		if s != "true" && s != "false" {
			return fmt.Errorf("%q is neither true nor false", s)
		}
		v.SetBool(s == "true")
	case reflect.Int, reflect.Int64:
		i, err := strconv.ParseInt(s, 10, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("%q is not a whole number", s)
		}
		v.SetInt(i)
	default:
		panic("yamlfile: cannot decode into a " + v.Type().String())
	}
	return nil
}

// wrong reports a value of another form than the one wanted.
func (d *Document) wrong(n ast.Node, key, want string) {
	switch n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		d.add(position(n), key, "anchors and aliases are not read; write the value out")
	case *ast.TagNode:
		d.add(position(n), key, "tags are not read; leave it out")
	default:
		d.add(position(n), key, "must be "+want)
	}
}

// text returns a scalar as it is written, whatever YAML would take it for.
func text(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func join(key, name string) string {
	if key == "" || name == "" {
		return key + name
	}
	return key + "." + name
}
