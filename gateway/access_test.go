package gateway_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/gateway"
)

const secretHash = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0$Sm3MnLdCFk0Af+croKgebRoqqmhbKd88iiW3yUOXn78" // of "secret"

// usersFile are the users of a test's file; replace changes it.
type usersFile struct {
	*auth.File
	t    *testing.T
	path string
}

func (u *usersFile) replace(text string) {
	u.t.Helper()
	if err := os.WriteFile(u.path, []byte(strings.ReplaceAll(text, "HASH", `password_hash: "`+secretHash+`"`)), 0o600); err != nil {
		u.t.Fatal(err)
	}
	if u.File != nil {
		if err := u.Reload(); err != nil {
			u.t.Fatal(err)
		}
	}
}

// startFile serves a folder to the users of a file.
func startFile(t *testing.T, text string, change ...func(*gateway.Options)) (*fixture, *usersFile) {
	t.Helper()
	u := &usersFile{t: t, path: filepath.Join(t.TempDir(), "users.yaml")}
	u.replace(text)
	var err error
	if u.File, err = auth.OpenFile(u.path, auth.Rules{}); err != nil {
		t.Fatal(err)
	}
	f := start(t, append([]func(*gateway.Options){func(o *gateway.Options) {
		o.Auth = u
		o.TLS.ClientCertificates = u.WithCertificates
	}}, change...)...)
	return f, u
}

// Folders have permissions of their own, whatever way leads to them.
func TestFolderPermissions(t *testing.T) {
	t.Parallel()
	f, _ := startFile(t, `
users:
  - name: ann
    HASH
    mounts:
      - path: /
        backend: disk
        permissions: [list, read, write, overwrite, delete, rename, mkdir]
        folders:
          - {path: /out, permissions: [list, read]}
          - {path: /out/done, permissions: [list, read, delete]}
          - {path: /area/kept, permissions: [list, read, delete, rename]}
`)
	f.put("out/report.csv", "report")
	f.put("out/done/old.csv", "old")
	f.put("in/new.csv", "new")
	f.put("area/kept/x", "x")
	f.mkdir("area/empty")
	c := f.login()
	// Who moved a folder above would take what is in it out of its permissions.
	for _, line := range []string{"RNFR area", "RNFR area/kept", "RNFR AREA", "RMD area", "RMD area/kept"} {
		c.cmd(550, line)
	}
	c.cmd(250, "RMD area/empty")
	c.cmd(350, "RNFR area/kept/x")
	for _, line := range []string{
		"DELE out/report.csv", "DELE /out/./report.csv", "DELE out//report.csv", "DELE x/../out/report.csv", "RMD out", "RMD out/done",
		"MKD out/x", "RNFR out/report.csv", "RNFR out", "MFMT 20200101000000 out/report.csv",
	} {
		c.cmd(550, line)
	}
	for _, line := range []string{"STOR out/x.csv", "STOR out/report.csv", "APPE out/report.csv", "STOR OUT/../out/x", "STOR out/"} {
		c.passive()
		if code := c.try("", line); code != 553 && code != 550 {
			t.Errorf("%s: %d", line, code)
		}
	}
	c.cmd(350, "RNFR in/new.csv")
	c.cmd(553, "RNTO out/new.csv")
	c.cmd(250, "DELE out/done/old.csv")
	if code, text := c.upload("STOR in/x.csv", "x"); code != 226 {
		t.Error(code, text)
	}
	equal(t, "report", f.read("out/report.csv"), "report")
	if got := c.download("RETR out/report.csv"); got != "report" {
		t.Errorf("RETR: %q", got)
	}
}

