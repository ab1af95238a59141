package gateway

import (
	"strings"
	"time"
)

// Command is one line of a client: RFC 959 section 5.3. Verb is in upper case.
type Command struct{ Verb, Arg string }

// String returns the line without its end, fit for a log: a password is hidden.
func (c Command) String() string {
	switch {
	case c.Verb == "PASS" || c.Verb == "ACCT":
		return c.Verb + " ****"
	case c.Arg == "":
		return c.Verb
	case len(c.Arg) > maxLogged:
		return c.Verb + " " + c.Arg[:maxLogged] + "…"
	}
	return c.Verb + " " + c.Arg
}

// maxLogged is how many bytes of an argument a log line has room for.
const maxLogged = 512

// Reply is an answer. Several lines in Text make a multi-line reply (RFC 959 section 4.2). The zero
// Reply, returned with true by a Filter, means that the answer comes later.
type Reply struct {
	Code int
	Text string

	// fault is whose a refusal is, where the code does not tell.
	fault Fault
	// then runs on the control goroutine once the reply is on its way.
	then func()
}

// final tells a reply that ends its command from 150 and its like.
func (r Reply) final() bool { return r.Code >= 200 }

// Filter stands between a client and the library. Command sees a command before the library
// does; it may rewrite it, or answer it (true), and then nobody behind sees it. Reply sees every
// reply, and what it returns is sent.
type Filter interface {
	Command(s *Session, c *Command) (Reply, bool)
	Reply(s *Session, c Command, r Reply, took time.Duration) Reply
}

// Telnet bytes that may stand in a control connection (RFC 854, RFC 1123 section 4.1.2.10).
const (
	telnetIAC  = 255
	telnetDONT = 254
	telnetWILL = 251
	telnetSE   = 240 // the lowest command
)

// parse splits a line at its first space. Telnet commands, which careful clients put before ABOR,
// are dropped, and so are leading blanks.
func parse(line []byte) Command {
	text := strings.TrimLeft(string(stripTelnet(line)), " \t")
	text = strings.TrimSuffix(text, "\n")
	text = strings.TrimSuffix(text, "\r")
	verb, arg, _ := strings.Cut(text, " ")
	return Command{Verb: strings.ToUpper(verb), Arg: arg}
}

func stripTelnet(line []byte) []byte {
	out := line[:0]
	for i := 0; i < len(line); i++ {
		if line[i] != telnetIAC || i+1 == len(line) {
			out = append(out, line[i])
			continue
		}
		i++
		switch next := line[i]; {
		case next == telnetIAC: // an escaped 255
			out = append(out, next)
		case next < telnetSE: // no command: part of a name, and not for us to mend
			out = append(out, telnetIAC, next)
		case next >= telnetWILL && next <= telnetDONT: // an option follows
			i++
		}
	}
	return out
}
