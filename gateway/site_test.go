package gateway_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/gateway"
)

func TestSite(t *testing.T) {
	t.Parallel()
	const users = "users:\n  - {name: ann, HASH, quota: {bytes: 1000}, " + anyMount + "}\n" +
		"  - {name: ben, HASH, mounts: [{path: /, backend: disk, permissions: [list, read]}]}\n"
	f, _ := startFile(t, users)
	f.put("file", "0123456789")
	ann, ben := f.loginAs("ann"), f.loginAs("ben")
	ann.transcript([]line{
		{"SITE HELP", 214, "SITE UTIME"},
		{"SITE", 501, ""},
		{"SITE FLY", 504, ""},
		{"SITE QUOTA", 211, "Stored: 10 bytes of 1000, 1 files of any number"},
		{"SITE UTIME 20200102030405 file", 200, ""},
		{"MDTM file", 213, "20200102030405"},
		{"site utime 202001020307 file", 200, ""},
		{"MDTM file", 213, "20200102030700"},
		{"SITE UTIME file 20210101000000 20220202020202 20230303030303 UTC", 200, ""},
		{"MDTM file", 213, "20220202020202"},
		{"SITE UTIME 20200102 file", 501, ""},
		{"SITE UTIME 20200102030405", 501, ""},
		{"SITE UTIME 20209902030405 file", 501, ""},
		{"SITE UTIME 20200102030405 missing", 550, ""},
		{"SITE UTIME 20200102030405 ../../etc/passwd", 550, ""},
		{"SITE CHMOD 644 file", 200, "nothing was changed"},
		{"SITE CHMOD 0755 file", 200, ""},
		{"SITE CHMOD 644 missing", 550, ""},
		{"SITE CHMOD 999 file", 501, ""},
		{"SITE CHMOD", 501, ""},
		{"SITE CHMOD 644", 501, ""},
	})
	ben.transcript([]line{
		{"SITE QUOTA", 211, "There is no quota"},
		{"SITE UTIME 20200102030405 file", 550, ""},
	})
	data := ann.open("STOR up")
	if _, err := io.WriteString(data, "12345"); err != nil {
		t.Fatal(err)
	}
	other := f.loginAs("ann")
	for !strings.Contains(other.cmd(211, "SITE WHO"), "STOR /up, 5 bytes") {
		<-time.After(time.Millisecond)
	}
	if who := other.cmd(211, "SITE WHO"); strings.Count(who, "127.0.0.1") != 2 {
		t.Errorf("two sessions are ann's: %s", who)
	}
	if who := ben.cmd(211, "SITE WHO"); strings.Count(who, "127.0.0.1") != 1 || strings.Contains(who, "/up") {
		t.Errorf("one session is ben's: %s", who)
	}
	finish(t, data)
	ann.want(226)
	if info, err := os.Stat(filepath.Join(f.root, "file")); err != nil || info.Mode() != 0o644 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	g, _ := startFile(t, users, func(o *gateway.Options) { o.CHMOD = gateway.CHMODRefuse })
	g.put("file", "x")
	g.loginAs("ann").cmd(504, "SITE CHMOD 644 file")
}

// The operator's own commands: what they say is told on one line, and why they fail is not.
func TestOwnSiteCommands(t *testing.T) {
	t.Parallel()
	var got gateway.SiteCall
	answer := func(text string, ok bool, err error) gateway.SiteCommand {
		return gateway.SiteCommand{Name: "DO", Usage: "does it", Run: func(_ context.Context, c gateway.SiteCall) (string, bool, error) {
			got = c
			return text, ok, err
		}}
	}
	for name, test := range map[string]struct {
		command gateway.SiteCommand
		code    int
		text    string
	}{
		"done":    {answer("queued as 7\r\n250 more", true, nil), 200, "queued as 7"},
		"silent":  {answer("", true, nil), 200, "SITE DO is done"},
		"refused": {answer("not today", false, nil), 550, "not today"},
		"failed":  {answer("", false, errors.New("the password of the database is x")), 451, "SITE DO does not work now; try again later"},
		"too slow": {gateway.SiteCommand{Name: "DO", Timeout: time.Millisecond, Run: func(ctx context.Context, _ gateway.SiteCall) (string, bool, error) {
			<-ctx.Done()
			return "", false, ctx.Err()
		}}, 451, "SITE DO does not work now; try again later"},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, func(o *gateway.Options) { o.SiteCommands = []gateway.SiteCommand{test.command} })
			f.put("dir/x", "x")
			c := f.login()
			c.cmd(250, "CWD dir")
			equal(t, "reply", c.cmd(test.code, "site do this and that"), test.text)
			if name == "done" {
				if help := c.cmd(214, "SITE HELP"); !strings.Contains(help, "SITE DO: does it") {
					t.Error(help)
				}
				if got.Argument != "this and that" || got.User != "ann" || got.Folder != "/dir" || got.Remote != "127.0.0.1" {
					t.Errorf("%+v", got)
				}
			}
		})
	}
}
