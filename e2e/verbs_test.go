package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sluice-ftp/sluice/e2e/harness"
)

type keyType struct{}

var sessionKey keyType

// session is the server of one script.
type session struct {
	t      testscript.T
	server *harness.Server
	log    string
	raw    *raw
	// secrets are patterns of what the server must not have written, beside the password.
	secrets []string
	// before is what folders held at remember.
	before map[string]map[string]string
}

// end kills what a script left running and shows its log if the script failed.
func (s *session) end() {
	if s.server != nil {
		if err := s.server.Kill(); err != nil {
			s.t.Log("kill:", err)
		}
	}
	if f, ok := s.t.(interface{ Failed() bool }); ok && f.Failed() && s.log != "" {
		if text, err := os.ReadFile(s.log); err == nil {
			s.t.Log("log of the server:\n" + harness.Tail(string(text), 60))
		}
	}
}

// verbs are the commands that scripts have beside those of testscript.
var verbs = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"need":         need,
	"sluice-start": sluiceStart,
	"sluice-stop":  sluiceStop,
	"sluice-term":  sluiceTerm,
	"sluice-hup":   sluiceHup,
	"sluice-kill":  sluiceKill,
	"sluice-log":   sluiceLog,
	"wait-file":    waitFile,
	"leftovers":    leftovers,
	"make-file":    makeFile,
	"ftp-raw":      ftpRaw,
	"tmpfs":        tmpfs,
	"certificate":  certificate,
	"remember":     remember,
	"unchanged":    unchanged,
}

func current(ts *testscript.TestScript) *session { return ts.Value(sessionKey).(*session) }

// need skips the script if a tool is missing, by its name; with E2E_REQUIRE=1 it fails.
// "need root" asks for the user, not for a tool.
func need(ts *testscript.TestScript, _ bool, args []string) {
	for _, tool := range args {
		if tool == "root" && os.Geteuid() == 0 {
			continue
		}
		if _, err := exec.LookPath(tool); err == nil && tool != "root" {
			continue
		}
		if os.Getenv("E2E_REQUIRE") == "1" {
			ts.Fatalf("%s is missing, and E2E_REQUIRE=1", tool)
		}
		current(ts).t.Skip(tool + " is missing")
	}
}

// sluice-start [-implicit] [-addr HOST:PORT] [arguments of sluice] starts the server and waits
// for its greeting. With ! it has to end by itself instead.
func sluiceStart(ts *testscript.TestScript, neg bool, args []string) {
	s := current(ts)
	if s.server != nil {
		ts.Fatalf("a server is running")
	}
	o := harness.Options{
		Bin: filepath.Join(shared.bin, "sluice"), Dir: ts.Getenv("WORK"), Log: ts.MkAbs("sluice.log"),
		Addr: "127.0.0.1:" + ts.Getenv("FTP_PORT"),
		Env:  append(os.Environ(), "HOME="+ts.Getenv("WORK"), "TMPDIR="+ts.Getenv("TMPDIR")),
	}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "-implicit":
			o.Implicit, o.Addr = true, "127.0.0.1:"+ts.Getenv("FTPS_PORT")
			args = args[1:]
		case "-addr":
			o.Addr, args = args[1], args[2:]
		default:
			ts.Fatalf("usage: sluice-start [-implicit] [-addr HOST:PORT] [arguments]")
		}
	}
	o.Args = args
	if len(args) == 0 {
		o.Args = []string{"serve", "--config", "sluice.yaml"}
	}
	s.log = o.Log
	server, err := harness.Start(o)
	switch {
	case neg && errors.Is(err, harness.ErrExited):
		return
	case neg:
		s.server = server
		ts.Fatalf("sluice started, or hung: %v", err)
	}
	ts.Check(err)
	s.server = server
}

func running(ts *testscript.TestScript) *harness.Server {
	s := current(ts)
	if s.server == nil {
		ts.Fatalf("no server is running")
	}
	return s.server
}

