package gateway_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/gateway"
)

func lines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(s, "\r\n"), "\r\n")
}

func TestListings(t *testing.T) {
	t.Parallel()
	f := start(t)
	old := time.Date(2019, 3, 4, 5, 6, 7, 0, time.UTC)
	recent := time.Now().Add(-time.Hour).UTC()
	for _, name := range []string{"a.csv", "b.csv", "c d.txt", "[x].csv", "sub/e.csv"} {
		f.put(name, "12345")
	}
	if err := os.Chtimes(filepath.Join(f.root, "a.csv"), old, old); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(f.root, "b.csv"), recent, recent); err != nil {
		t.Fatal(err)
	}
	for _, secure := range []bool{false, true} {
		c := f.login()
		if secure {
			c = f.loginTLS()
		}
		for cmd, want := range map[string][]string{
			"NLST":                    {"[x].csv", "a.csv", "b.csv", "c d.txt", "sub"},
			"NLST .":                  {"[x].csv", "a.csv", "b.csv", "c d.txt", "sub"},
			"NLST -la":                {"[x].csv", "a.csv", "b.csv", "c d.txt", "sub"},
			"NLST sub":                {"sub/e.csv"},
			"NLST /sub/":              {"/sub/e.csv"},
			"NLST *.csv":              {"[x].csv", "a.csv", "b.csv"},
			"NLST b.csv":              {"b.csv"},
			"NLST sub/*.csv":          {"sub/e.csv"},
			"NLST ?.csv":              {"a.csv", "b.csv"},
			"NLST [ab].csv":           {"a.csv", "b.csv"},
			"NLST [x].csv":            {"[x].csv"}, // a name that is there comes before a pattern
			"NLST a*":                 {"a.csv"},
			"NLST /nowhere/../sub/e*": {"/nowhere/../sub/e.csv"},
		} {
			got := lines(c.download(cmd))
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", cmd, got, want)
			}
		}
		for _, cmd := range []string{"LIST", "LIST -la", "LIST -a -l", "LIST -t -r .", "LIST -R /"} {
			got := lines(c.download(cmd))
			slices.Sort(got)
			want := []string{
				`^-rw-r--r-- 1 ftp ftp            5 \w{3} [ \d]\d \d\d:\d\d \[x\]\.csv$`,
				`^-rw-r--r-- 1 ftp ftp            5 \w{3} [ \d]\d \d\d:\d\d c d\.txt$`,
				`^-rw-r--r-- 1 ftp ftp            5 Mar  4  2019 a\.csv$`,
				`^-rw-r--r-- 1 ftp ftp            5 ` + recent.Format("Jan _2 15:04") + ` b\.csv$`,
				`^drwxr-xr-x 1 ftp ftp            0 \w{3} [ \d]\d \d\d:\d\d sub$`,
			}
			if len(got) != len(want) {
				t.Fatalf("%s: %q", cmd, got)
			}
			for _, w := range want {
				if !slices.ContainsFunc(got, regexp.MustCompile(w).MatchString) {
					t.Errorf("%s: %q lacks %s", cmd, got, w)
				}
			}
		}
		equal(t, "LIST a.csv", len(lines(c.download("LIST a.csv"))), 1)
		got := lines(c.download("MLSD"))
		equal(t, "MLSD", len(got), 5)
		if !slices.ContainsFunc(got, func(l string) bool {
			return strings.HasPrefix(l, "type=file;size=5;modify=20190304050607;perm=adfrw;unique=") && strings.HasSuffix(l, "; a.csv")
		}) {
			t.Errorf("MLSD: %q", got)
		}
		c.cmd(200, "OPTS MLST type;")
		if got := c.download("MLSD sub"); got != "type=file; e.csv\r\n" {
			t.Errorf("MLSD sub: %q", got)
		}
		for cmd, code := range map[string]int{
			"LIST none": 550, "NLST none": 550, "MLSD none": 550, "LIST *.pdf": 450, "NLST *.pdf": 450,
			"MLSD *.csv": 550, "MLSD a.csv": 550, "LIST none/*": 550, "LIST [": 550 - 100,
		} {
			_ = c.passive()
			c.cmd(code, cmd)
		}
		f.mkdir("empty")
		equal(t, "empty", c.download("LIST empty"), "")
		equal(t, "empty", c.download("NLST empty"), "")
		if err := os.Remove(filepath.Join(f.root, "empty")); err != nil {
			t.Fatal(err)
		}
	}
}

func (f *fixture) mkdir(name string) {
	f.t.Helper()
	if err := os.Mkdir(filepath.Join(f.root, name), 0o755); err != nil {
		f.t.Fatal(err)
	}
}

