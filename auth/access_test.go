package auth_test

import (
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/pquerna/otp/totp"

	"github.com/sluice-ftp/sluice/auth"
)

// withKeys is the text of a user with more keys than user has.
func withKeys(name string, lines ...string) string {
	return user(name, argon) + "    " + strings.Join(lines, "\n    ") + "\n"
}

func at(t *testing.T, f *auth.File, moment string) {
	t.Helper()
	now, err := time.Parse(time.RFC3339, moment)
	if err != nil {
		t.Fatal(err)
	}
	auth.SetClock(f, func() time.Time { return now })
}

// try logs in and says "" or why it was denied.
func try(t *testing.T, f *auth.File, l auth.Login) string {
	t.Helper()
	if l.Password == "" {
		l.Password = "secret"
	}
	u, err := f.Authenticate(t.Context(), l)
	switch {
	case err == nil && u.Name == l.Name:
		return ""
	case errors.Is(err, auth.ErrDenied):
		return strings.TrimPrefix(err.Error(), "auth: ")
	}
	t.Fatalf("%s: %v, %v", l.Name, u, err)
	return ""
}

func TestWhen(t *testing.T) {
	for _, test := range []struct {
		keys   []string
		moment string
		want   string
	}{
		{[]string{"enabled: false"}, "2026-06-01T12:00:00Z", "the user is disabled"},
		{[]string{"valid_from: 2026-06-01"}, "2026-05-31T23:59:59Z", "not valid before 2026-06-01T00:00:00Z"},
		{[]string{"valid_from: 2026-06-01"}, "2026-06-01T00:00:00Z", ""},
		{[]string{"valid_until: 2026-06-01"}, "2026-06-01T23:59:59Z", ""},
		{[]string{"valid_until: 2026-06-01"}, "2026-06-02T00:00:00Z", "not valid since 2026-06-02T00:00:00Z"},
		{[]string{"valid_until: 2026-06-01T08:00:00Z"}, "2026-06-01T08:00:00Z", "not valid since 2026-06-01T08:00:00Z"},
		{[]string{"valid_until: 2026-06-01", "time_zone: America/New_York"}, "2026-06-02T03:59:59Z", ""},
		// 2026-06-01 is a Monday.
		{[]string{"login_hours: ['08:00-18:00']"}, "2026-06-01T07:59:59Z", "outside of login_hours"},
		{[]string{"login_hours: ['08:00-18:00']"}, "2026-06-01T08:00:00Z", ""},
		{[]string{"login_hours: ['08:00-18:00']"}, "2026-06-01T18:00:00Z", "outside of login_hours"},
		{[]string{"login_hours: ['08:00-24:00']"}, "2026-06-01T23:59:59Z", ""},
		{[]string{"login_hours: ['Mon-Fri 08:00-18:00', 'Sun 10:00-11:00']"}, "2026-06-06T12:00:00Z", "outside of login_hours"},
		{[]string{"login_hours: ['Mon-Fri 08:00-18:00', 'Sun 10:00-11:00']"}, "2026-06-07T10:30:00Z", ""},
		{[]string{"login_hours: ['Sat-Mon,Wed 08:00-18:00']"}, "2026-06-07T10:30:00Z", ""},
		{[]string{"login_hours: ['Sat-Mon,Wed 08:00-18:00']"}, "2026-06-02T10:30:00Z", "outside of login_hours"},
		// The night from Friday to Saturday is Friday's.
		{[]string{"login_hours: ['Fri 22:00-06:00']"}, "2026-06-06T05:59:59Z", ""},
		{[]string{"login_hours: ['Fri 22:00-06:00']"}, "2026-06-06T22:00:00Z", "outside of login_hours"},
		{[]string{"login_hours: ['Fri 22:00-06:00']"}, "2026-06-05T05:00:00Z", "outside of login_hours"},
		{[]string{"login_hours: ['08:00-18:00']", "time_zone: Asia/Tokyo"}, "2026-06-01T00:00:00Z", ""},
	} {
		f, _ := open(t, "users:\n"+withKeys("acme", test.keys...))
		at(t, f, test.moment)
		if got := try(t, f, auth.Login{Name: "acme"}); got != test.want {
			t.Errorf("%v at %s: %q, want %q", test.keys, test.moment, got, test.want)
		}
	}
}

