//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestExitCodes(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	write(t, bad, "x: 1")
	for args, want := range map[string]int{
		"version":                        exitOK,
		"--help":                         exitOK,
		"":                               exitUsage,
		"srve":                           exitUsage,
		"serve --nope":                   exitUsage,
		"serve --ftp 0.0.0.0:1":          exitUsage,
		"--version":                      exitOK,
		"check":                          exitUsage,
		"check --config " + bad:          exitFailure,
		"serve --config " + bad:          exitFailure,
		"serve --config " + bad + "x":    exitFailure,
		"healthcheck --addr 127.0.0.1:1": exitFailure,
	} {
		var out, log bytes.Buffer
		if got := run(t.Context(), strings.Fields(args), strings.NewReader(""), &out, &log); got != want {
			t.Errorf("sluice %s: exit code %d, want %d: %s", args, got, want, &log)
		}
		if want != exitOK && (out.Len() > 0 || log.Len() == 0) {
			t.Errorf("sluice %s: printed %q, and as an error %q", args, &out, &log)
		}
	}
}

func TestVersionLine(t *testing.T) {
	line := versionLine(&debug.BuildInfo{
		Main:     debug.Module{Version: "v1.2.3"},
		Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}},
	})
	if !strings.HasPrefix(line, "sluice v1.2.3 (revision abc with changes, go1.") {
		t.Error(line)
	}
	if line := versionLine(nil); !strings.HasPrefix(line, "sluice (devel) (go1.") {
		t.Error(line)
	}
}

// terminal returns both ends of one.
func terminal(t *testing.T) (user, program *os.File) {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = user.Close() })
	n, err := unix.IoctlGetInt(int(user.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(user.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Skip(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = program.Close() })
	return user, program
}

// typist types a line at each prompt.
type typist struct {
	terminal *os.File
	lines    []string
	seen     strings.Builder
}

func (p *typist) Write(b []byte) (int, error) {
	p.seen.Write(b)
	if strings.HasSuffix(string(b), ": ") && len(p.lines) > 0 {
		fmt.Fprintln(p.terminal, p.lines[0])
		p.lines = p.lines[1:]
	}
	return len(b), nil
}

func TestUserHashTerminal(t *testing.T) {
	for name, c := range map[string]struct {
		typed     []string
		code      int
		out, want string
	}{
		"same":      {[]string{"secret", "secret"}, exitOK, `^\$argon2id\$`, "^Password: \nOnce more: \n$"},
		"different": {[]string{"secret", "Secret"}, exitFailure, "^$", "the two passwords differ; try again"},
		"empty":     {[]string{""}, exitFailure, "^$", "the password is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			user, program := terminal(t)
			p := &typist{terminal: user, lines: c.typed}
			var out bytes.Buffer
			code := run(t.Context(), []string{"user", "hash"}, program, &out, p)
			if code != c.code || !regexp.MustCompile(c.out).MatchString(out.String()) || !regexp.MustCompile(c.want).MatchString(p.seen.String()) {
				t.Errorf("%d %q %q", code, out.String(), p.seen.String())
			}
		})
	}
}
