package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// Users who may not overwrite are warned of a store that cannot tell a new name from an old one.
func TestRefusedUsers(t *testing.T) {
	const hash = "$2y$04$IHhIu9LP0ijYNfDnOCVdt.mMLxTfUowDvROH7IXIW5gZRlfJ8swfG"
	for _, test := range []struct {
		name, profile, mounts string
		users                 int
		want                  string
	}{
		{"conditional", "aws", "{path: /, backend: lake, permissions: [write]}", 1, ""},
		{"may overwrite", "ceph", "{path: /, backend: lake, permissions: [write, overwrite]}", 1, ""},
		{"only reads", "ceph", "{path: /, backend: lake, permissions: [list, read]}", 1, ""},
		{"elsewhere", "ceph", "{path: /, backend: disk, permissions: [write]}", 1, ""},
		{"one", "ceph", "{path: /, backend: lake, permissions: [write]}", 1, `user0 can store nothing in backend "lake"`},
		{
			"a second mount", "generic",
			"{path: /a, backend: disk, permissions: [write]}, {path: /b, backend: lake, permissions: [write]}", 1,
			`user0 can store nothing in backend "lake"`,
		},
		{"many", "b2", "{path: /, backend: lake, permissions: [write]}", 5, `user0, user1, user2 and 2 more can store nothing in backend "lake"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			var users strings.Builder
			users.WriteString("users:\n")
			for i := range test.users {
				users.WriteString("  - {name: user" + string(rune('0'+i)) + ", password_hash: " + hash + ", mounts: [" + test.mounts + "]}\n")
			}
			write(t, filepath.Join(dir, "users.yaml"), users.String())
			path := filepath.Join(dir, "sluice.yaml")
			write(t, path, `
tls: {cert_file: c.pem, key_file: c.key}
backends:
  disk: {type: local, root: data}
  lake: {type: s3, bucket: lake, profile: `+test.profile+`}
users_file: users.yaml
`)
			c, err := loadConfig(path, func(string) (string, bool) { return "", false })
			if err != nil {
				t.Fatal(err)
			}
			r := &resources{}
			if err := r.openUsers(c); err != nil {
				t.Fatal(err)
			}
			found := r.warnings(c)
			switch {
			case test.want == "" && len(found) > 0:
				t.Errorf("%v", found)
			case test.want != "" && (len(found) != 1 || !strings.HasPrefix(found[0].text, test.want)):
				t.Errorf("%v, want %q", found, test.want)
			}
		})
	}
}
