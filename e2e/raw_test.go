package e2e

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sluice-ftp/sluice/e2e/ftp"
)

// raw is a conversation with a server, written down:
//
//	> USER acme         send a command
//	>> "USER a\r\nNO"   send bytes, quoted as in Go
//	< 331               want a reply: a regular expression for the beginning of "331 text"
//	= tls               do something; see rawVerbs
//
// It lives as long as the script, so that ftp-raw can go on with a session after the script did
// something else.
type raw struct {
	ts    *testscript.TestScript
	conns map[string]*rawConn
	cur   *rawConn
	port  string            // the address of the last passive port, whoever asked for it
	codes *strings.Replacer // puts one-time codes into lines
}

type rawConn struct {
	*ftp.Client
	data  *ftp.Data
	login string // what the last login was told
}

// ftp-raw FILE... plays conversations.
func ftpRaw(ts *testscript.TestScript, _ bool, args []string) {
	s := current(ts)
	if s.raw == nil {
		s.raw = &raw{ts: ts, conns: map[string]*rawConn{"": {}}}
		s.raw.cur = s.raw.conns[""]
		ts.Defer(s.raw.end)
	}
	for _, file := range args {
		for i, line := range strings.Split(ts.ReadFile(file), "\n") {
			line = strings.TrimSuffix(line, "\r")
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			ts.Logf("%s", line)
			if err := s.raw.line(line); err != nil {
				ts.Fatalf("%s:%d: %s: %v", file, i+1, line, err)
			}
		}
	}
}

func (r *raw) end() {
	for _, c := range r.conns {
		if c.data != nil {
			_ = c.data.FIN() // it may be closed already
		}
		if c.Client != nil {
			_ = c.FIN()
		}
	}
}

func (r *raw) line(line string) error {
	if r.codes != nil {
		line = r.codes.Replace(line)
	}
	kind, rest, _ := strings.Cut(line, " ")
	switch kind {
	case "=":
		verb, arg, _ := strings.Cut(rest, " ")
		f, ok := rawVerbs[verb]
		if !ok {
			return errors.New("no such verb")
		}
		return f(r, arg)
	case ">":
		return r.cur.Send(rest + "\r\n")
	case ">>":
		text, err := strconv.Unquote(rest)
		if err != nil {
			return err
		}
		return r.cur.Send(text)
	case "<":
		return r.reply(rest)
	}
	return errors.New("a line begins with <, >, >>, = or #")
}

func (r *raw) reply(want string) error {
	got, err := r.cur.Reply()
	if err != nil {
		return err
	}
	r.ts.Logf("\t%v", got)
	re, err := regexp.Compile("(?s)^(?:" + want + ")")
	if err != nil {
		return err
	}
	if !re.MatchString(got.String()) {
		return fmt.Errorf("the reply is %q", got)
	}
	return nil
}