func TestNamePatterns(t *testing.T) {
	t.Parallel()
	f, _ := startFile(t, `
users:
  - name: ann
    HASH
    mounts:
      - path: /
        backend: disk
        permissions: [list, read, write, overwrite, append, delete, rename, mkdir]
        names: {allowed: ["*.csv"], denied: ["secret*"], hidden: [".*", "*.part"]}
`)
	for _, name := range []string{"a.csv", "b.txt", "secret.csv", ".hidden.csv", "x.part", "dir/in.csv"} {
		f.put(name, name)
	}
	c := f.login()
	for _, verb := range []string{"NLST", "LIST", "MLSD", "NLST *"} {
		got := c.download(verb)
		for name, want := range map[string]bool{"a.csv": true, "b.txt": true, "secret.csv": true, "hidden": false, "x.part": false, "dir": verb != "NLST *"} {
			if strings.Contains(got, name) != want && name != "dir" {
				t.Errorf("%s: %q is listed: %t\n%s", verb, name, !want, got)
			}
		}
	}
	for line, want := range map[string]int{
		"SIZE a.csv": 213, "SIZE b.txt": 213, "SIZE .hidden.csv": 550, "MDTM x.part": 550, "MLST .hidden.csv": 550,
		"DELE b.txt": 550, "DELE secret.csv": 550, "DELE .hidden.csv": 550, "MKD .git": 550, "MKD secrets": 550,
		"RNFR b.txt": 350, "HASH b.txt": 550, "MFMT 20200101000000 b.txt": 550,
	} {
		c.cmd(want, line)
	}
	c.cmd(257, "MKD folder")
	c.cmd(250, "RMD folder")
	for line, want := range map[string]int{
		"RETR b.txt": 550, "RETR secret.csv": 550, "RETR .hidden.csv": 550, "STOR b.txt": 553, "STOR new.exe": 553, "STOR secret2.csv": 553,
		"STOR .x.csv": 550, "APPE b.txt": 553, "STOR A.PART": 550,
	} {
		if code := c.try("EPSV", line); code != want {
			t.Errorf("%s: %d, want %d", line, code, want)
		}
	}
	for _, names := range [][2]string{{"a.csv", "a.exe"}, {"b.txt", "b.csv"}, {"a.csv", "secret3.csv"}} {
		c.cmd(350, "RNFR "+names[0])
		c.cmd(553, "RNTO "+names[1])
	}
	c.cmd(350, "RNFR a.csv")
	c.cmd(550, "RNTO .a.csv")
	c.cmd(350, "RNFR dir")
	c.cmd(250, "RNTO dir2")
	if code, text := c.upload("STOR New.CSV", "x"); code != 226 {
		t.Error(code, text)
	}
}

// A command that is denied is neither obeyed nor named, by none of its names.
func TestDeniedCommands(t *testing.T) {
	t.Parallel()
	f, _ := startFile(t, `
users:
  - {name: ann, HASH, denied_commands: [dele, MKD, mfmt, site], mounts: [{path: /, backend: disk, permissions: [list, read, delete, mkdir]}]}
`, func(o *gateway.Options) { o.DeniedCommands = []string{"RMD", "HASH"} })
	f.put("file", "x")
	c := f.login()
	for _, line := range []string{"DELE file", "MKD d", "XMKD d", "RMD d", "XRMD d", "MFMT 20200101000000 file", "MDTM 20200101000000 file", "SITE HELP", "HASH file"} {
		c.cmd(502, line)
	}
	for _, text := range []string{c.cmd(211, "FEAT"), c.cmd(214, "HELP")} {
		for _, verb := range []string{"DELE", "MKD", "RMD", "MFMT", "SITE", "HASH"} {
			if strings.Contains(text+" ", " "+verb+" ") || strings.Contains(text, "\n "+verb) {
				t.Errorf("%s is named in %s", verb, text)
			}
		}
	}
	c.cmd(501, "HELP DELE")
	c.cmd(213, "MDTM file") // it asks, and sets nothing
	c.cmd(213, "SIZE file")
	equal(t, "file", f.read("file"), "x")
}

