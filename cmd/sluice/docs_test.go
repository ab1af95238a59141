package main

import (
	"encoding"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/yamlfile"
)

const docsFile = "../../docs/configuration.md"

func readDocs(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// row is a line of a table: | `key` | type | default | meaning |.
var row = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]+) \\| ([^|]*) \\| (.+) \\|$")

// The documentation has each key with its default, and no other.
func TestDocsKeys(t *testing.T) {
	want := map[string]string{}
	keys(want, "", reflect.ValueOf(*defaultConfig()))
	want["backends.*.type"] = "required"
	for _, open := range kinds {
		keys(want, "backends.*.", reflect.ValueOf(open()).Elem())
	}
	got := map[string]string{}
	for _, m := range row.FindAllStringSubmatch(readDocs(t), -1) {
		if !strings.HasPrefix(m[1], "users[]") {
			got[m[1]] = strings.Trim(strings.TrimSpace(m[3]), "`")
		}
	}
	for key, value := range want {
		if value == "" && got[key] != "" {
			want[key] = got[key] // required, or what "" means
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// keys adds v's keys with their values.
func keys(into map[string]string, prefix string, v reflect.Value) {
	for _, field := range reflect.VisibleFields(v.Type()) {
		name := field.Tag.Get("yaml")
		if name == "" {
			continue
		}
		f := v.FieldByIndex(field.Index)
		s, isText := f.Interface().(fmt.Stringer)
		switch {
		case isText:
			into[prefix+name] = s.String()
		case f.Kind() == reflect.Struct:
			keys(into, prefix+name+".", f)
		case f.Kind() == reflect.Slice && (f.Type().Elem().Kind() != reflect.Struct || isScalar(f.Type().Elem())):
			into[prefix+name] = ""
		case f.Kind() == reflect.Slice:
			keys(into, prefix+name+"[].", reflect.New(f.Type().Elem()).Elem())
		case f.Kind() == reflect.Map && f.Type().Elem().Kind() != reflect.String:
			// The keys below are those of the kinds.
		case f.Kind() == reflect.Map:
			into[prefix+name] = ""
		default:
			into[prefix+name] = fmt.Sprint(f)
		}
	}
}

// isScalar: values of the type are written as one text.
func isScalar(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// yamlBlocks are the examples in a text.
func yamlBlocks(text string) []string {
	var blocks []string
	for _, b := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, b[1])
	}
	return blocks
}

// Every example in the documentation loads.
func TestDocsExamples(t *testing.T) {
	blocks := yamlBlocks(readDocs(t))
	if len(blocks) < 3 {
		t.Fatalf("%d examples", len(blocks))
	}
	for _, text := range blocks {
		if !strings.Contains(text, "users:\n") {
			if _, err := parseConfig(docsFile, []byte(text), environ(nil)); err != nil {
				t.Errorf("%v\n%s", err, text)
			}
			continue
		}
		path := filepath.Join(t.TempDir(), "users.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := auth.OpenFile(path, auth.Rules{}); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
}

// Every example of a backend loads.
func TestDocsBackends(t *testing.T) {
	const file = "../../docs/backends.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	blocks := yamlBlocks(string(text))
	if len(blocks) < 4 {
		t.Fatalf("%d examples", len(blocks))
	}
	env := environ(map[string]string{"LAKE_SECRET": "x", "EXTERNAL_ID": "x", "SESSION_KEY": testSessionKey})
	for _, text := range blocks {
		c, err := parseConfig(file, []byte("tls: {mode: off}\nusers_file: users.yaml\n"+text), env)
		if err != nil || len(c.stores) == 0 {
			t.Errorf("%v\n%s", err, text)
		}
	}
}

// The documentation has each key of the users file: an unknown one is answered with those known.
func TestDocsUsers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.yaml")
	if err := os.WriteFile(path, []byte("users: [{x: 1, tls: {x: 1}, quota: {x: 1}, bandwidth: {x: 1}, "+
		"mounts: [{x: 1, names: {x: 1}, folders: [{x: 1}]}]}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := auth.OpenFile(path, auth.Rules{})
	var problems yamlfile.Problems
	if !errors.As(err, &problems) {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, p := range problems {
		key, known := regexp.MustCompile(`\[\d+\]`).ReplaceAllString(p.Key, "[]"), ""
		if _, err := fmt.Sscanf(p.Text, "unknown key; known here are %s", &known); err != nil {
			continue
		}
		_, names, _ := strings.Cut(p.Text, "known here are ")
		for _, name := range strings.Split(names, ", ") {
			want[strings.TrimSuffix(key, "x")+name] = true
		}
	}
	for _, key := range []string{"mounts", "mounts[].names", "mounts[].folders", "tls", "quota", "bandwidth"} {
		delete(want, "users[]."+key) // its keys follow
	}
	got := map[string]bool{}
	for _, m := range row.FindAllStringSubmatch(readDocs(t), -1) {
		if strings.HasPrefix(m[1], "users[]") {
			got[m[1]] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || len(got) < 5 {
		t.Error(diff)
	}
}
