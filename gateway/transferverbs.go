package gateway

import (
	"crypto/rand"
	"path"
	"strings"
	"time"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/backends"
)

// ready refuses a transfer that cannot have its data connection.
func (s *Session) ready() (Reply, bool) {
	s.mu.Lock()
	data := s.data
	s.mu.Unlock()
	switch {
	case s.server.opts.TLS.Mode == TLSRequired && !s.private:
		return Reply{Code: 522, Text: "Data connections must be protected: send PBSZ 0 and PROT P"}, false
	case data == nil || data.used():
		return Reply{Code: 425, Text: "Use PASV or EPSV first", fault: FaultClient}, false
	}
	return Reply{}, true
}

// dropTransfer is called for a command that was answered before the library saw it. A transfer that is
// refused takes REST, ALLO and its data connection along: they were for it, and the next one must
// not find them.
func (s *Session) dropTransfer(verb string) {
	if verb != verbTooLong && s.server.commands[verb].flags&transfers == 0 {
		return
	}
	s.rest, s.expected = 0, -1
	s.closeData()
	if t := s.control.transferInFlight(); t != nil {
		t.end() // a panic came after begin
	}
}

// transferVerb readies RETR, STOR and APPE.
func (s *Session) transferVerb(c *Command) (Reply, bool) {
	if r, ok := s.ready(); !ok {
		return r, true
	}
	s.begin(c, s.abs(c.Arg))
	return Reply{}, false
}

// storeUnique readies STOU (RFC 959 section 4.1.3): a STOR under a name that is surely free. A
// name in the argument becomes the beginning of it.
func (s *Session) storeUnique(c *Command) (Reply, bool) {
	if r, ok := s.ready(); !ok {
		return r, true
	}
	name := strings.TrimSpace(c.Arg)
	if name == "" {
		name = "upload"
	}
	s.begin(c, s.abs(name+"."+rand.Text()[:12]))
	return Reply{}, false
}

// storedAs tells the name of a STOU (RFC 1123 section 4.1.2.9).
func storedAs(s *Session, _ Command, r Reply) Reply {
	t := s.control.transferInFlight()
	switch {
	case t == nil:
	case r.Code == 150:
		r.Text = "FILE: " + path.Base(t.path)
	case r.Code == 226:
		r.Text = "Stored as " + path.Base(t.path)
	}
	return r
}

// listVerb readies LIST, NLST and MLSD. They become downloads of lines that are made on the way;
// the library would gather the whole folder first.
func (s *Session) listVerb(c *Command) (Reply, bool) {
	if r, ok := s.ready(); !ok {
		return r, true
	}
	arg := c.Arg
	if c.Verb != "MLSD" {
		arg = withoutFlags(arg)
	}
	req := &listRequest{verb: c.Verb, path: s.abs(arg), arg: arg, facts: s.facts}
	s.begin(c, req.path).list = req
	return Reply{}, false
}

// withoutFlags drops what clients put before the path for the ls of a server's shell ("-la"). What
// they ask for is either what we do anyway, or an order that a stream cannot have.
func withoutFlags(arg string) string {
	arg = strings.TrimLeft(arg, " ")
	for strings.HasPrefix(arg, "-") {
		_, rest, _ := strings.Cut(arg, " ")
		arg = strings.TrimLeft(rest, " ")
	}
	return arg
}

// mlst answers MLST (RFC 3659 section 7.2).
func (s *Session) mlst(c *Command) (Reply, bool) {
	p := s.abs(c.Arg)
	t, err := s.see(p)
	if err != nil {
		return s.refusal(*c, err), true
	}
	obj, err := s.describe(t)
	if err != nil {
		return s.refusal(*c, err), true
	}
	line := appendFacts(nil, s.facts, obj, t.Permissions, uniqueOf(t.Backend, t.key))
	return Reply{Code: 250, Text: "Listing\n" + string(line) + " " + p + "\nEnd"}, true
}

// statLines is the most that STAT of a folder sends over the control connection.
const statLines = 1000

// statPath answers STAT with a path (RFC 959 section 4.1.3).
func (s *Session) statPath(c *Command) (Reply, bool) {
	p := s.abs(withoutFlags(c.Arg))
	t, err := s.see(p)
	if err != nil {
		return s.refusal(*c, err), true
	}
	obj, err := s.stat(t)
	if err != nil {
		return s.refusal(*c, err), true
	}
	now := time.Now()
	if !obj.Dir {
		return Reply{Code: 213, Text: "Status of " + p + "\n" + string(appendLs(nil, obj, path.Base(p), now)) + "\nEnd"}, true
	}
	if t, err = s.resolve(p, auth.List); err != nil {
		return s.refusal(*c, err), true
	}
	text, n := []byte("Status of "+p), 0
	for obj, err := range s.children(s.work(), t, backends.ListOptions{}) {
		if err != nil {
			return s.refusal(*c, err), true
		}
		if n++; n > statLines {
			text = append(text, "\nand more: use LIST"...)
			break
		}
		text = appendLs(append(text, '\n'), obj, path.Base(obj.Key), now)
	}
	return Reply{Code: 212, Text: string(text) + "\nEnd"}, true
}

// abort answers ABOR (RFC 959 section 4.1.3). What runs is cancelled and gets its own reply, which
// tells the truth when it had come too late; 226 follows it. The library's own ABOR waits behind
// a client that does not connect, and loses replies.
func (s *Session) abort(*Command) (Reply, bool) {
	if s.control.abort() {
		return Reply{}, true
	}
	s.closeData()
	return Reply{Code: 226, Text: "Nothing to abort"}, true
}