// What a changed file says holds for the sessions that there are.
func TestRefreshedSessions(t *testing.T) {
	t.Parallel()
	const users = `
users:
  - {name: ann, HASH, mounts: [{path: /, backend: disk, permissions: [list, read, write, delete]}]}
  - {name: ben, HASH, mounts: [{path: /, backend: disk, permissions: [list, read, write]}]}
`
	f, u := startFile(t, users)
	f.put("a", "x")
	f.put("b", "x")
	ann, ben := f.loginAs("ann"), f.loginAs("ben")
	ann.cmd(250, "DELE a")
	u.replace(strings.ReplaceAll(users, ", delete]", "]"))
	f.server.Refresh()
	ann.cmd(550, "DELE b")
	ben.cmd(257, "PWD")

	data := ben.open("STOR half")
	if _, err := io.WriteString(data, "half"); err != nil {
		t.Fatal(err)
	}
	u.replace(strings.ReplaceAll(users, "{name: ben,", "{name: ben, enabled: false,"))
	f.server.Refresh()
	if code, text := ben.reply(); code != 426 {
		t.Errorf("the transfer of a disabled user: %d %s", code, text)
	}
	if code, text := ben.reply(); code != 421 {
		t.Errorf("a disabled user: %d %s", code, text)
	}
	if code, _ := ben.reply(); code != 0 {
		t.Errorf("a disabled user is still there: %d", code)
	}
	equal(t, "half", f.read("half"), "<none>")
	ann.cmd(250, "DELE b")
	// One that idles is told at once.
	u.replace("users:\n  - {name: other, HASH, mounts: [{path: /, backend: disk, permissions: [list]}]}\n")
	f.server.Refresh()
	if code, text := ann.reply(); code != 421 {
		t.Errorf("a removed user: %d %s", code, text)
	}
}

const totpSecret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"

