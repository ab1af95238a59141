package yamlfile

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Fields are the keys of a mapping with their values, in the order in which they are written.
type Fields []Field

// Field is a key with its value: a string, a bool, a []string or a []Fields.
type Field struct {
	Key   string
	Value any
}

// text returns the string of that key, "" if there is none.
func (f Fields) text(key string) string {
	for _, field := range f {
		if s, ok := field.Value.(string); ok && field.Key == key {
			return s
		}
	}
	return ""
}

// block writes f as an entry of a block, without a line break at its end.
func (f Fields) block(indent, lineBreak string) string {
	var lines []string
	for _, field := range f {
		list, ok := field.Value.([]Fields)
		if !ok {
			lines = append(lines, scalar(field.Key)+": "+inline(field.Value))
			continue
		}
		lines = append(lines, scalar(field.Key)+":")
		for _, e := range list {
			lines = append(lines, "  - "+inline(e))
		}
	}
	return indent + "- " + strings.Join(lines, lineBreak+indent+"  ")
}

// inline writes a value in one line.
func inline(v any) string {
	var parts []string
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v)
	case string:
		return scalar(v)
	case []string:
		for _, s := range v {
			parts = append(parts, scalar(s))
		}
	case []Fields:
		for _, f := range v {
			parts = append(parts, inline(f))
		}
	case Fields:
		for _, f := range v {
			parts = append(parts, scalar(f.Key)+": "+inline(f.Value))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	default:
		panic(fmt.Sprintf("yamlfile: cannot write a %T", v))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// meaning is what a value will be read as.
func meaning(v any) any {
	list := []any{}
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v)
	case []string:
		for _, s := range v {
			list = append(list, s)
		}
		return list
	case []Fields:
		for _, f := range v {
			list = append(list, meaning(f))
		}
		return list
	case Fields:
		m := map[string]any{}
		for _, f := range v {
			m[f.Key] = meaning(f.Value)
		}
		return m
	}
	return v
}

// word is what needs no quotes, unless it is one of words.
var word = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9_./-]*$`)

// words mean something else to readers of YAML, or to some of them.
var words = []string{"true", "false", "yes", "no", "on", "off", "y", "n", "null"}

// scalar writes a string without quotes where that means the same.
func scalar(s string) string {
	if word.MatchString(s) && !slices.Contains(words, strings.ToLower(s)) {
		return s
	}
	return quote(s)
}

// quote writes a string with quotes. What is valid UTF-8 is escaped in Go as it is in YAML.
func quote(s string) string { return strconv.Quote(s) }
