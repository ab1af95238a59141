package yamlfile

import (
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// offset is where p is in the text. It is in bounds, whatever the parser said.
func (d *draft) offset(p *token.Position) int {
	at := 0
	for range p.Line - 1 {
		i := strings.IndexByte(d.text[at:], '\n')
		if i < 0 {
			return len(d.text)
		}
		at += i + 1
	}
	for range p.Column - 1 {
		_, n := utf8.DecodeRuneInString(d.text[at:])
		at += n
	}
	return at
}

func (d *draft) lineStart(at int) int { return strings.LastIndexByte(d.text[:at], '\n') + 1 }

// lineEnd is where the line break begins, or the text ends.
func (d *draft) lineEnd(at int) int {
	i := strings.IndexByte(d.text[at:], '\n')
	if i < 0 {
		return len(d.text)
	}
	end := at + i
	if end > at && d.text[end-1] == '\r' {
		end--
	}
	return end
}

// lineBreak is the one that the text uses first.
func (d *draft) lineBreak() string {
	if i := strings.IndexByte(d.text, '\n'); i > 0 && d.text[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// cutLine removes a line with its break; the last line, with the break before it.
func (d *draft) cutLine(begin, end int) *splice {
	if i := strings.IndexByte(d.text[end:], '\n'); i >= 0 {
		return &splice{begin, end + i + 1, ""}
	}
	return &splice{d.lineEnd(d.lineStart(max(begin-1, 0))), len(d.text), ""}
}

// span is where the value of a pair stands, which is nowhere behind the colon when there is none.
func (d *draft) span(kv *ast.MappingValueNode) (from, to int, ok bool) {
	if n, isNull := kv.Value.(*ast.NullNode); isNull && n.Token.Type == token.ImplicitNullType {
		at := d.behindColon(kv)
		return at, at, at > 0
	}
	return d.extent(kv.Value)
}

// behindColon is 0 if there is no colon, as in {key}.
func (d *draft) behindColon(kv *ast.MappingValueNode) int {
	if at := d.offset(kv.Start.Position); strings.HasPrefix(d.text[at:], ":") {
		return at + 1
	}
	return 0
}

// extent is where a value stands that is a scalar or in brackets.
func (d *draft) extent(n ast.Node) (from, to int, ok bool) {
	from = d.offset(n.GetToken().Position)
	switch n := n.(type) {
	case *ast.MappingNode:
		return d.brackets(from, n.End)
	case *ast.SequenceNode:
		return d.brackets(from, n.End)
	}
	to = from + scalarLength(d.text[from:], n.GetToken().Value)
	return from, to, from < to
}

// brackets is an extent up to end; nil is a block, which has none.
func (d *draft) brackets(from int, end *token.Token) (int, int, bool) {
	if end == nil {
		return 0, 0, false
	}
	to := d.offset(end.Position)
	return from, to + 1, from < to && to < len(d.text)
}

// scalarLength is how long the scalar is that text begins with, 0 if it is not in one line without
// quotes and not in quotes.
func scalarLength(text, value string) int {
	switch {
	case strings.HasPrefix(text, `"`):
		return quotedLength(text, '\\')
	case strings.HasPrefix(text, `'`):
		return quotedLength(text, '\'')
	case strings.HasPrefix(text, value):
		return len(value)
	}
	return 0
}

// quotedLength: escape takes away the meaning of the byte behind it. In single quotes it is the quote
// itself, if there are two of them.
func quotedLength(text string, escape byte) int {
	quote := text[0]
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == escape && (escape != quote || strings.HasPrefix(text[i+1:], `'`)):
			i++
		case text[i] == quote:
			return i + 1
		}
	}
	return 0
}

func blank(s string) bool { return strings.Trim(s, " \t\r\n") == "" }
