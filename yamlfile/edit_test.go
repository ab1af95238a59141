package yamlfile_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/yamlfile"
)

var users = yamlfile.List{File: "F", Key: "users", ID: "name"}

// An edit is what a test does to a text.
type edit func(data []byte) ([]byte, error)

func set(id, key string, value any) edit {
	return func(data []byte) ([]byte, error) { return users.Set(data, id, key, value) }
}

func unset(id, key string) edit {
	return func(data []byte) ([]byte, error) { return users.Unset(data, id, key) }
}

func add(name string) edit {
	return func(data []byte) ([]byte, error) {
		return users.Append(data, yamlfile.Fields{{"name", name}, {"p", "$x"}})
	}
}

// partners has comments wherever a comment can stand.
const partners = `# The partners.

users: # all of them
  # acme comes first
  - name: acme            # comments stay
    # its state
    enabled:   true       # key may be missing
    group: partners

    password_hash: "$argon2id$a"   # the old one
    mounts:
      - {path: /, prefix: acme/, permissions: [list, read]} # all
    # the end of acme

  # bolt
  -   totp_secret: ABC    # of the phone
      name: 'bolt'
      password_hash: $2y$04$abc # bcrypt
# The end.
`

type editCase struct {
	before string
	edit   edit
	after  string
}

