package yamlfile_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sluice-ftp/sluice/yamlfile"
)

type shout string

func (s *shout) UnmarshalText(text []byte) error {
	if string(text) == "quiet" {
		return errors.New("too quiet; shout")
	}
	*s = shout(strings.ToUpper(string(text)))
	return nil
}

type inner struct {
	Text string `yaml:"text"`
	Last string `yaml:"last"`
}

type outer struct {
	Text   string                  `yaml:"text"`
	Number int                     `yaml:"number"`
	Flag   bool                    `yaml:"flag"`
	Shout  shout                   `yaml:"shout"`
	Inner  inner                   `yaml:"inner"`
	List   []inner                 `yaml:"list"`
	Map    map[string]inner        `yaml:"map"`
	Raw    map[string]yamlfile.Raw `yaml:"raw"`
}

func decode(t *testing.T, text string) (outer, *yamlfile.Document, string) {
	t.Helper()
	doc, err := yamlfile.Parse("F", []byte(text))
	if err != nil {
		return outer{}, nil, err.Error()
	}
	v := outer{Text: "default", Number: 7}
	doc.Decode(&v)
	if err := doc.Err(); err != nil {
		return v, doc, err.Error()
	}
	return v, doc, ""
}

func TestDecode(t *testing.T) {
	got, doc, problems := decode(t, "\ufefftext: |\n  two\n  lines\r\nnumber: -5\nflag: true\nshout: hey\n"+
		"inner: {text: 'it''s', last: \"a\\tb\"}\nlist:\n  - text: >-\n      folded\n      text\n  - last: 1_000\n"+
		"map: {0640: {text: .inf}, no: {}, empty: }\nraw: {a: {kind: x, text: 0x1F}}\n")
	if problems != "" {
		t.Fatal(problems)
	}
	want := outer{
		Text: "two\nlines\n", Number: -5, Flag: true, Shout: "HEY",
		Inner: inner{"it's", "a\tb"},
		List:  []inner{{Text: "folded text"}, {Last: "1_000"}},
		Map:   map[string]inner{"0640": {Text: ".inf"}, "no": {}, "empty": {}},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(outer{}, "Raw")); diff != "" {
		t.Error(diff)
	}
	var in inner
	raw := got.Raw["a"]
	raw.Decode(&in, "kind")
	if raw.Text("kind") != "x" || raw.Text("none") != "" || in.Text != "0x1F" || raw.Key != "raw.a" || doc.Err() != nil {
		t.Error(raw.Text("kind"), in, raw.Key, doc.Err())
	}
	if !doc.Has("inner.text") || doc.Has("inner.none") || !doc.Has("list[1].last") {
		t.Error("Has")
	}
	doc.Problem("raw.a.kind", "bad")
	doc.Problem("raw.a.none", "bad")
	doc.Problem("nowhere.at.all", "bad")
	if diff := cmp.Diff("F:1:1: nowhere.at.all: bad\nF:14:11: raw.a.none: bad\nF:14:17: raw.a.kind: bad", doc.Err().Error()); diff != "" {
		t.Error(diff)
	}
}

// Missing and null keys leave what was there.
func TestDecodeDefaults(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "text:\nnumber: ~\nflag: null\n", "~"} {
		got, _, problems := decode(t, text)
		if got.Text != "default" || got.Number != 7 || problems != "" {
			t.Errorf("%q: %+v %s", text, got, problems)
		}
	}
}

func TestDecodeProblems(t *testing.T) {
	for text, want := range map[string]string{
		"number: 1.5\nflag: yes\nshout: quiet":               "F:1:9: number: \"1.5\" is not a whole number\nF:2:7: flag: \"yes\" is neither true nor false\nF:3:8: shout: too quiet; shout",
		"number: 99999999999999999999":                       "F:1:9: number: \"99999999999999999999\" is not a whole number",
		"text: [a]\ninner: b\nlist: c\nmap: d":               "F:1:7: text: must be a single value\nF:2:8: inner: must be keys with values\nF:3:7: list: must be a list\nF:4:6: map: must be keys with values",
		"# one\r\n# two\r\nhidden: x\r\n":                    "F:3:1: hidden: unknown key; known here are text, number, flag, shout, inner, list, map, raw",
		"inner: {text: $a$v=19$m=65536,t=3,p=1$c2Fs$aGFzaA}": "F:1:31: inner: something that is no key; a value with a comma needs quotes; known here are text, last\nF:1:35: inner: something that is no key; a value with a comma needs quotes; known here are text, last",
		"inner: {text: a,p=1$c2Fs: x,p=1$c2Fs: y}":           "F:1:17: inner: something that is no key; a value with a comma needs quotes; known here are text, last\nF:1:29: inner: given a second time; the first is in line 1",
		"hidden: x":                      "F:1:1: hidden: unknown key; known here are text, number, flag, shout, inner, list, map, raw",
		"list:\n- {txt: a}\n- {text: b}": "F:2:4: list[0].txt: unknown key; known here are text, last",
		"inner: {<<: {text: a}}":         "F:1:9: inner: anchors and aliases are not read; write the value out",
		"map: {a: {}, a: {text: x}}":     "F:1:14: map.a: given a second time; the first is in line 1",
		"text: a\n---\ntext: b":          "F:3:1: a second document; everything has to stand in one",
		"text: 'a":                       "F:1:7: not YAML: could not find end character of single-quoted text",
	} {
		if _, _, got := decode(t, text); got != want {
			t.Errorf("%q:\n%s\nwant\n%s", text, got, want)
		}
	}
}

// What a scalar expands to is a value and no YAML, and a default is not expanded.
func TestExpand(t *testing.T) {
	doc, err := yamlfile.Parse("F", []byte("text: x\nnumber: n\ninner: {text: bad}"))
	if err != nil {
		t.Fatal(err)
	}
	doc.Expand = func(s string) (string, error) {
		switch s {
		case "n":
			return "12", nil
		case "bad":
			return "", errors.New("no such variable")
		}
		return s + ": [", nil
	}
	v := outer{Inner: inner{Last: "kept"}}
	doc.Decode(&v)
	if v.Text != "x: [" || v.Number != 12 || v.Inner.Last != "kept" {
		t.Errorf("%+v", v)
	}
	if err := doc.Err(); err == nil || err.Error() != "F:3:15: inner.text: no such variable" {
		t.Error(err)
	}
}

// A parser that panics is a problem of the file, and what it panicked with may be a secret.
func TestParsePanic(t *testing.T) {
	doc, err := yamlfile.ParsePanic("F", "index out of range: hunter2")
	var problems yamlfile.Problems
	if !errors.As(err, &problems) || doc != nil || !strings.HasPrefix(err.Error(), "F:1:1: not YAML that can be read") {
		t.Errorf("%v, %v", doc, err)
	}
	if err != nil && strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}

// What is found out later has the same place and is not one of the document's own problems.
func TestAt(t *testing.T) {
	_, doc, _ := decode(t, "inner:\n  text: x\n")
	for key, want := range map[string]string{
		"inner.text": "F:2:9: inner.text: bad",
		"inner.last": "F:2:3: inner.last: bad",
		"text":       "F:1:1: text: bad",
	} {
		if got := doc.At(key, "bad").String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if doc.Err() != nil {
		t.Error(doc.Err())
	}
}
