package auth_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
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
	text = strings.ReplaceAll(strings.ReplaceAll(err.Error(), path, "F"), filepath.Dir(path), "DIR")
	return strings.Split(text, "\n")
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
		"other key":    {"usrs: []\n", []string{`F:1:1: usrs: unknown key; known here are password_file, groups, users`}},
		"not YAML":     {"users: [\n", []string{`F:1:8: not YAML: sequence end token ']' not found`}},
		"no excerpt":   {"users:\n  - password_hash: hunter2: x\n", []string{`F:2:20: not YAML: mapping value is not allowed in this context`}},
		"two documents": {"users: []\n---\nusers: []\n", []string{
			`F:3:1: a second document; everything has to stand in one`,
		}},
		"another form": {"- a\n", []string{`F:1:1: must be keys with values`}},
		"user is a text": {"users: [acme]\n", []string{
			`F:1:9: users[0]: must be keys with values`,
		}},
		"unknown keys": {"users:\n  - name: a\n    totp: x\n" + good + "quota: 1\n", []string{
			`F:3:5: users[0].totp: unknown key; known here are name, group, enabled, password_hash, totp_secret, ` +
				`certificates, login, valid_from, valid_until, login_hours, time_zone, allow_from, deny_from, mounts, ` +
				`denied_commands, max_sessions, max_upload_size, quota, bandwidth, tls`,
			`F:6:1: quota: unknown key; known here are password_file, groups, users`,
		}},
		"values": {"users:\n  - name: a\n    enabled: yes\n    totp_secret: JBSWY3DP\n    valid_from: 2026-13-01\n" +
			"    login_hours: [\"8-18\", \"Mon-Foo 08:00-18:00\"]\n    time_zone: Mars\n    allow_from: [10.0.0.0/33, 10.0.0.1/8]\n" +
			"    denied_commands: [DELE, FLY]\n    max_sessions: -1\n    max_upload_size: 1 kilo\n    quota: {files: -2}\n" +
			"    tls: {min_version: \"1.1\", session_reuse: maybe}\n    login: face\n    certificates: [abc]\n" + good, []string{
			`F:3:14: users[0].enabled: "yes" is neither true nor false`,
			`F:4:18: users[0].totp_secret: not a secret of 16 bytes or more in base32; make one with: sluice user totp`,
			`F:5:17: users[0].valid_from: "2026-13-01" is not a date; write it like 2026-12-31, or 2026-12-31T18:00:00Z`,
			`F:6:19: users[0].login_hours[0]: "8-18" are no hours; write them like 08:00-18:00 or Mon-Fri 08:00-18:00`,
			`F:6:27: users[0].login_hours[1]: "Mon-Foo 08:00-18:00" are no hours; write them like 08:00-18:00 or Mon-Fri 08:00-18:00`,
			`F:7:16: users[0].time_zone: "Mars" is not a time zone; write it like Europe/Berlin or UTC`,
			`F:8:18: users[0].allow_from[0]: "10.0.0.0/33" is not a network; write it like 192.0.2.0/24, 2001:db8::/32 or 192.0.2.7`,
			`F:8:31: users[0].allow_from[1]: "10.0.0.1/8" has bits behind the network; write 10.0.0.0/8`,
			`F:9:29: users[0].denied_commands[1]: "FLY" is no command`,
			`F:10:19: users[0].max_sessions: -1 is below 0; 0 is no bound`,
			`F:11:22: users[0].max_upload_size: "1 kilo" is not a size; write bytes like 65536, or 256KiB, 1MiB`,
			`F:12:20: users[0].quota.files: -2 is below 0; 0 is no bound`,
			`F:13:24: users[0].tls.min_version: "1.1" is not a choice; there are 1.2, 1.3`,
			`F:13:46: users[0].tls.session_reuse: "maybe" is not a choice; there are off, prefer, require`,
			`F:14:12: users[0].login: "face" is not a choice; there are password, certificate, both`,
			`F:15:20: users[0].certificates[0]: neither the SHA-256 fingerprint of a certificate (64 hex digits, with or without colons) nor a subject like CN=acme`,
		}},
		"login": {"users:\n  - name: a\n    login: both\n" + good + "  - name: b\n    login: both\n    certificates: [CN=b]\n" + mount, []string{
			`F:2:5: users[0].certificates: missing; login: both needs one`,
			`F:6:5: users[1].password_hash: missing; make one with: sluice user hash`,
			`F:8:20: users[1].certificates[0]: a subject needs tls.client_ca_file in the configuration; or give the fingerprint`,
		}},
		"times": {"users:\n  - name: a\n    valid_from: 2026-12-31\n    valid_until: 2026-12-30\n" + good, []string{
			`F:4:18: users[0].valid_until: is before valid_from`,
		}},
		"groups": {"groups:\n  - name: g\n    password_hash: x\n    enabled: false\n    mounts: [{path: /, backend: nope, prefix: \"{user}\", permissions: [read]}]\n" +
			"  - name: g\nusers:\n  - name: a/b\n    group: g\n    password_hash: " + argon + "\n" +
			"  - name: c\n    group: h\n" + good, []string{
			`F:3:20: groups[0].password_hash: belongs to a user and cannot stand in a group; remove it`,
			`F:4:14: groups[0].enabled: belongs to a user and cannot stand in a group; remove it`,
			`F:5:33: groups[0].mounts[0].backend: "nope" is not one`,
			`F:6:11: groups[1].name: a second group of the name "g"; remove one`,
			`F:8:11: users[0].name: "a/b" has a slash and cannot stand for {user} in the mounts of its group`,
			`F:12:12: users[1].group: there is no group "h"`,
		}},
		"overlapping mounts": {"users:\n  - name: a\n    password_hash: " + argon + "\n    mounts:\n" +
			"      - {path: /, backend: disk, prefix: a, permissions: [read]}\n" +
			"      - {path: /in, backend: disk, prefix: a/in, permissions: [read]}\n", []string{
			`F:6:44: users[0].mounts[1].prefix: holds files that mounts[0] holds too, with permissions of their own; use one mount, and folders in it`,
		}},
		"folders and names": {"users:\n  - name: a\n    password_hash: " + argon + "\n    mounts:\n" +
			"      - path: /in\n        backend: disk\n        permissions: [read]\n" +
			"        folders: [{path: /out}, {path: in/x}, {path: /in}, {path: /in/x}, {path: /in/x/}]\n" +
			"        names: {allowed: [\"[\"], denied: [a/b], hidden: [\"\"]}\n", []string{
			`F:8:26: users[0].mounts[0].folders[0].path: "/out" is not a folder in the mount "/in"`,
			`F:8:40: users[0].mounts[0].folders[1].path: "in/x" does not begin with a slash; write "/in/x"`,
			`F:8:54: users[0].mounts[0].folders[2].path: "/in" is not a folder in the mount "/in"`,
			`F:8:82: users[0].mounts[0].folders[4].path: "/in/x" is the path of folders[3] already; change one`,
			`F:9:27: users[0].mounts[0].names.allowed[0]: "[" is not a pattern of a name; write it like *.csv or report-[0-9]*`,
			`F:9:42: users[0].mounts[0].names.denied[0]: "a/b" is not a pattern of a name; write it like *.csv or report-[0-9]*`,
			`F:9:57: users[0].mounts[0].names.hidden[0]: "" is not a pattern of a name; write it like *.csv or report-[0-9]*`,
		}},
		"password file": {"password_file: missing.txt\nusers:\n  - name: a\n" + mount, []string{
			`F:1:16: password_file: open DIR/missing.txt: no such file or directory`,
			`F:3:5: users[0].password_hash: missing; make one with: sluice user hash`,
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
			"      - {path: /x, backend: disk, prefix: 1, permissions: [read]}\n" +
			"      - {path: /y/../x//, backend: disk, prefix: 2, permissions: [read]}\n" +
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
				Command: func(verb string) error {
					if verb != "DELE" {
						return errors.New(`"` + verb + `" is no command`)
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
      - {path: /all, backend: other, prefix: /, permissions: [list, read, write, overwrite, append, delete, rename, mkdir]}
`)
	want := []auth.Mount{
		{Path: "/in", Backend: "disk", Prefix: "a/in", Permissions: auth.Write},
		{Path: "/out", Backend: "disk", Prefix: "a/out", Permissions: auth.List | auth.Read},
		{Path: "/all", Backend: "other", Permissions: auth.All},
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

// manyUsers is a file of n of them.
func manyUsers(n int) string {
	var b strings.Builder
	b.WriteString("groups:\n  - {name: all, mounts: [{path: /, backend: disk, prefix: \"{user}\", permissions: [list, read, write]}]}\nusers:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - {name: user%d, group: all, password_hash: \"%s\"}\n", i, argon)
	}
	return b.String()
}

func BenchmarkLoad10000Users(b *testing.B) {
	path := filepath.Join(b.TempDir(), "users.yaml")
	write(b, path, manyUsers(10_000))
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		f, err := auth.OpenFile(path, auth.Rules{})
		if err != nil {
			b.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(f)
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB-held")
}

func BenchmarkRememberedLogin(b *testing.B) {
	f, _ := open(b, manyUsers(100))
	for b.Loop() {
		login(b, f, "user50", "secret")
	}
}
