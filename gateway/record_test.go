package gateway_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/audit"
	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/gateway"
)

// startRecorded serves with a record, which the function ends and reads.
func startRecorded(t *testing.T, a auth.Authenticator) (*fixture, func() []audit.Event) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	log, err := audit.Open(audit.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close(context.Background()) })
	f := start(t, func(o *gateway.Options) { o.Audit, o.AuditSHA256, o.Auth = log, true, a })
	return f, func() []audit.Event {
		t.Helper()
		f.waitForSessions(0)
		if err := log.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"secret", "guess9"} {
			if strings.Contains(string(text), secret) {
				t.Errorf("%q is in the record", secret)
			}
		}
		var events []audit.Event
		for line := range strings.Lines(string(text)) {
			var e audit.Event
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			events = append(events, e)
		}
		return events
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	f, events := startRecorded(t, people{"ann": auth.All, "cid": auth.List | auth.Read})
	f.put("there", "there")
	ann := f.loginAs("ann")
	ann.cmd(200, "CLNT test client 1.0")
	if code, _ := ann.upload("STOR dir/new", "new"); code != 226 {
		t.Fatal(code)
	}
	ann.cmd(350, "REST 2")
	if got := ann.download("RETR there"); got != "ere" {
		t.Error(got)
	}
	if got := ann.download("RETR there"); got != "there" {
		t.Error(got)
	}
	ann.passive()
	ann.cmd(550, "RETR missing")
	ann.cmd(350, "RNFR there")
	ann.cmd(250, "RNTO dir/moved")
	ann.cmd(213, "SIZE dir/moved")
	ann.cmd(257, "MKD made")
	ann.cmd(550, "DELE missing")
	ann.cmd(213, "MFMT 20200102030405 dir/new")
	ann.cmd(213, "MDTM 20200102030406 dir/new")
	ann.breakOff("STOR half", "half")
	ann.cmd(221, "QUIT")
	f.waitForSessions(0)

	cid := f.loginAs("cid")
	cid.cmd(550, "DELE dir/new")
	cid.passive()
	cid.cmd(553, "STOR x")
	cid.cmd(221, "QUIT")
	f.waitForSessions(0)

	type brief struct {
		Event           audit.Kind
		User, Command   string
		Path, Target    string
		Code            int
		Reason, Detail  string
		Bytes, Offset   int64
		Direction       audit.Direction
		SHA256, Backend string
	}
	const denied = "Permission denied"
	var got []brief
	for _, e := range events() {
		if e.Session == "" || e.Remote != "127.0.0.1" || e.TLS != "TLS 1.3" || e.Time.IsZero() || e.User == "ann" && e.Command != "" && e.Client != "test client 1.0" {
			t.Errorf("%+v", e)
		}
		if e.Event == audit.Transfer && e.Code == 226 && e.Version == "" {
			t.Errorf("no version: %+v", e)
		}
		got = append(got, brief{e.Event, e.User, e.Command, e.Path, e.Target, e.Code, e.Reason, e.Detail, e.Bytes, e.Offset, e.Direction, e.SHA256, e.Backend})
	}
	want := []brief{
		{Event: audit.Login, User: "ann"},
		{
			Event: audit.Transfer, User: "ann", Command: "STOR", Path: "/dir/new", Code: 226, Bytes: 3, Direction: audit.Up,
			SHA256: "11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437", Backend: "disk",
		},
		{Event: audit.Transfer, User: "ann", Command: "RETR", Path: "/there", Code: 226, Bytes: 3, Offset: 2, Direction: audit.Down, Backend: "disk"},
		{
			Event: audit.Transfer, User: "ann", Command: "RETR", Path: "/there", Code: 226, Bytes: 5, Direction: audit.Down,
			SHA256: "e244f187f696561d5fd7e00f618e7ba641dc52e3c137380f6fa23a854b773aac", Backend: "disk",
		},
		{Event: audit.Transfer, User: "ann", Command: "RETR", Path: "/missing", Code: 550, Reason: "No such file or folder", Direction: audit.Down, Backend: "disk"},
		{Event: audit.Command, User: "ann", Command: "RNTO", Path: "/there", Target: "/dir/moved", Code: 250},
		{Event: audit.Command, User: "ann", Command: "MKD", Path: "/made", Code: 257},
		{Event: audit.Command, User: "ann", Command: "DELE", Path: "/missing", Code: 550, Reason: "No such file or folder"},
		{Event: audit.Command, User: "ann", Command: "MFMT", Code: 213, Detail: "MFMT 20200102030405 dir/new"},
		{Event: audit.Command, User: "ann", Command: "MDTM", Code: 213, Detail: "MDTM 20200102030406 dir/new"},
		{
			Event: audit.Transfer, User: "ann", Command: "STOR", Path: "/half", Code: 426, Bytes: 4, Direction: audit.Up, Backend: "disk",
			Reason: "The data connection ended without close_notify; nothing was published",
		},
		{Event: audit.Logout, User: "ann"},
		{Event: audit.Login, User: "cid"},
		{Event: audit.Command, User: "cid", Command: "DELE", Path: "/dir/new", Code: 550, Reason: denied},
		{Event: audit.Transfer, User: "cid", Command: "STOR", Path: "/x", Code: 553, Reason: denied, Direction: audit.Up, Backend: "disk"},
		{Event: audit.Logout, User: "cid"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRecordOfRefusals(t *testing.T) {
	t.Parallel()
	f, events := startRecorded(t, users{passwords: map[string]string{"ann": "secret"}, mounts: everything()})
	c := f.dial()
	c.cmd(331, "USER ann")
	c.cmd(530, "PASS guess9")
	c.cmd(331, "USER ann")
	c.cmd(230, "PASS secret")
	c.cmd(221, "QUIT")
	var got []string
	for _, e := range events() {
		got = append(got, string(e.Event)+" "+e.User+" "+e.Reason+" "+e.TLS)
	}
	if diff := cmp.Diff([]string{"refused ann auth: wrong name or password ", "login ann  ", "logout ann  "}, got); diff != "" {
		t.Error(diff)
	}
}

// Where the record is required nothing is done without it; who looks around may.
func TestRecordRequired(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	log, err := audit.Open(audit.Options{Path: "/dev/full", Required: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = log.Close(ctx)
	}()
	f := start(t, func(o *gateway.Options) { o.Audit = log })
	f.put("there", "there")
	c := f.login()
	for log.Healthy() == nil { // the login's event fails to be written
	}
	c.passive()
	c.cmd(451, "STOR x")
	c.passive()
	c.cmd(451, "RETR there")
	c.cmd(451, "DELE there")
	c.cmd(451, "MDTM 20200102030405 there")
	c.cmd(451, "SITE UTIME 20200102030405 there")
	c.cmd(213, "SIZE there")
	c.cmd(211, "SITE WHO")
	d := f.dial()
	d.cmd(331, "USER ann")
	d.cmd(451, "PASS secret")
	equal(t, "there", f.read("there"), "there")

	cert, print := clientCertificate(t, "ann")
	g, _ := startFile(t, "users:\n  - {name: ann, login: certificate, certificates: ["+print+"], "+anyMount+"}\n",
		func(o *gateway.Options) { o.Audit = log })
	e := g.dial()
	e.startTLS(func(cfg *tls.Config) { cfg.Certificates = []tls.Certificate{cert} })
	e.cmd(451, "USER ann")
	e.cmd(530, "PWD")
}