func TestOneTimeCodes(t *testing.T) {
	t.Parallel()
	f, _ := startFile(t, "users:\n  - {name: ann, HASH, totp_secret: "+totpSecret+", mounts: [{path: /, backend: disk, permissions: [list]}]}\n")
	now, err := totp.GenerateCode(totpSecret, time.Now())
	next, err2 := totp.GenerateCode(totpSecret, time.Now().Add(30*time.Second))
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	c := f.dial()
	c.transcript([]line{
		{"ACCT 123456", 503, ""},
		{"USER ann", 331, ""},
		{"ACCT " + now, 503, ""},
		{"PASS secret", 332, "ACCT"},
		{"PWD", 530, ""},
		{"ACCT " + now, 230, ""},
		{"PWD", 257, ""},
		{"ACCT " + now, 202, ""},
		{"USER ann", 331, ""},
		{"PASS secret" + now, 530, ""}, // used
		{"USER ann", 331, ""},
		{"PASS secret" + next, 230, ""},
		{"PWD", 257, ""},
		{"USER ann", 331, ""},
		{"PASS secret", 332, ""},
		{"USER ann", 331, ""},
		{"ACCT " + next, 503, ""}, // what was shown before is forgotten
	})
	for _, secret := range []string{now, next, totpSecret, "secret" + now} {
		if strings.Contains(f.log.String(), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
}

// clientCertificate makes one and returns its fingerprint.
func clientCertificate(t *testing.T, name string) (tls.Certificate, string) {
	t.Helper()
	pair := keyPair(t, t.TempDir(), name)
	cert, err := tls.LoadX509KeyPair(pair.CertFile, pair.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(cert.Leaf.Raw)
	return cert, hex.EncodeToString(sum[:])
}

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	mine, print := clientCertificate(t, "ann")
	other, _ := clientCertificate(t, "ann")
	const mount = "mounts: [{path: /, backend: disk, permissions: [list]}]"
	f, _ := startFile(t, "users:\n  - {name: ann, login: certificate, certificates: ["+print+"], "+mount+"}\n"+
		"  - {name: both, HASH, login: both, certificates: ["+print+"], "+mount+"}\n  - {name: plain, HASH, "+mount+"}\n")
	dial := func(cert *tls.Certificate) *client {
		c := f.dial()
		c.startTLS(func(cfg *tls.Config) {
			if cert != nil {
				cfg.Certificates = []tls.Certificate{*cert}
			}
		})
		return c
	}
	for _, test := range []struct {
		name string
		cert *tls.Certificate
		user string
		want int // of USER
		pass int
	}{
		{"mine", &mine, "ann", 232, 0},
		{"another of the same name", &other, "ann", 331, 530},
		{"none", nil, "ann", 331, 530},
		{"mine and password", &mine, "both", 331, 230},
		{"another and password", &other, "both", 331, 530},
		{"password alone", nil, "both", 331, 530},
		{"not needed", &other, "plain", 331, 230},
		{"nobody's", &mine, "nobody", 331, 530},
	} {
		c := dial(test.cert)
		c.cmd(test.want, "USER "+test.user)
		if test.pass != 0 {
			c.cmd(test.pass, "PASS secret")
		}
		if test.want == 232 || test.pass == 230 {
			c.cmd(257, "PWD")
		} else {
			c.cmd(530, "PWD")
		}
	}
	// In clear there is no certificate.
	c := f.dial()
	c.cmd(331, "USER ann")
	c.cmd(530, "PASS secret")
}

// Of a client that has to resume, another client's data connection is refused; it has another session.
func TestReuseRequired(t *testing.T) {
	t.Parallel()
	const mount = "mounts: [{path: /, backend: disk, permissions: [list, read, write, overwrite]}]"
	f, _ := startFile(t, "users:\n  - {name: ann, HASH, tls: {session_reuse: require}, "+mount+"}\n  - {name: ben, HASH, tls: {session_reuse: off}, "+mount+"}\n")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		login := func(name string) *client {
			c := f.dial()
			cache := tls.NewLRUClientSessionCache(4)
			c.startTLS(func(cfg *tls.Config) { cfg.ClientSessionCache, cfg.MaxVersion = cache, version })
			c.cmd(331, "USER "+name)
			c.cmd(230, "PASS secret")
			c.cmd(200, "PBSZ 0")
			c.cmd(200, "PROT P")
			c.tls = c.config()
			c.tls.ClientSessionCache, c.tls.MaxVersion = cache, version
			return c
		}
		ann := login("ann")
		for range 3 {
			if code, text := ann.upload("STOR mine", "mine"); code != 226 {
				t.Errorf("%x: resumed: %d %s", version, code, text)
			}
		}
		for name, cache := range map[string]tls.ClientSessionCache{
			"none": nil, "another session's": login("ann").tls.ClientSessionCache,
		} {
			victim := login("ann")
			raw := victim.data()
			victim.send("STOR theirs")
			victim.want(150)
			cfg := victim.config()
			cfg.ClientSessionCache, cfg.MaxVersion = cache, version
			conn := tls.Client(raw, cfg)
			_, _ = io.WriteString(conn, "theirs")
			_ = conn.Close()
			if code, text := victim.reply(); code != 522 {
				t.Errorf("%x, %s: %d %s", version, name, code, text)
			}
			equal(t, "theirs", f.read("theirs"), "<none>")
		}
		ben := login("ben")
		conn := ben.open("STOR off")
		if tc := conn.(*tls.Conn); tc.ConnectionState().DidResume {
			t.Errorf("%x: resumed though that is off", version)
		}
		finish(t, conn)
		ben.want(226)
	}
}

// A user that needs a newer TLS is not let in with an older one.
func TestMinVersionOfUser(t *testing.T) {
	t.Parallel()
	f, _ := startFile(t, "users:\n  - {name: ann, HASH, tls: {min_version: \"1.3\"}, mounts: [{path: /, backend: disk, permissions: [list, write]}]}\n")
	for version, want := range map[uint16]int{tls.VersionTLS12: 530, tls.VersionTLS13: 230} {
		c := f.dial()
		c.startTLS(func(cfg *tls.Config) { cfg.MaxVersion = version })
		c.cmd(331, "USER ann")
		c.cmd(want, "PASS secret")
		if want != 230 {
			c.cmd(530, "PWD")
			continue
		}
		c.cmd(200, "PBSZ 0")
		c.cmd(200, "PROT P")
		raw := c.data()
		c.cmd(150, "STOR x")
		old := c.config()
		old.MaxVersion = tls.VersionTLS12
		if err := tls.Client(raw, old).HandshakeContext(context.Background()); err == nil {
			t.Error("a data connection with an older version was taken")
		}
		c.want(522)
	}
	c := f.dial()
	c.cmd(331, "USER ann")
	c.cmd(530, "PASS secret")
}