// unique is the same for one object by whatever way it is asked for, and differs between two.
func TestUnique(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.put("d/a", "")
	f.put("d/b", "")
	c := f.login()
	c.cmd(200, "OPTS MLST unique;")
	fact := func(s string) string { return regexp.MustCompile(`unique=\w+`).FindString(s) }
	listed := map[string]string{}
	for _, l := range lines(c.download("MLSD d")) {
		_, name, _ := strings.Cut(l, " ")
		listed[name] = fact(l)
	}
	equal(t, "a", fact(c.cmd(250, "MLST d/a")), listed["a"])
	if listed["a"] == listed["b"] || listed["a"] == "" {
		t.Errorf("unique: %v", listed)
	}
}

// Names that would break a line are not listed, and Sluice's own folder is not there at all.
func TestHiddenNames(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.put("good", "")
	f.put("two\r\nlines", "")
	f.put("bad\xff", "")
	c := f.login()
	for _, cmd := range []string{"NLST", "LIST -a", "MLSD"} {
		got := lines(c.download(cmd))
		if len(got) != 1 || !strings.HasSuffix(got[0], "good") {
			t.Errorf("%s: %q", cmd, got)
		}
	}
	for _, cmd := range []string{"CWD .sluice", "SIZE .sluice/tmp/x", "DELE .sluice/tmp", "RMD .sluice", "MKD .sluice/x", "RNFR .sluice", "MLST .sluice", "STAT .sluice"} {
		c.send(cmd)
		if code, text := c.reply(); code != 550 && code != 553 {
			t.Errorf("%s: %d %s", cmd, code, text)
		}
	}
	for _, cmd := range []string{"RETR .sluice/tmp/x", "STOR .sluice/x", "LIST .sluice", "NLST .sluice/*", "MLSD .sluice"} {
		_ = c.passive()
		c.send(cmd)
		if code, text := c.reply(); code != 550 && code != 553 {
			t.Errorf("%s: %d %s", cmd, code, text)
		}
	}
}

// Mounts are folders, also when nothing else is there; what a store has of their name is hidden.
func TestMounts(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *gateway.Options) {
		o.Auth = users{passwords: map[string]string{"ann": "secret"}, mounts: []auth.Mount{
			{Path: "/in", Backend: "disk", Prefix: "partners/ann", Permissions: auth.All},
			{Path: "/in/deep/archive", Backend: "disk", Prefix: "archive", Permissions: auth.List | auth.Read},
			{Path: "/out", Backend: "disk", Prefix: "out", Permissions: auth.List | auth.Read},
		}}
	})
	f.put("partners/ann/deep/archive/hidden", "")
	f.put("archive/old", "old")
	f.put("elsewhere", "x")
	c := f.login()
	equal(t, "/", c.download("NLST"), "in\r\nout\r\n")
	equal(t, "/in/deep", c.download("NLST /in/deep"), "/in/deep/archive\r\n")
	equal(t, "archive", c.download("RETR /in/deep/archive/old"), "old")
	equal(t, "out, which nobody made", c.download("NLST out"), "")
	c.transcript([]line{
		{"CWD out", 250, ""},
		{"CWD /in", 250, ""},
		{"CWD /elsewhere", 550, ""},
		{"CWD /in/../../elsewhere", 550, ""},
		{"SIZE /elsewhere", 550, ""},
		{"MKD /new", 550, ""},
		{"RMD /in", 550, ""},
		{"DELE /out", 550, ""},
		{"RNFR /in/deep", 550, ""},
		{"RNFR /in", 550, ""},
		{"MKD /in/deep/archive/x", 550, ""},
		{"MKD /in/x", 257, ""},
		{"STAT /", 212, "in"},
		{"MLST /", 250, "type=dir;"},
		{"MLST /in", 250, "perm=cdeflmp;"},
		{"MLST /out", 250, "perm=el;"},
		{"AVBL /", 550, ""},
		{"AVBL /in", 213, ""},
	})
	for _, cmd := range []string{"STOR /x", "STOR /out/x", "STOR /in", "STOR /in/deep", "APPE /in/deep/archive/old"} {
		_ = c.passive()
		c.send(cmd)
		if code, text := c.reply(); code < 550 {
			t.Errorf("%s: %d %s", cmd, code, text)
		}
	}
	code, text := c.upload("STOR /in/x/y", "content")
	equal(t, text, code, 226)
	equal(t, "file", f.read("partners/ann/x/y"), "content")
}

// A long listing comes while it is made, and its reader may go away.
func TestLongListing(t *testing.T) {
	t.Parallel()
	f := start(t)
	for i := range 3000 {
		f.put(fmt.Sprintf("many/file-%04d", i), "")
	}
	c := f.loginTLS()
	conn := c.open("MLSD many")
	first, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(first, "file-") {
		t.Fatalf("%q %v", first, err)
	}
	c.send("ABOR") // it may have been sent whole into the socket already
	if code, text := c.reply(); code != 426 && code != 226 {
		t.Errorf("%d %s", code, text)
	}
	c.want(226)
	equal(t, "names", len(lines(c.download("NLST many"))), 3000)
	equal(t, "STAT", strings.Count(c.cmd(212, "STAT many"), "file-"), 1000)
}