// sluice-stop ends the server by SIGTERM (or waits, after sluice-term) and wants exit code 0.
func sluiceStop(ts *testscript.TestScript, neg bool, _ []string) {
	server := running(ts)
	current(ts).server = nil
	err := server.Stop()
	if errors.Is(err, os.ErrProcessDone) {
		err = server.Wait(time.Second)
	}
	if neg != (err != nil) {
		ts.Fatalf("sluice ended: %v", err)
	}
	wantNoSecrets(ts)
}

// wantNoSecrets looks for passwords and hashes in what the server has written, at its loudest.
func wantNoSecrets(ts *testscript.TestScript) {
	for _, name := range []string{"sluice.log", "audit.jsonl"} {
		text, err := os.ReadFile(ts.MkAbs(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		ts.Check(err)
		for _, secret := range []string{password, "$argon2id$", "$2y$"} {
			if i := strings.Index(string(text), secret); i >= 0 {
				ts.Fatalf("%s has a secret: %s", name, text[max(0, i-200):min(len(text), i+100)])
			}
		}
		for _, secret := range current(ts).secrets {
			if found := regexp.MustCompile(secret).Find(text); found != nil {
				ts.Fatalf("%s has a secret: %s", name, found)
			}
		}
	}
}

// sluice-hup sends SIGHUP.
func sluiceHup(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(syscall.Kill(running(ts).PID(), syscall.SIGHUP))
}

// sluice-term sends SIGTERM and does not wait.
func sluiceTerm(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(running(ts).Terminate())
}

// sluice-kill ends the server by SIGKILL.
func sluiceKill(ts *testscript.TestScript, _ bool, _ []string) {
	server := running(ts)
	current(ts).server = nil
	ts.Check(server.Kill())
}

// sluice-log PATTERN waits until a line of the log matches. With ! none may match now.
func sluiceLog(ts *testscript.TestScript, neg bool, args []string) {
	re := regexp.MustCompile("(?m)" + args[0])
	matches := func() bool { return re.MatchString(ts.ReadFile("sluice.log")) }
	if neg {
		if matches() {
			ts.Fatalf("log matches %s", args[0])
		}
		return
	}
	await(ts, "a log line that matches "+args[0], matches)
}

// wait-file FILE waits until FILE exists; with ! until it does not.
func waitFile(ts *testscript.TestScript, neg bool, args []string) {
	await(ts, strings.Join(args, " "), func() bool {
		found, err := filepath.Glob(ts.MkAbs(args[0]))
		ts.Check(err)
		return (len(found) > 0) != neg
	})
}

// leftovers DIR looks for anything but folders below DIR/.sluice. It waits for it; with ! it waits
// until there is nothing.
func leftovers(ts *testscript.TestScript, neg bool, args []string) {
	var found []string
	await(ts, "files in "+args[0], func() bool {
		var err error
		found, err = harness.Leftovers(ts.MkAbs(args[0]))
		ts.Check(err)
		return (len(found) > 0) != neg
	})
	ts.Logf("%d leftovers: %q", len(found), found)
}

// await polls for ten seconds.
func await(ts *testscript.TestScript, what string, ok func() bool) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			ts.Fatalf("waited for ten seconds: %s", what)
		}
	}
}

// make-file NAME BYTES writes a file; shorter ones are the beginning of longer ones.
func makeFile(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), harness.Pattern(n), 0o600))
}

// tmpfs DIR BYTES mounts a small file system for the rest of the script. It needs root.
func tmpfs(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	if err := ts.Exec("mount", "-t", "tmpfs", "-o", "size="+args[1], "none", dir); err != nil {
		current(ts).t.Skip(fmt.Sprintf("no tmpfs can be mounted here: %v", err))
	}
	ts.Defer(func() {
		s := current(ts)
		if s.server != nil {
			ts.Check(s.server.Kill())
			s.server = nil
		}
		ts.Check(ts.Exec("umount", dir))
	})
}