func TestFromWhere(t *testing.T) {
	const deny, allow = "the address is in deny_from", "the address is not in allow_from"
	f, _ := open(t, "users:\n"+withKeys("acme", "allow_from: [192.0.2.0/24, 2001:db8::/32, '::ffff:198.51.100.0/120']", "deny_from: [192.0.2.7]"))
	for remote, want := range map[string]string{
		"192.0.2.1": "", "::ffff:192.0.2.1": "", "192.0.2.7": deny, "192.0.3.1": allow,
		"2001:db8::1": "", "2001:db9::1": allow, "198.51.100.9": "",
	} {
		if got := try(t, f, auth.Login{Name: "acme", Remote: netip.MustParseAddr(remote)}); got != want {
			t.Errorf("from %s: %q, want %q", remote, got, want)
		}
	}
	if got := try(t, f, auth.Login{Name: "acme"}); got != allow {
		t.Errorf("from nowhere: %q", got)
	}
}

const totpSecret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"

func code(t *testing.T, moment time.Time) string {
	t.Helper()
	c, err := totp.GenerateCode(totpSecret, moment)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOneTimeCodes(t *testing.T) {
	f, path := open(t, "users:\n"+withKeys("acme", "totp_secret: "+totpSecret)+user("plain", argon))
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	auth.SetClock(f, func() time.Time { return now })
	const refused = "wrong one-time code, or one that was used"
	if _, err := f.Authenticate(t.Context(), auth.Login{Name: "acme", Password: "secret"}); !errors.Is(err, auth.ErrCodeNeeded) {
		t.Errorf("without a code: %v", err)
	}
	for _, step := range []struct {
		name  string
		login auth.Login
		want  string
	}{
		{"wrong password", auth.Login{Password: "wrong" + code(t, now)}, "wrong name or password"},
		{"only a code", auth.Login{Password: code(t, now)}, "wrong name or password"},
		{"wrong code", auth.Login{Password: "secret", Code: "12345"}, refused},
		{"letters", auth.Login{Password: "secret", Code: "abcdef"}, refused},
		{"too old", auth.Login{Password: "secret" + code(t, now.Add(-time.Minute))}, refused},
		{"too new", auth.Login{Password: "secret", Code: code(t, now.Add(time.Minute))}, refused},
		{"one step old", auth.Login{Password: "secret", Code: code(t, now.Add(-30*time.Second))}, ""},
		{"the same again", auth.Login{Password: "secret", Code: code(t, now.Add(-30*time.Second))}, refused},
		{"behind the password", auth.Login{Password: "secret" + code(t, now)}, ""},
		{"the same by itself", auth.Login{Password: "secret", Code: code(t, now)}, refused},
		{"the one before", auth.Login{Password: "secret", Code: code(t, now.Add(-30*time.Second))}, refused},
		{"one step new", auth.Login{Password: "secret", Code: code(t, now.Add(30*time.Second))}, ""},
	} {
		step.login.Name = "acme"
		if got := try(t, f, step.login); got != step.want {
			t.Errorf("%s: %q, want %q", step.name, got, step.want)
		}
	}
	// Another secret has other codes.
	write(t, path, "users:\n"+withKeys("acme", "totp_secret: "+strings.ToLower("KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU")))
	if err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	fresh, err := totp.GenerateCode("KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU", now.Add(-30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if got := try(t, f, auth.Login{Name: "acme", Password: "secret", Code: fresh}); got != "" {
		t.Errorf("with another secret: %q", got)
	}
	write(t, path, "users:\n"+withKeys("acme", "totp_secret: "+totpSecret))
	if err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := try(t, f, auth.Login{Name: "acme", Password: "secret", Code: code(t, now.Add(30*time.Second))}); got != "" {
		t.Errorf("with the old secret again: %q", got)
	}
	// A file that is read again forgets passwords, but not which codes were used.
	write(t, path, "# changed\nusers:\n"+withKeys("acme", "totp_secret: "+totpSecret))
	if err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := try(t, f, auth.Login{Name: "acme", Password: "secret", Code: code(t, now.Add(30*time.Second))}); got != refused {
		t.Errorf("replayed after a reload: %q", got)
	}
}

// A password that ends like a code takes two hashes, whoever's it is; any other takes one.
func TestCodesTellNoNames(t *testing.T) {
	f, _ := open(t, "users:\n"+withKeys("acme", "totp_secret: "+totpSecret)+user("plain", argon))
	n := auth.CountHashes(f)
	for password, want := range map[string]int64{"wrong": 1, "wrong123456": 2, "123456": 1} {
		for _, name := range []string{"acme", "plain", "nobody"} {
			before := n.Load()
			denied(t, f, name, password)
			if got := n.Load() - before; got != want {
				t.Errorf("%s with %q: %d hashes, want %d", name, password, got, want)
			}
		}
	}
	if u := login(t, f, "plain", "secret"); u.Name != "plain" {
		t.Error(u)
	}
}

func TestRefresh(t *testing.T) {
	mine := netip.MustParseAddr("192.0.2.1")
	text := "users:\n" + user("other", argon) + withKeys("acme", "max_sessions: 1")
	for _, test := range []struct {
		change func(string) string
		want   string
	}{
		{func(s string) string { return s + "# nothing" }, ""},
		{func(s string) string { return strings.ReplaceAll(s, "max_sessions: 1", "max_sessions: 2") }, ""},
		{func(s string) string { return strings.ReplaceAll(s, "name: acme", "name: acne") }, "the user was removed"},
		{func(s string) string { return s + "    enabled: false\n" }, "the user is disabled"},
		{func(s string) string { return s + "    valid_until: 2020-01-01\n" }, "not valid since 2020-01-02T00:00:00Z"},
		{func(s string) string { return s + "    deny_from: [192.0.2.1]\n" }, "the address is in deny_from"},
		{func(s string) string { return s + "    totp_secret: " + totpSecret + "\n" }, "the user has another password, code or certificate now"},
		{func(s string) string { return strings.ReplaceAll(s, argon, bcrypt) }, "the user has another password, code or certificate now"},
	} {
		f, path := open(t, text)
		u := login(t, f, "acme", "secret")
		changed := test.change(text)
		write(t, path, changed)
		if err := f.Reload(); err != nil {
			t.Fatal(err)
		}
		now, err := f.Refresh(u, mine)
		if test.want == "" {
			if err != nil || now.Name != "acme" || now.Limits.Sessions != 1+strings.Count(changed, "max_sessions: 2") {
				t.Errorf("%+v, %v", now, err)
			}
		} else if !errors.Is(err, auth.ErrDenied) || err.Error() != "auth: "+test.want {
			t.Errorf("%v, want %s", err, test.want)
		}
	}
}

func TestGroups(t *testing.T) {
	f, _ := open(t, `
groups:
  - name: partners
    max_sessions: 4
    quota: {bytes: 1GiB, files: 10}
    denied_commands: [dele, SITE]
    mounts:
      - {path: "/", backend: disk, prefix: "partners/{user}", permissions: [list], folders: [{path: "/to-{user}", permissions: [read]}]}
users:
  - {name: acme, group: partners, password_hash: "`+argon+`"}
  - {name: bolt, group: partners, password_hash: "`+argon+`", max_sessions: 9, quota: {files: 20}, denied_commands: []}
  - {name: solo, password_hash: "`+argon+`", mounts: [{path: /, backend: disk, permissions: [read]}]}
`)
	mounts := func(name string) []auth.Mount {
		return []auth.Mount{{
			Path: "/", Backend: "disk", Prefix: "partners/" + name, Permissions: auth.List,
			Folders: []auth.Folder{{Path: "/to-" + name, Permissions: auth.Read}},
		}}
	}
	want := []*auth.User{
		{Name: "acme", Limits: auth.Limits{Sessions: 4, Bytes: 1 << 30, Files: 10}, Denied: []string{"DELE", "SITE"}, Mounts: mounts("acme")},
		{Name: "bolt", Limits: auth.Limits{Sessions: 9, Bytes: 1 << 30, Files: 20}, Mounts: mounts("bolt")},
		{Name: "solo", Mounts: []auth.Mount{{Path: "/", Backend: "disk", Permissions: auth.Read}}},
	}
	if diff := cmp.Diff(want, f.Users(), cmpopts.IgnoreUnexported(auth.User{}), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestPasswordFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "users.yaml")
	write(t, filepath.Join(dir, "htpasswd"), "# comment\nacme:"+bcrypt+"\r\n\nother:"+bcrypt+"\n")
	write(t, path, "password_file: htpasswd\nusers:\n  - {name: acme, mounts: [{path: /, backend: disk, permissions: [read]}]}\n"+user("own", argon))
	f, err := auth.OpenFile(path, auth.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	login(t, f, "acme", "secret")
	login(t, f, "own", "secret")
	denied(t, f, "other", "secret")
	for text, want := range map[string]string{
		"acme:{SHA}abc\n": "htpasswd:1: neither an argon2id nor a bcrypt hash",
		"\nacme:" + bcrypt + "\nacme:" + bcrypt + "\n": `htpasswd:3: a second line for "acme"`,
		":" + bcrypt + "\n":                            "htpasswd:1: the name missing",
	} {
		write(t, filepath.Join(dir, "htpasswd"), text)
		if err := f.Reload(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "$2y$") {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
		login(t, f, "acme", "secret") // what was read before holds
	}
	// A changed hash is a changed file.
	write(t, filepath.Join(dir, "htpasswd"), "acme:"+argon+"\n")
	if err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	if costs := f.HashCosts(); len(costs) != 1 || !strings.HasPrefix(costs[0], "argon2id") {
		t.Errorf("the hashes are %q", costs)
	}
}

func TestPermissionsOfFolders(t *testing.T) {
	m := auth.Mount{
		Path: "/", Permissions: auth.List | auth.Read,
		Folders: []auth.Folder{
			{Path: "/in", Permissions: auth.List | auth.Write},
			{Path: "/in/archive", Permissions: auth.List},
			{Path: "/Büro", Permissions: auth.Delete},
			{Path: "/TWO", Permissions: auth.List | auth.Read},
			{Path: "/Two", Permissions: auth.Read | auth.Delete},
		},
	}
	for p, want := range map[string]auth.Permissions{
		"/": auth.List | auth.Read, "/x": auth.List | auth.Read, "/inx": auth.List | auth.Read,
		"/in": auth.List | auth.Write, "/in/x": auth.List | auth.Write, "/in/archives": auth.List | auth.Write,
		"/in/archive": auth.List, "/in/archive/x/y": auth.List,
		// What may be the same folder may not do more than both.
		"/IN": auth.List, "/IN/x": auth.List, "/in/ARCHIVE/x": auth.List, "/in./x": auth.List, "/in /x": auth.List,
		"/in/Archive": auth.List, "/Büro": auth.Delete, "/Bu\u0308ro/x": 0, "/büro": 0, "/ＩＮ": auth.List,
		"/two": auth.Read, "/TWO": auth.Read,
	} {
		if got := m.At(p); got != want {
			t.Errorf("%q: %v, want %v", p, got, want)
		}
	}
	for p, want := range map[string]bool{"/": true, "/in": true, "/in/archive": true, "/in/archive/x": false, "/x": false, "/IN": true} {
		if got := m.HoldsFolder(p); got != want {
			t.Errorf("%q holds a folder: %t", p, got)
		}
	}
}

func TestNames(t *testing.T) {
	n := auth.Names{Allowed: []string{"*.csv", "*.xml"}, Denied: []string{"*.exe.csv", "secret"}, Hidden: []string{".*", "*.part"}}
	for rel, want := range map[string]auth.Verdict{
		"": auth.NameGood, "a.csv": auth.NameGood, "a.CSV": auth.NameGood, "dir.d/a.xml": auth.NameGood, "a.txt": auth.NameDenied,
		"a.exe.csv": auth.NameDenied, "A.EXE.csv": auth.NameDenied, "secret/a.csv": auth.NameDenied, "SECRET/a.csv": auth.NameDenied,
		".hidden.csv": auth.NameHidden, "x/.git/a.csv": auth.NameHidden, "a.csv.part": auth.NameHidden, "secret/.x": auth.NameHidden,
		"a.csv.": auth.NameGood,
	} {
		if got := n.Judge(rel, false); got != want {
			t.Errorf("file %q: %v, want %v", rel, got, want)
		}
	}
	for rel, want := range map[string]auth.Verdict{"dir": auth.NameGood, "secret": auth.NameDenied, ".git": auth.NameHidden} {
		if got := n.Judge(rel, true); got != want {
			t.Errorf("folder %q: %v, want %v", rel, got, want)
		}
	}
}
