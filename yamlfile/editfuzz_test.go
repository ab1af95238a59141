package yamlfile_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// Whatever the text, an edit fails, or the one value has changed and no other, and no comment.
func FuzzEdit(f *testing.F) {
	for _, c := range editCases() {
		for op := range byte(3) {
			f.Add([]byte(c.before), "a", "s", "y", op)
			f.Add([]byte(c.before), "acme", "password_hash", "$new", op)
		}
	}
	for text := range refusals() {
		for op := range byte(3) {
			f.Add([]byte(text), "a", "s", "y", op)
			f.Add([]byte(text), "b", "t", "y", op)
		}
	}
	f.Fuzz(func(t *testing.T, before []byte, id, key, value string, op byte) {
		do := []edit{set(id, key, value), unset(id, key), add(id)}[op%3]
		after, err := do(before)
		if err != nil {
			if after != nil {
				t.Errorf("%v and %q", err, after)
			}
			return
		}
		old, ok := leaves(before)
		if !ok {
			return // this reader takes less
		}
		got, ok := leaves(after)
		if !ok {
			t.Fatalf("%q became %q", before, after)
		}
		changed := changes(old, got)
		entry := entryOf(changed)
		at := entry + "." + key
		switch op % 3 {
		case 0:
			check(t, changed, map[string]string{at: value})
		case 1:
			if len(changed) > 0 {
				check(t, changed, map[string]string{at: ""})
			}
		case 2:
			// What was there before may have been an empty file, or a null.
			delete(changed, "")
			delete(changed, "users")
			check(t, changed, map[string]string{entry + ".name": id, entry + ".p": "$x"})
		}
		name := old[entry+".name"]
		if op%3 < 2 && len(changed) > 0 && name != id && key != "name" && !strings.HasPrefix(name, "!") {
			t.Errorf("%q became %q: that is %q", before, after, name)
		}
		if marks(after) < marks(before)-marks([]byte(key+old[at])) {
			t.Errorf("%q became %q: a comment is gone", before, after)
		}
	})
}

// entryOf is the path to the entry that changes are in.
func entryOf(changed map[string]string) string {
	for path := range changed {
		if i := strings.Index(path, "]"); strings.HasPrefix(path, "users[") {
			return path[:i+1]
		}
	}
	return ""
}

// check: nothing changed but what is allowed to.
func check(t *testing.T, changed, allowed map[string]string) {
	t.Helper()
	for path, now := range changed {
		if want, ok := allowed[path]; !ok || now != want {
			t.Errorf("%s is %q", path, now)
		}
	}
}

// marks counts what comments begin with, and what a value may have as well.
func marks(text []byte) int { return bytes.Count(text, []byte("#")) }

// leaves are all single values of a text by their paths, as another reader takes them. What it takes
// for no text begins with a !.
func leaves(data []byte) (found map[string]string, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	var root any
	if err := yaml.Unmarshal(bytes.TrimPrefix(data, []byte("\ufeff")), &root); err != nil {
		return nil, false
	}
	found = map[string]string{}
	collect(found, "", root)
	return found, true
}

func collect(into map[string]string, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, v := range v {
			p := path + "." + key
			if path == "" {
				p = key
			}
			collect(into, p, v)
		}
	case []any:
		for i, v := range v {
			collect(into, fmt.Sprintf("%s[%d]", path, i), v)
		}
	case string:
		into[path] = v
	default:
		into[path] = fmt.Sprintf("!%v", v)
	}
}

// changes are the leaves of b that are not those of a; one that is gone is "".
func changes(a, b map[string]string) map[string]string {
	changed := map[string]string{}
	for path, v := range b {
		if old, ok := a[path]; !ok || old != v {
			changed[path] = v
		}
	}
	for path := range a {
		if _, ok := b[path]; !ok {
			changed[path] = ""
		}
	}
	return changed
}
