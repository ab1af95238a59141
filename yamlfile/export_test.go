package yamlfile

import (
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// ParsePanic is Parse with a parser that panics with p.
func ParsePanic(name string, p any) (*Document, error) {
	return parse(name, nil, func([]byte, parser.Mode, ...parser.Option) (*ast.File, error) { panic(p) })
}
