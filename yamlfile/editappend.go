package yamlfile

import (
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// append adds an entry to the list.
func (d *draft) append(entry Fields) *splice {
	if d.list == nil {
		return d.begin(entry)
	}
	list, ok := d.list.Value.(*ast.SequenceNode)
	switch {
	case !ok && d.list.Value.Type() != ast.NullType:
		return nil
	case !ok || len(list.Values) == 0:
		return d.fill(entry)
	case list.IsFlowStyle:
		_, end, ok := d.extent(list.Values[len(list.Values)-1])
		if !ok {
			return nil
		}
		return &splice{end, end, ", " + inline(entry)}
	}
	return d.extend(list, entry)
}

// extend adds an entry to a block that has some, with a blank line between if there was one before
// the last.
func (d *draft) extend(list *ast.SequenceNode, entry Fields) *splice {
	last := len(list.Values) - 1
	dash := list.Entries[last].Start.Position
	indent := dash.Column - 1
	from := d.offset(dash)
	if _, end, ok := d.extent(list.Values[last]); ok {
		from = end // its brackets may end anywhere
	}
	at := d.lineEnd(d.lastLine(from, indent))
	br := d.lineBreak()
	with := br + entry.block(strings.Repeat(" ", indent), br)
	if last > 0 && d.blankBefore(d.lineStart(d.offset(dash))) {
		with = br + with
	}
	return &splice{at, at, with}
}

// blankBefore: the line before the one at begin is blank, or that before its comments.
func (d *draft) blankBefore(begin int) bool {
	for begin > 0 {
		begin = d.lineStart(begin - 1)
		line := strings.TrimSpace(d.text[begin:d.lineEnd(begin)])
		if !strings.HasPrefix(line, "#") {
			return line == ""
		}
	}
	return false
}

// begin adds the list at the end of the text.
func (d *draft) begin(entry Fields) *splice {
	br, indent, before := d.lineBreak(), "", ""
	if d.root != nil {
		indent = strings.Repeat(" ", position(d.root).Column-1)
	}
	if d.text != "" && !strings.HasSuffix(d.text, "\n") {
		before = br
	}
	end := len(d.text)
	return &splice{end, end, before + indent + scalar(d.Key) + ":" + br + entry.block(indent+"  ", br) + br}
}

// fill puts an entry into a list that has none. In place of an empty pair of brackets it begins a
// block, unless brackets are around it.
func (d *draft) fill(entry Fields) *splice {
	_, to, ok := d.span(d.list)
	colon := d.behindColon(d.list)
	if !ok || colon > to || strings.Contains(d.text[colon:to], "#") {
		return nil
	}
	if d.root.IsFlowStyle {
		return &splice{colon, to, " [" + inline(entry) + "]"}
	}
	end := d.lineEnd(to)
	indent := strings.Repeat(" ", position(d.list.Key).Column+1)
	return &splice{colon, end, d.text[to:end] + d.lineBreak() + entry.block(indent, d.lineBreak())}
}

// lastLine returns where the last line of an entry begins, comments that are indented like it
// included. dash is where its dash stands, with that many bytes before it.
func (d *draft) lastLine(at, dash int) int {
	last := d.lineStart(at)
	for begin := last; ; {
		i := strings.IndexByte(d.text[begin:], '\n')
		if i < 0 {
			return last
		}
		begin += i + 1
		line := d.text[begin:d.lineEnd(begin)]
		body := strings.TrimLeft(line, " ")
		switch {
		case blank(line):
		case len(line)-len(body) > dash:
			last = begin
		case body[0] != '#':
			return last
		}
	}
}