// editCases are edits by what they are about.
func editCases() map[string]editCase {
	return map[string]editCase{
		"value": {
			"users:\n- name: a\n  p: x\n", set("a", "p", "y"),
			"users:\n- name: a\n  p: \"y\"\n",
		},
		"value, second of three": {
			"users:\n- name: a\n  p: x\n- name: b\n  p: x\n- name: c\n  p: x\n", set("b", "p", "y"),
			"users:\n- name: a\n  p: x\n- name: b\n  p: \"y\"\n- name: c\n  p: x\n",
		},
		"comments, value":         {partners, set("acme", "enabled", false), strings.Replace(partners, "true ", "false ", 1)},
		"comments, quoted value":  {partners, set("acme", "password_hash", "$new"), strings.Replace(partners, `"$argon2id$a"`, `"$new"`, 1)},
		"comments, plain value":   {partners, set("bolt", "password_hash", "$new"), strings.Replace(partners, `$2y$04$abc`, `"$new"`, 1)},
		"comments, new key":       {partners, set("acme", "x", "y"), strings.Replace(partners, "stay\n", "stay\n    x: \"y\"\n", 1)},
		"comments, new last key":  {partners, set("bolt", "enabled", false), strings.Replace(partners, "'bolt'\n", "'bolt'\n      enabled: false\n", 1)},
		"comments, remove":        {partners, unset("acme", "group"), strings.Replace(partners, "    group: partners\n", "", 1)},
		"comments, remove before": {partners, unset("acme", "enabled"), strings.Replace(partners, "enabled:   true       #", "#", 1)},
		"comments, remove first":  {partners, unset("bolt", "totp_secret"), strings.Replace(partners, "totp_secret: ABC    #", "#", 1)},
		"comments, remove last":   {partners, unset("bolt", "password_hash"), strings.Replace(partners, "password_hash: $2y$04$abc #", "#", 1)},
		"comments, remove none":   {partners, unset("bolt", "enabled"), partners},
		"comments, add": {
			partners, add("c"),
			strings.Replace(partners, "# bcrypt\n", "# bcrypt\n\n  - name: c\n    p: \"$x\"\n", 1),
		},
		"remove first":           {"users:\n  - s: x\n    name: a\n", unset("a", "s"), "users:\n  - name: a\n"},
		"remove without newline": {"users:\r\n- name: a\r\n  s: x", unset("a", "s"), "users:\r\n- name: a"},
		"remove last":            {"users:\n- name: a\n  s: x\n", unset("a", "s"), "users:\n- name: a\n"},
		"remove empty":           {"users:\n- name: a\n  s:\n  t: x\n", unset("a", "s"), "users:\n- name: a\n  t: x\n"},
		"empty value":            {"users:\n- name: a\n  s:\n  t: x\n", set("a", "s", "y"), "users:\n- name: a\n  s: \"y\"\n  t: x\n"},
		"empty value, comment":   {"users:\n- name: a\n  s: # c\n", set("a", "s", "y"), "users:\n- name: a\n  s: \"y\" # c\n"},
		"null":                   {"users:\n- name: a\n  s: ~ # c\n", set("a", "s", "y"), "users:\n- name: a\n  s: \"y\" # c\n"},
		"value in the next line": {"users:\n- name: a\n  s: # c\n    x # d\n", set("a", "s", "y"), "users:\n- name: a\n  s: # c\n    \"y\" # d\n"},
		"dash in a line of its own": {
			"users:\n  -\n    name: a\n    s: x\n", set("a", "t", true),
			"users:\n  -\n    name: a\n    t: true\n    s: x\n",
		},
		"no newline at the end, new":      {"users:\n- name: a", set("a", "s", "y"), "users:\n- name: a\n  s: \"y\""},
		"no newline at the end, add":      {"users:\n- name: a", add("b"), "users:\n- name: a\n- name: b\n  p: \"$x\""},
		"no newline, comment":             {"# c", add("b"), "# c\nusers:\n  - name: b\n    p: \"$x\"\n"},
		"crlf, value":                     {"# c\r\nusers: # d\r\n- name: a # e\r\n  s: x\r\n  t: z\r\n", set("a", "s", "y"), "# c\r\nusers: # d\r\n- name: a # e\r\n  s: \"y\"\r\n  t: z\r\n"},
		"crlf, new":                       {"# c\r\nusers:\r\n- name: a # e\r\n", set("a", "s", "y"), "# c\r\nusers:\r\n- name: a # e\r\n  s: \"y\"\r\n"},
		"crlf, add":                       {"users:\r\n- name: a\r\n# e\r\n", add("b"), "users:\r\n- name: a\r\n- name: b\r\n  p: \"$x\"\r\n# e\r\n"},
		"crlf, remove":                    {"users:\r\n- name: a\r\n  s: x\r\n  t: y\r\n", unset("a", "s"), "users:\r\n- name: a\r\n  t: y\r\n"},
		"crlf, block scalar":              {"users:\r\n- name: a\r\n  k: |\r\n    x\r\n    y\r\n  t: y\r\n", set("a", "t", "z"), "users:\r\n- name: a\r\n  k: |\r\n    x\r\n    y\r\n  t: \"z\"\r\n"},
		"byte order mark":                 {"\ufeffusers:\n- name: a\n  s: x\n", set("a", "s", "y"), "\ufeffusers:\n- name: a\n  s: \"y\"\n"},
		"byte order mark, one line":       {"\ufeffusers: [{name: a, s: x}]", set("a", "s", "y"), "\ufeffusers: [{name: a, s: \"y\"}]"},
		"quoted keys":                     {"\"users\":\n- 'name' : \"a\"\n  \"s\" : 'x''y'\n", set("a", "s", "y"), "\"users\":\n- 'name' : \"a\"\n  \"s\" : \"y\"\n"},
		"quoted value with marks":         {`users: [{name: a, s: "x\"] #", t: 'it''s'}]`, set("a", "s", "y"), `users: [{name: a, s: "y", t: 'it''s'}]`},
		"single quotes with marks":        {`users: [{name: a, t: 'it''s \', s: x}]`, set("a", "t", "y"), `users: [{name: a, t: "y", s: x}]`},
		"escapes":                         {"users:\n- name: a\n  s: x\n", set("a", "s", "\"\\\n\tä\x00\u00a0😀\u2028"), "users:\n- name: a\n  s: \"\\\"\\\\\\n\\tä\\x00\\u00a0😀\\u2028\"\n"},
		"name in quotes":                  {"users:\n- name: \"a b\"\n  s: x\n- name: '0640'\n", set("a b", "s", "y"), "users:\n- name: \"a b\"\n  s: \"y\"\n- name: '0640'\n"},
		"name like a number":              {"users:\n- name: 0640\n- name: true\n", set("0640", "s", "y"), "users:\n- name: 0640\n  s: \"y\"\n- name: true\n"},
		"name with a mark":                {"users:\n- name: a#b # c\n  s: x\n", set("a#b", "t", "y"), "users:\n- name: a#b # c\n  t: \"y\"\n  s: x\n"},
		"unicode":                         {"users: # Größe\n- größe: ü # ö\n  name: 日本 # ä\n  s: x\n", set("日本", "s", "y"), "users: # Größe\n- größe: ü # ö\n  name: 日本 # ä\n  s: \"y\"\n"},
		"unicode, one line":               {"users: [{größe: ü, name: 日本, s: x, t: z}]\n", set("日本", "s", "y"), "users: [{größe: ü, name: 日本, s: \"y\", t: z}]\n"},
		"tab before a comment":            {"users:\n- name: a\t# c\n  s: x\t\n", set("a", "s", "y"), "users:\n- name: a\t# c\n  s: \"y\"\t\n"},
		"other lists":                     {"groups:\n- name: a\n  s: x\nusers:\n- name: a\n  s: x\nmore: [{name: a, s: x}]\n", set("a", "s", "y"), "groups:\n- name: a\n  s: x\nusers:\n- name: a\n  s: \"y\"\nmore: [{name: a, s: x}]\n"},
		"same value elsewhere":            {"users:\n- {name: s, s: s, t: s}\n", set("s", "t", "y"), "users:\n- {name: s, s: s, t: \"y\"}\n"},
		"document start":                  {"# c\n---\nusers:\n- name: a\n", add("b"), "# c\n---\nusers:\n- name: a\n- name: b\n  p: \"$x\"\n"},
		"document end":                    {"users:\n- name: a\n...\n", add("b"), "users:\n- name: a\n- name: b\n  p: \"$x\"\n...\n"},
		"multi-line quotes":               {"users:\n- name: a\n  s: \"x\n    z\" # c\n", set("a", "s", "y"), "users:\n- name: a\n  s: \"y\" # c\n"},
		"list of lists beside":            {"users:\n- - name: a\n- name: a\n- x\n-\n", set("a", "s", "y"), "users:\n- - name: a\n- name: a\n  s: \"y\"\n- x\n-\n"},
		"braces, value":                   {"users:\n- {name: a, s: x} # c\n", set("a", "s", "y"), "users:\n- {name: a, s: \"y\"} # c\n"},
		"braces, new":                     {"users:\n- {s: x, name: a} # c\n", set("a", "t", true), "users:\n- {s: x, name: a, t: true} # c\n"},
		"braces, empty value":             {"users:\n- {name: a, s: , t:}\n", set("a", "s", "y"), "users:\n- {name: a, s: \"y\" , t:}\n"},
		"braces, remove first":            {"users:\n- {s: x, name: a}\n", unset("a", "s"), "users:\n- {name: a}\n"},
		"braces, remove middle":           {"users:\n- {name: a, s: x, t: y}\n", unset("a", "s"), "users:\n- {name: a, t: y}\n"},
		"braces, remove last":             {"users:\n- {name: a, s: x }\n", unset("a", "s"), "users:\n- {name: a }\n"},
		"braces, remove behind list":      {"users:\n- {name: a, l: [x, {y: z}], s: x}\n", unset("a", "s"), "users:\n- {name: a, l: [x, {y: z}]}\n"},
		"braces, comma at the end":        {"users:\n- {name: a, s: x, }\n", unset("a", "s"), "users:\n- {name: a, }\n"},
		"braces over lines, new":          {"users:\n- {\n    name: a, # c\n    s: x # d\n  }\n", set("a", "t", "y"), "users:\n- {\n    name: a, t: \"y\", # c\n    s: x # d\n  }\n"},
		"braces, remove before a comment": {"users: [{name: a, s: x, # c\n  t: y}]\n", unset("a", "s"), "users: [{name: a, # c\n  t: y}]\n"},
		"braces over lines, remove":       {"users:\n- {\n    name: a,\n    s: x,\n    t: y\n  }\n", unset("a", "s"), "users:\n- {\n    name: a,\n    t: y\n  }\n"},
		"json":                            {`{"users":[{"name":"a","s":null,"mounts":[{"path":"/"}]}],"x":1}`, set("a", "s", "y"), `{"users":[{"name":"a","s":"y","mounts":[{"path":"/"}]}],"x":1}`},
		"add to brackets":                 {"users: [{name: a}, {name: b, l: [x]} ] # c\n", add("c"), "users: [{name: a}, {name: b, l: [x]}, {name: c, p: \"$x\"} ] # c\n"},
		"add to brackets over lines":      {"users: [\n  {name: a}, # c\n]\n", add("b"), "users: [\n  {name: a}, {name: b, p: \"$x\"}, # c\n]\n"},
		"add behind braces":               {"users:\n- {\n  name: a\n}\n# c\n", add("b"), "users:\n- {\n  name: a\n}\n- name: b\n  p: \"$x\"\n# c\n"},
		"add behind a block scalar":       {"users:\n- name: a\n  k: |\n    # x\n\n    y\n\nmore: x\n", add("b"), "users:\n- name: a\n  k: |\n    # x\n\n    y\n- name: b\n  p: \"$x\"\n\nmore: x\n"},
		"add, comments around":            {"users:\n  - name: a\n # less\n    s: x\n    # of a\n  # of nobody\n\nmore: x\n", add("b"), "users:\n  - name: a\n # less\n    s: x\n    # of a\n  - name: b\n    p: \"$x\"\n  # of nobody\n\nmore: x\n"},
		"add, blank lines between":        {"users:\n\n  - name: a\n\n  # b\n  - name: b\n", add("c"), "users:\n\n  - name: a\n\n  # b\n  - name: b\n\n  - name: c\n    p: \"$x\"\n"},
		"add, blank line above":           {"users:\n\n  - name: a\n", add("c"), "users:\n\n  - name: a\n  - name: c\n    p: \"$x\"\n"},
		"add to nothing":                  {"", add("a"), "users:\n  - name: a\n    p: \"$x\"\n"},
		"add to comments":                 {"# c\r\n\r\n", add("a"), "# c\r\n\r\nusers:\r\n  - name: a\r\n    p: \"$x\"\r\n"},
		"add without a list":              {"groups:\n- name: a\n", add("a"), "groups:\n- name: a\nusers:\n  - name: a\n    p: \"$x\"\n"},
		"add without a list, indents":     {"  groups:\n  - name: a", add("a"), "  groups:\n  - name: a\n  users:\n    - name: a\n      p: \"$x\"" + "\n"},
		"add to an empty list":            {"users: # c\nmore: x\n", add("a"), "users: # c\n  - name: a\n    p: \"$x\"\nmore: x\n"},
		"add to a null":                   {"users: ~ # c\n", add("a"), "users: # c\n  - name: a\n    p: \"$x\"\n"},
		"add to empty brackets":           {"users: [ ] # c\n", add("a"), "users: # c\n  - name: a\n    p: \"$x\"\n"},
		"add to empty json":               {`{"users":[]}`, add("a"), `{"users": [{name: a, p: "$x"}]}`},
		"add, name like a word":           {"", add("no"), "users:\n  - name: \"no\"\n    p: \"$x\"\n"},
		"add, name with a space":          {"", add("ä b"), "users:\n  - name: \"ä b\"\n    p: \"$x\"\n"},
	}
}

