// Package yamlfile reads the YAML files that people write for Sluice.
//
// It is strict: a key that nobody reads is a problem, as is one given twice. Every problem names its
// line, and all of them are reported at once, those that the caller finds in the values included.
// What stands in a scalar is taken as it is written, so that 0640 stays "0640" and off stays "off".
package yamlfile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Problem is one thing that is wrong in a file.
type Problem struct {
	File         string
	Line, Column int
	// Key is the path to the value: "users[2].name". It is empty when the file as a whole is meant.
	Key string
	// Text says what is wrong and how to mend it. It never quotes a secret.
	Text string
}

// String returns file:line:column: key: text.
func (p Problem) String() string {
	s := fmt.Sprintf("%s:%d:%d: ", p.File, p.Line, p.Column)
	if p.Key != "" {
		s += p.Key + ": "
	}
	return s + p.Text
}

// Problems are all that is wrong in a file, in its order. It is an error with a line for each.
type Problems []Problem

// Error returns one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Document is a parsed file and what was found wrong in it so far.
type Document struct {
	// Expand, if set, turns a scalar as it is written into what it means. It is called after
	// parsing, so that what it returns cannot become YAML.
	Expand func(string) (string, error)

	name     string
	body     ast.Node
	places   map[string]*token.Position
	faulty   map[string]bool
	problems Problems
}

// Parse reads data. A syntax error is returned as Problems; name is the file's name in them.
func Parse(name string, data []byte) (*Document, error) {
	return parse(name, oneLineEnd(data), parser.ParseBytes)
}

// oneLineEnd is for the parser, which counts the CR and the LF after a comment as two lines.
func oneLineEnd(data []byte) []byte { return bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")) }

type parserFunc func(data []byte, mode parser.Mode, opts ...parser.Option) (*ast.File, error)

func parse(name string, data []byte, parser parserFunc) (*Document, error) {
	d := &Document{name: name, places: map[string]*token.Position{}, faulty: map[string]bool{}}
	file, err := d.call(parser, bytes.TrimPrefix(data, []byte("\ufeff")))
	if err != nil {
		return nil, err
	}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if d.body != nil {
			d.add(position(doc.Body), "", "a second document; everything has to stand in one")
			return nil, d.Err()
		}
		d.body = doc.Body
	}
	return d, nil
}

// call keeps a panic of the parser to itself: a file is read again while a gateway serves. What was
// panicked with is left out, as it may quote the file.
func (d *Document) call(parse parserFunc, data []byte) (file *ast.File, err error) {
	defer func() {
		if recover() != nil {
			d.add(nil, "", "not YAML that can be read: the parser failed on it; write it in a simpler way")
			err = d.Err()
		}
	}()
	file, err = parse(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, d.syntax(err)
	}
	return file, nil
}

// syntax leaves out the excerpt of the source that the parser's error has: it may show a secret.
func (d *Document) syntax(err error) error {
	var ye yaml.Error
	if !errors.As(err, &ye) {
		return fmt.Errorf("%s: %w", d.name, err)
	}
	var at *token.Position
	if tk := ye.GetToken(); tk != nil {
		at = tk.Position
	}
	d.add(at, "", "not YAML: "+ye.GetMessage())
	return d.Err()
}

// Decode reads the document into the struct that into points to; see Raw.Decode. What it finds wrong
// is in Err.
func (d *Document) Decode(into any) { Raw{doc: d, node: d.body}.Decode(into) }

// Has reports whether the file gives a value for key.
func (d *Document) Has(key string) bool {
	_, ok := d.places[key]
	return ok
}

// Problem adds what is wrong with the value of key, at its line; when the key is missing, at the
// line of what it belongs in. Where something is wrong already with the key or what it belongs in,
// nothing is added: it would only follow from that.
func (d *Document) Problem(key, format string, args ...any) {
	for k := key; k != ""; k = parent(k) {
		if d.faulty[k] {
			return
		}
	}
	d.problems = append(d.problems, d.At(key, fmt.Sprintf(format, args...)))
	d.faulty[key] = true
}

// At returns a problem with the value of key, placed as Problem does, and does not add it: it was
// found out after the document had been taken.
func (d *Document) At(key, text string) Problem {
	for k := key; k != ""; k = parent(k) {
		if at := d.places[k]; at != nil {
			return d.problem(at, key, text)
		}
	}
	return d.problem(nil, key, text)
}

// parent returns the path to what the value at key belongs in, "" for the document.
func parent(key string) string { return key[:max(0, strings.LastIndexAny(key, ".["))] }

func (d *Document) add(at *token.Position, key, text string) {
	d.problems = append(d.problems, d.problem(at, key, text))
	d.faulty[key] = true
}

func (d *Document) problem(at *token.Position, key, text string) Problem {
	p := Problem{File: d.name, Line: 1, Column: 1, Key: key, Text: text}
	if at != nil {
		p.Line, p.Column = at.Line, at.Column
	}
	return p
}

// Count returns how many problems were found so far.
func (d *Document) Count() int { return len(d.problems) }

// Err returns Problems when there are any.
func (d *Document) Err() error {
	if len(d.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(d.problems, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return slices.Clone(d.problems)
}

func position(n ast.Node) *token.Position {
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 {
		n = m.Values[0].Key // the token of a mapping is its first colon
	}
	if tk := n.GetToken(); tk != nil {
		return tk.Position
	}
	return nil
}
