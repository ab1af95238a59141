package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
)

// filters is the chain between a client and the library. A command goes down it, a reply up.
type filters []Filter

func (fs filters) command(s *Session, c *Command) (r Reply, answered bool) {
	defer func() {
		if p := recover(); p != nil {
			r, answered = s.panicked(c.Verb, p), true
		}
	}()
	for _, f := range fs {
		if r, answered := f.Command(s, c); answered {
			return r, true
		}
	}
	return Reply{}, false
}

func (fs filters) reply(s *Session, c Command, r Reply, took time.Duration) Reply {
	for i := len(fs) - 1; i >= 0; i-- {
		r = fs[i].Reply(s, c, r, took)
	}
	return r
}

// panicked is the answer to a command that ran into a mistake of ours: it costs that command, not
// everyone's session.
func (s *Session) panicked(verb string, p any) Reply {
	s.observer().Panicked()
	s.log.Error("panic", "command", verb, "err", fmt.Sprint(p), "stack", string(debug.Stack()))
	return Reply{Code: 451, Text: textInternal}
}

// protocol writes the conversation to the log, and what it comes to into the record.
type protocol struct{}

func (protocol) Command(s *Session, c *Command) (Reply, bool) {
	s.log.Debug("command", "command", c.String())
	return Reply{}, false
}

func (protocol) Reply(s *Session, c Command, r Reply, took time.Duration) Reply {
	s.record(c, r, took)
	level := slog.LevelDebug
	if r.Code == 530 || r.Code == 421 {
		level = slog.LevelInfo
	}
	s.log.Log(s.ctx, level, "reply", "command", c.String(), "code", r.Code, "text", r.Text,
		"duration_ms", took.Milliseconds())
	return r
}

// policy refuses what the session may not do now, whatever the verb would do with it.
type policy struct{}

func (policy) Command(s *Session, c *Command) (Reply, bool) {
	s.adopt()
	v, known := s.server.commands[c.Verb]
	switch {
	case c.Verb == verbTooLong:
		return Reply{Code: 500, Text: "Line too long: 4,096 bytes at the most"}, true
	case !known:
		return Reply{Code: 500, Text: "Unknown command; HELP lists what there is"}, true
	case hasControl(c.Arg):
		return Reply{Code: 501, Text: "Names cannot contain control characters NUL, CR and LF"}, true
	case s.server.opts.TLS.Mode == TLSRequired && !s.secure && v.flags&inClear == 0:
		return Reply{Code: 530, Text: "TLS is required: send AUTH TLS first"}, true
	case s.account == nil && v.flags&beforeLogin == 0:
		return Reply{Code: 530, Text: "Log in with USER and PASS first"}, true
	case s.denies(*c):
		return Reply{Code: 502, Text: c.Verb + " is not available here"}, true
	case (changes[s.meaning(*c)] || c.Verb == "RETR") && s.unrecorded():
		return replyUnrecorded, true
	case v.flags&needsArg != 0 && c.Arg == "":
		return Reply{Code: 501, Text: c.Verb + " needs an argument"}, true
	}
	return Reply{}, false
}

// maxRefusals is how many commands may be refused before login. A client that is not lost needs few.
const maxRefusals = 20

// Reply ends sessions that only make noise.
func (policy) Reply(s *Session, c Command, r Reply, _ time.Duration) Reply {
	if s.account == nil && r.Code >= 500 && s.ending == nil {
		if s.refusals++; s.refusals > maxRefusals {
			s.ending = errNoise
			return Reply{Code: 421, Text: "Too many refused commands; closing"}
		}
	}
	return r
}

var errNoise = errors.New("too many refused commands before login")

// verbConnect stands for the connection itself, which the greeting answers.
const verbConnect = "CONNECT"

// verbTooLong stands for a line over maxLine; no client can send it.
const verbTooLong = "\x00"

func hasControl(arg string) bool {
	for i := range len(arg) {
		if arg[i] == 0 || arg[i] == '\r' || arg[i] == '\n' {
			return true
		}
	}
	return false
}

// verbs answers what the library shall not, and readies the rest for it.
type verbs struct{}

func (verbs) Command(s *Session, c *Command) (Reply, bool) {
	v := s.server.commands[c.Verb]
	if v.flags&keepsRest == 0 {
		s.rest, s.expected = 0, -1
	}
	renaming := s.renaming
	s.renaming = false
	switch {
	case c.Verb == "RNTO" && !renaming:
		return Reply{Code: 503, Text: "RNFR first"}, true
	case v.run != nil:
		return v.run(s, c)
	}
	return Reply{}, false
}

// Reply keeps what must be known of the library's answers, and mends their texts.
func (verbs) Reply(s *Session, c Command, r Reply, _ time.Duration) Reply {
	if v := s.server.commands[c.Verb]; v.reply != nil {
		return v.reply(s, c, r)
	}
	return r
}
