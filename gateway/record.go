package gateway

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"hash"
	"io"
	"time"

	"github.com/sluice-ftp/sluice/audit"
)

// The record has one event for each login, refusal, command that changes something, transfer and end of
// a session. The texts of replies and the reasons in it are ours; paths are the client's.

// changes are the commands that change something, by what they come to; SITE has some of its own.
var changes = map[string]bool{
	"DELE": true, "MKD": true, "RMD": true, "RNTO": true, "MFMT": true, "STOR": true, "APPE": true, "STOU": true,
}

// event is what all events of the session have.
func (s *Session) event(kind audit.Kind) audit.Event {
	e := audit.Event{Event: kind, Session: s.id, User: s.name, Remote: s.remote.String(), Client: s.software}
	if s.control.tlsVersion != 0 {
		e.TLS = tls.VersionName(s.control.tlsVersion)
	}
	return e
}

// refused records what was not allowed, and why.
func (s *Session) refused(why error, code int) {
	e := s.event(audit.Refused)
	e.Reason, e.Code = why.Error(), code
	s.server.opts.Audit.Write(e)
}

// record writes the event that a final reply is, if it is one.
func (s *Session) record(c Command, r Reply, took time.Duration) {
	if s.server.opts.Audit == nil || !r.final() || s.account == nil {
		return
	}
	t := s.control.transferInFlight()
	var e audit.Event
	switch {
	case t != nil && t.list == nil:
		e = t.event()
	case changes[s.meaning(c)]:
		e = s.event(audit.Command)
		e.Path = s.abs(c.Arg)
		switch s.meaning(c) {
		case "RNTO":
			e.Path, e.Target = s.renameFrom, e.Path
		case "MFMT":
			e.Path, e.Detail = "", c.String()
		}
	case c.Verb == "SITE" && r.Code != 214:
		e = s.event(audit.Command)
		e.Detail = c.String()
	case forbidden(r):
		e = s.event(audit.Refused)
		e.Detail = c.String()
	default:
		return
	}
	e.Command, e.Code = c.Verb, r.Code
	if r.Code >= 400 {
		e.Reason = r.Text
	}
	e.Seconds = took.Seconds()
	s.server.opts.Audit.Write(e)
}

// forbidden tells a refusal from what did not work for another reason.
func forbidden(r Reply) bool {
	switch r.Code {
	case 502, 530, 533, 534:
		return true
	case 550, 553:
		return r.Text == textDenied
	}
	return false
}

// event tells what the transfer has moved.
func (t *transfer) event() audit.Event {
	e := t.session.event(audit.Transfer)
	e.Path, e.Bytes, e.Offset, e.Backend, e.Version = t.path, t.moved.Load(), t.rest, t.backend, t.version
	e.Direction = audit.Up
	if t.verb == "RETR" {
		e.Direction = audit.Down
	}
	if t.whole {
		e.SHA256 = hex.EncodeToString(t.sum.Sum(nil))
	}
	return e
}

// hashes has the content of a whole file hashed for the record, where that is asked for.
func (t *transfer) hashes(offset int64) {
	if t.session.server.opts.Audit != nil && t.session.server.opts.AuditSHA256 && offset == 0 {
		t.sum = sha256.New()
	}
}

// moving is a writer of content on its way out, that hashes it.
type moving struct {
	io.Writer
	sum hash.Hash
}

func (m moving) Write(p []byte) (int, error) {
	n, err := m.Writer.Write(p)
	m.sum.Write(p[:n])
	return n, err
}

// unrecorded refuses work of which there would be no record, where one is required.
func (s *Session) unrecorded() bool {
	log := s.server.opts.Audit
	if log == nil || !log.Required() {
		return false
	}
	err := log.Healthy()
	if err != nil {
		s.log.Error("work is refused", "err", err.Error())
	}
	return err != nil
}

var replyUnrecorded = Reply{Code: 451, Text: "The record of transfers cannot be kept; try again later"}
