package gateway

import (
	"bytes"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/backends"
)

func mounted() *Session {
	return &Session{mounts: []mount{
		{Mount: auth.Mount{Path: "/in/archive", Backend: "b", Prefix: "archive", Permissions: auth.List}},
		{Mount: auth.Mount{Path: "/in", Backend: "a", Prefix: "partners/ann", Permissions: auth.All}},
		{Mount: auth.Mount{Path: "/out", Backend: "a", Permissions: auth.Read}},
	}}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	s := mounted()
	for _, tc := range []struct {
		path string
		need auth.Permissions
		key  string
		kind backends.Kind // of the error; -1: none
	}{
		{"/in/x", auth.Write, "partners/ann/x", -1},
		{"/in/./a//b/../x", auth.Write, "partners/ann/a/x", -1},
		{"/in/../../out/x", auth.Read, "x", -1},
		{"/in", auth.List, "partners/ann", -1},
		{"/in/archive/x", auth.List, "archive/x", -1},
		{"/in/archivex", auth.Write, "partners/ann/archivex", -1},
		{"/in/archive/x", auth.Read, "", backends.Permission},
		{"/in", auth.Delete, "", backends.Permission},
		{"/in/archive", auth.Rename, "", backends.Permission},
		{"/", auth.List, "", -1},
		{"/", auth.Mkdir, "", backends.Permission},
		{"/none", 0, "", backends.NotExist},
		{"/inx", 0, "", backends.NotExist},
		{"/out/.sluice/tmp", 0, "", backends.InvalidName},
		{"/in/a\nb", 0, "", backends.InvalidName},
		{"/in/\xff", 0, "", backends.InvalidName},
		{"/in/" + strings.Repeat("x", 1024), 0, "", backends.InvalidName},
	} {
		got, err := s.resolve(tc.path, tc.need)
		switch {
		case tc.kind >= 0 && (err == nil || backends.KindOf(err) != tc.kind):
			t.Errorf("%q: %v, want %v", tc.path, err, tc.kind)
		case tc.kind < 0 && (err != nil || got.key != tc.key):
			t.Errorf("%q: %q %v, want %q", tc.path, got.key, err, tc.key)
		}
	}
}

// FuzzResolve: whatever the path, the key is below the prefix of the mount that the clean path is in.
func FuzzResolve(f *testing.F) {
	for _, p := range []string{"/", "/in/x", "../../..", "/in/../out/.sluice", "in\\..\\x", "/in/\x00", "//in//x/", "/in/archive/..", ".", ""} {
		f.Add(p)
	}
	s := mounted()
	f.Fuzz(func(t *testing.T, p string) {
		got, err := s.resolve(p, 0)
		if err != nil {
			return
		}
		if clean := path.Clean("/" + p); got.path != clean {
			t.Fatalf("%q: path %q", p, got.path)
		}
		if again, err := s.resolve(got.path, 0); err != nil || again.key != got.key {
			t.Fatalf("%q: not the same again: %q %v", p, again.key, err)
		}
		if got.virtual {
			return
		}
		if _, in := auth.Below("/"+got.Prefix, "/"+got.key); !in && got.Prefix != "" {
			t.Fatalf("%q: key %q is not below %q", p, got.key, got.Prefix)
		}
		if err := backends.CheckKey(got.key); err != nil {
			t.Fatalf("%q: %v", p, err)
		}
	})
}

// FuzzLines: a line of a listing has one line end, at its end, and its name in full.
func FuzzLines(f *testing.F) {
	f.Add("name", int64(1), int64(0), false)
	f.Add(" leading", int64(-1), int64(1<<40), true)
	f.Fuzz(func(t *testing.T, name string, size, seconds int64, dir bool) {
		if backends.CheckKey(name) != nil || name == "" || strings.Contains(name, "/") {
			t.Skip()
		}
		o := backends.Object{Key: name, Size: size, Dir: dir, ModTime: timeOf(seconds)}
		for _, verb := range []string{"LIST", "NLST", "MLSD"} {
			req := &listRequest{verb: verb, facts: allFacts}
			line := string(formatter(req, target{}, "")(nil, o, name))
			body, ok := strings.CutSuffix(line, name+"\r\n")
			if !ok || strings.ContainsAny(body, "\r\n") {
				t.Fatalf("%s: %q", verb, line)
			}
			if verb == "LIST" && len(strings.Fields(body)) != 8 {
				t.Fatalf("%q has not nine columns", line)
			}
		}
	})
}

func timeOf(seconds int64) time.Time {
	return time.Unix(seconds%(1<<36), 0) // years that have four digits
}

// FuzzCommandLine: a parsed line holds no line end and no Telnet command.
func FuzzCommandLine(f *testing.F) {
	for _, l := range []string{"USER x\r\n", "\xff\xf4\xff\xf2ABOR\r\n", "\xff\xff\n", " noop\n", "\xff", "\xff\xfb\n", "A\rB\r\n"} {
		f.Add([]byte(l))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		end := bytes.IndexByte(line, '\n')
		if end < 0 {
			t.Skip()
		}
		c := parse(bytes.Clone(line[:end+1]))
		if strings.HasSuffix(c.Verb+c.Arg, "\n") || strings.Contains(c.Verb, " ") || c.Verb != strings.ToUpper(c.Verb) {
			t.Fatalf("%q: %q %q", line, c.Verb, c.Arg)
		}
		if c.Verb == "PASS" && c.Arg != "" && strings.Contains(c.String(), c.Arg) && len(c.Arg) > 4 {
			t.Fatalf("%q: a password in %q", line, c)
		}
	})
}