func TestEdit(t *testing.T) {
	for name, c := range editCases() {
		t.Run(name, func(t *testing.T) {
			got, err := c.edit([]byte(c.before))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.after, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

const byHand = "not written in a form that can be changed here; write each key with its value in one line, or change it by hand"

type refusal struct {
	edit edit
	want string
}

// refusals are edits that are not made, by the text.
func refusals() map[string]refusal {
	return map[string]refusal{
		"":                                          {set("a", "s", "y"), "yamlfile: no such entry"},
		"users:\n":                                  {set("a", "s", "y"), "yamlfile: no such entry"},
		"users: x\n":                                {unset("a", "s"), "yamlfile: no such entry"},
		"users:\n- name:\n- x: \n":                  {set("", "s", "y"), "yamlfile: no such entry"},
		"groups:\n- name: a\n":                      {unset("a", "name"), "yamlfile: no such entry"},
		"users: [{name: a}]":                        {add("a"), "yamlfile: the entry exists already"},
		"users: [{name: a}, {name: a}]":             {set("a", "s", "y"), "F:1:27: users[1].name: the same as users[0].name; remove one"},
		"users: 'x":                                 {add("a"), "F:1:8: not YAML: could not find end character of single-quoted text"},
		"- name: a\n":                               {add("a"), "F:1:1: must be keys with values"},
		"users: x # c\n":                            {add("a"), "F:1:8: users: " + byHand},
		"users: {}\n":                               {add("a"), "F:1:8: users: " + byHand},
		"{}\n":                                      {add("a"), "F:1:1: users: " + byHand},
		"users: # c\n  ~\n":                         {add("a"), "F:2:3: users: " + byHand},
		"users: [ # c\n]\n":                         {add("a"), "F:1:8: users: " + byHand},
		"users: [name: a]\n":                        {add("b"), "F:1:8: users: " + byHand},
		"x: y\n...\n":                               {add("b"), "F:1:1: users: " + byHand},
		"users: &x [{name: a}]":                     {set("a", "s", "y"), "F:1:8: users: anchors and aliases are not read; write the value out"},
		"users:\n- name: a\n  s: &x y":              {set("a", "t", "y"), "F:3:6: users[0].s: anchors and aliases are not read; write the value out"},
		"x: &x y\nusers:\n- name: *x":               {set("y", "t", "y"), "F:1:4: x: anchors and aliases are not read; write the value out\nF:3:9: users[0].name: anchors and aliases are not read; write the value out"},
		"users:\n- <<: {name: a}\n":                 {set("a", "t", "y"), "F:2:3: users[0]: anchors and aliases are not read; write the value out"},
		"users:\n- name: !!str a\n":                 {set("a", "t", "y"), "F:2:9: users[0].name: tags are not read; leave it out"},
		"users:\n- name: a\n  s: x\n  s: y":         {set("a", "t", "y"), "F:4:3: users[0].s: given a second time; the first is in line 3"},
		"users:\n- ? name\n  : a\n":                 {set("a", "t", "y"), "F:2:3: users[0]: must be a plain name as key"},
		"users:\n-\tname: a\n":                      {set("a", "t", "y"), "F:2:6: not YAML: tab character cannot use as a map key directly"},
		"users:\n- name: a\n  s: |\n    x\n":        {set("a", "s", "y"), "F:3:6: users[0].s: " + byHand},
		"users:\n- name: a\n  s: >-\n    x\n":       {unset("a", "s"), "F:3:6: users[0].s: " + byHand},
		"users:\n- name: a\n  s: x\n    y\n":        {set("a", "s", "y"), "F:3:6: users[0].s: " + byHand},
		"users:\n- name: a\n  s: [x]\n":             {set("a", "s", "y"), "F:3:6: users[0].s: " + byHand},
		"users:\n- name: a\n  s: [x, # c\n    y]\n": {unset("a", "s"), "F:3:6: users[0].s: " + byHand},
		"users:\n- name: a\n  s:\n    t: x\n":       {unset("a", "s"), "F:4:5: users[0].s: " + byHand},
		"users:\n- name: |\n    a\n  s: x\n":        {set("a\n", "t", "y"), "F:2:3: users[0].t: " + byHand},
		"users: [name: a]":                          {set("a", "t", "y"), "F:1:9: users[0].t: " + byHand},
		"users: [{name: a, # c\n s: x # d\n}]":      {unset("a", "s"), "F:2:5: users[0].s: " + byHand},
		"users: []\n---\nusers: []\n":               {add("a"), "F:3:1: a second document; everything has to stand in one"},
	}
}

func TestEditRefused(t *testing.T) {
	for text, c := range refusals() {
		got, err := c.edit([]byte(text))
		if err == nil {
			t.Errorf("%q became %q", text, got)
			continue
		}
		if diff := cmp.Diff(c.want, err.Error()); diff != "" || got != nil {
			t.Errorf("%q: %s", text, diff)
		}
	}
	if _, err := users.Set(nil, "a", "s", true); !errors.Is(err, yamlfile.ErrNoEntry) {
		t.Error(err)
	}
}
