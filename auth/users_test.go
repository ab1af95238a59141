package auth_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/yamlfile"
)

// problems returns what is wrong with the users file text, without its directory.
func problems(t *testing.T, text string, rules auth.Rules) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users.yaml")
	write(t, path, text)
	_, err := auth.OpenFile(path, rules)
	if err == nil {
		return nil
	}
	var ps yamlfile.Problems
	if !errors.As(err, &ps) {
		t.Fatal(err)
	}
	return strings.Split(strings.ReplaceAll(err.Error(), path, "F"), "\n")
}

func TestUsersFileProblems(t *testing.T) {
	const mount = "    mounts: [{path: /, backend: disk, permissions: [read]}]\n"
	const good = "    password_hash: " + argon + "\n" + mount
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"empty file":   {"", []string{`F:1:1: users: missing; there has to be one`}},
		"comment only": {"# none yet\n", []string{`F:1:1: users: missing; there has to be one`}},
		"no users":     {"users:\n", []string{`F:1:1: users: missing; there has to be one`}},
		"users null":   {"users: null\n", []string{`F:1:1: users: missing; there has to be one`}},
		"empty list":   {"users: []\n", []string{`F:1:8: users: missing; there has to be one`}},
		"other key":    {"usrs: []\n", []string{`F:1:1: usrs: unknown key; known here are users`}},
		"not YAML":     {"users: [\n", []string{`F:1:8: not YAML: sequence end token ']' not found`}},
		"no excerpt":   {"users:\n  - password_hash: hunter2: x\n", []string{`F:2:20: not YAML: mapping value is not allowed in this context`}},
		"two documents": {"users: []\n---\nusers: []\n", []string{
			`F:3:1: a second document; everything has to stand in one`,
		}},
		"another form": {"- a\n", []string{`F:1:1: must be keys with values`}},
		"user is a text": {"users: [acme]\n", []string{
			`F:1:9: users[0]: must be keys with values`,
		}},
		"unknown keys": {"users:\n  - name: a\n    totp_secret: x\n" + good + "quota: 1\n", []string{
			`F:3:5: users[0].totp_secret: unknown key; known here are name, password_hash, mounts`,
			`F:6:1: quota: unknown key; known here are users`,
		}},
		"key twice": {"users:\n  - name: a\n    name: b\n" + good, []string{
			`F:3:5: users[0].name: given a second time; the first is in line 2`,
		}},
		"user twice": {"users:\n  - name: a\n" + good + "  - name: a\n" + good, []string{
			`F:5:11: users[1].name: a second user of the name "a"; remove one`,
		}},
		"names": {"users:\n  - name: \"\"\n" + good + "  - name: \"a\\nb\"\n" + good + "  - name: ' a'\n" + good, []string{
			`F:2:11: users[0].name: missing; give the user a name`,
			`F:5:11: users[1].name: has control characters or is not UTF-8; no client can send it`,
			`F:8:11: users[2].name: begins or ends with a space; no client can send it`,
		}},
		"long name": {"users:\n  - name: " + strings.Repeat("a", 256) + "\n" + good, []string{
			`F:2:11: users[0].name: longer than 255 bytes`,
		}},
		"plain password": {"users:\n  - name: a\n    password_hash: hunter2\n" + mount, []string{
			`F:3:20: users[0].password_hash: neither an argon2id nor a bcrypt hash; make one with: sluice user hash`,
		}},
		"paths": {"users:\n  - name: a\n    password_hash: " + argon + "\n    mounts:\n" +
			"      - {path: in, backend: disk, permissions: [read]}\n" +
			"      - {backend: disk, permissions: [read]}\n" +
			"      - {path: /x, backend: disk, permissions: [read]}\n" +
			"      - {path: /y/../x//, backend: disk, permissions: [read]}\n" +
			"      - {path: \"/a\\rb\", backend: disk, permissions: [read]}\n", []string{
			`F:5:16: users[0].mounts[0].path: "in" does not begin with a slash; write "/in"`,
			`F:6:10: users[0].mounts[1].path: missing; / is the root of what the user sees`,
			`F:8:16: users[0].mounts[3].path: "/x" is the path of mounts[2] already; change one`,
			`F:9:16: users[0].mounts[4].path: has control characters or is not UTF-8`,
		}},
		"mount": {"users:\n  - name: a\n    password_hash: " + argon + "\n    mounts:\n" +
			"      - {path: /, prefix: /p, permissions: [read, fly]}\n" +
			"      - {path: /a, backend: nope, prefix: a/../b}\n" +
			"      - {path: /b, backend: disk, prefix: bad/, permissions: [read]}\n", []string{
			`F:5:10: users[0].mounts[0].backend: missing; name one of the configuration's backends`,
			`F:5:27: users[0].mounts[0].prefix: begins with a slash; leave that out`,
			`F:5:51: users[0].mounts[0].permissions[1]: unknown permission "fly"; there are list, read, write, overwrite, append, delete, rename, mkdir`,
			`F:6:10: users[0].mounts[1].permissions: missing; list some of list, read, write, overwrite, append, delete, rename, mkdir`,
			`F:6:29: users[0].mounts[1].backend: "nope" is not one`,
			`F:6:43: users[0].mounts[1].prefix: has an empty or dot element; write it without`,
			`F:7:43: users[0].mounts[2].prefix: "bad" is bad`,
		}},
		"anchors": {"users:\n  - name: a\n    password_hash: " + argon + "\n    mounts: &m [{path: /, backend: disk, permissions: [read]}]\n", []string{
			`F:4:13: users[0].mounts: anchors and aliases are not read; write the value out`,
		}},
		"tags": {"users:\n  - name: !!str a\n" + good, []string{
			`F:2:11: users[0].name: tags are not read; leave it out`,
		}},
		"an empty entry": {"users:\n  -\n", []string{
			`F:2:5: users[0]: an empty entry; remove it or fill it in`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got := problems(t, c.text, auth.Rules{
				Backend: func(name string) error {
					if name != "disk" {
						return errors.New(`"` + name + `" is not one`)
					}
					return nil
				},
				Prefix: func(prefix string) error {
					if prefix == "bad" {
						return errors.New(`"bad" is bad`)
					}
					return nil
				},
			})
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What YAML would take for a number or a truth value is a name here, as it is written.
func TestUsersFileScalars(t *testing.T) {
	f, _ := open(t, "users:\n"+user("0640", argon)+user("1e3", argon)+user("true", argon)+user("off", argon)+user("0x1F", argon))
	var got []string
	for _, u := range f.Users() {
		got = append(got, u.Name+" "+u.Mounts[0].Prefix)
	}
	if diff := cmp.Diff([]string{"0640 0640", "1e3 1e3", "true true", "off off", "0x1F 0x1F"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestUsersFileMounts(t *testing.T) {
	f, _ := open(t, "users:\n  - name: a\n    password_hash: "+argon+"\n    mounts:\n"+`
      - {path: /in/, backend: disk, prefix: a/in/, permissions: [write]}
      - {path: //out, backend: disk, prefix: a/out, permissions: [list, read, read]}
      - {path: /all, backend: disk, prefix: /, permissions: [list, read, write, overwrite, append, delete, rename, mkdir]}
`)
	want := []auth.Mount{
		{Path: "/in", Backend: "disk", Prefix: "a/in", Permissions: auth.Write},
		{Path: "/out", Backend: "disk", Prefix: "a/out", Permissions: auth.List | auth.Read},
		{Path: "/all", Backend: "disk", Permissions: auth.All},
	}
	if diff := cmp.Diff(want, f.Users()[0].Mounts); diff != "" {
		t.Error(diff)
	}
}

func TestPermissionsString(t *testing.T) {
	for p, want := range map[auth.Permissions]string{
		0:                        "",
		auth.Read:                "read",
		auth.List | auth.Mkdir:   "list,mkdir",
		auth.All:                 "list,read,write,overwrite,append,delete,rename,mkdir",
		auth.Permissions(0xffff): "list,read,write,overwrite,append,delete,rename,mkdir",
	} {
		if got := p.String(); got != want {
			t.Errorf("%b: %q, want %q", p, got, want)
		}
	}
}

// FuzzUsersFile: no file makes the reader panic, and one that it takes keeps what User promises.
func FuzzUsersFile(f *testing.F) {
	f.Add([]byte("users:\n" + user("acme", argon) + user("bolt", bcrypt)))
	f.Add([]byte("users:\n  - name: a\n    password_hash: x\n    mounts: [{path: /../a, prefix: ../b/}]\n"))
	f.Add([]byte("users: &a [*a]\n"))
	f.Add([]byte("users: !!seq [{? name : a}]\n<<: {}\n"))
	f.Add([]byte("users:\n- |\n  a\n- >-\n  b\n- \n"))
	f.Add([]byte("%YAML 1.2\n---\nusers: []\n...\n"))
	path := filepath.Join(f.TempDir(), "users.yaml")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := auth.OpenFile(path, auth.Rules{})
		if err != nil {
			if strings.TrimSpace(err.Error()) == "" {
				t.Error("an error without a text")
			}
			return
		}
		seen := map[string]bool{}
		for _, u := range file.Users() {
			if u.Name == "" || seen[u.Name] || strings.ContainsFunc(u.Name, unicode.IsControl) || len(u.Mounts) == 0 {
				t.Errorf("user %q", u.Name)
			}
			seen[u.Name] = true
			checkMounts(t, u)
		}
	})
}

func checkMounts(t *testing.T, u *auth.User) {
	t.Helper()
	seen := map[string]bool{}
	for _, m := range u.Mounts {
		if m.Path != filepath.Clean("/"+m.Path) || seen[m.Path] || m.Backend == "" || m.Permissions == 0 || !auth.All.Has(m.Permissions) {
			t.Errorf("%q: mount %+v", u.Name, m)
		}
		if "/"+m.Prefix != filepath.Clean("/"+m.Prefix) {
			t.Errorf("%q: prefix %q", u.Name, m.Prefix)
		}
		seen[m.Path] = true
	}
}
