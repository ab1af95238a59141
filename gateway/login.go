package gateway

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/sluice-ftp/sluice/audit"
	"github.com/sluice-ftp/sluice/auth"
)

const (
	loginTries  = 3
	authTimeout = 15 * time.Second
	// firstDelay is how long the answer to a first wrong password takes; it doubles from there.
	firstDelay = time.Second
)

// logout forgets who the client was. The library still thinks that it knows, but sees no command
// until the next PASS is right, and that gives it a new driver.
func (s *Session) logout() {
	if s.account != nil {
		s.loginSince = time.Now()
	}
	s.exit()
	s.name, s.account, s.mounts, s.proof = "", nil, nil, nil
	s.current.Store(nil)
	s.rest, s.expected = 0, -1
	s.closeData()
}

// user answers USER (RFC 959 section 4.1.1). A second USER logs the first one out. A client whose
// certificate says all logs in with it (232, RFC 2228 section 3).
func (s *Session) user(c *Command) (Reply, bool) {
	s.logout()
	s.name = c.Arg
	if len(s.control.peer) > 0 {
		return s.prove(c, auth.Login{CertificateOnly: true})
	}
	return replyPassword, true
}

var replyPassword = Reply{Code: 331, Text: "Password, please"}

// loggedInAtUser changes the library's answer to the PASS that USER became.
func loggedInAtUser(_ *Session, _ Command, r Reply) Reply {
	if r.Code == 230 {
		r.Code = 232
	}
	return r
}

// pass checks the password, and lets PASS through to the library when it is right; the library
// would hang up on the first wrong one. It never sees the password.
func (s *Session) pass(c *Command) (Reply, bool) {
	if s.name == "" || s.account != nil {
		return Reply{Code: 503, Text: "USER first"}, true
	}
	return s.prove(c, auth.Login{Password: c.Arg})
}

// acct takes the one-time code that 332 asked for.
func (s *Session) acct(c *Command) (Reply, bool) {
	switch {
	case s.account != nil:
		return Reply{Code: 202, Text: "No account is needed"}, true
	case s.proof == nil:
		return Reply{Code: 503, Text: "USER and PASS first"}, true
	}
	l := *s.proof
	l.Code = strings.TrimSpace(c.Arg)
	return s.prove(c, l)
}

// prove holds what the client has shown to the account.
func (s *Session) prove(c *Command, l auth.Login) (Reply, bool) {
	c.Arg = "-"
	s.proof = nil
	if reply, banned := s.banned(); banned {
		s.observeLogin(l, LoginBanned)
		return reply, true
	}
	if s.unrecorded() {
		s.observeLogin(l, LoginUnrecorded)
		return replyUnrecorded, true
	}
	user, err := s.ask(l)
	if l.CertificateOnly && l.Code == "" && errors.Is(err, auth.ErrDenied) {
		s.log.Debug("certificate does not log in", "user", s.name, "err", err.Error())
		return replyPassword, true // it was no guess
	}
	// Again: a hundred guesses at once have all come this far when the first few were wrong.
	if reply, banned := s.banned(); banned {
		s.observeLogin(l, LoginBanned)
		return reply, true
	}
	s.tried(err)
	switch {
	case err == nil:
		reply, answered, result := s.admit(c, user)
		s.observeLogin(l, result)
		return reply, answered
	case errors.Is(err, auth.ErrCodeNeeded):
		s.proof = &l
		return Reply{Code: 332, Text: "One-time code, please: ACCT"}, true
	}
	s.observeLogin(l, loginResult(err))
	if errors.Is(err, auth.ErrDenied) {
		return s.loginFailed(err), true
	}
	return s.cannotTell(err), true
}

func (s *Session) ask(l auth.Login) (*auth.User, error) {
	// Not the session's context: it would keep the bookkeeping for as long as the session idles.
	ctx, cancel := context.WithTimeout(context.Background(), authTimeout)
	defer cancel()
	l.Name, l.Remote, l.Certificates = s.name, s.remote, s.control.peer
	return s.server.opts.Auth.Authenticate(ctx, l)
}

func (s *Session) cannotTell(err error) Reply {
	s.log.Error("login", "user", s.name, "err", err.Error())
	return Reply{Code: 451, Text: "Logins cannot be checked now; try again later"}
}

// admit lets a user in who has proved who they are: the library is given a PASS, and no password.
func (s *Session) admit(c *Command, user *auth.User) (r Reply, answered bool, result LoginResult) {
	if s.control.tlsVersion < user.TLS.MinVersion {
		s.log.Warn("login refused", "user", s.name, "err", errOldTLS.Error())
		s.refused(errOldTLS, 530)
		s.name = ""
		return Reply{Code: 530, Text: "A newer version of TLS is required"}, true, LoginOldTLS
	}
	mounts, err := s.server.mountsOf(user)
	if err != nil {
		return s.cannotTell(err), true, LoginError
	}
	if !s.enter(user) {
		s.log.Warn("login refused", "user", s.name, "err", errSessions.Error())
		s.refused(errSessions, 421)
		return Reply{Code: 421, Text: "Too many sessions of this user; close one first", then: func() { s.ending = errSessions }}, true, LoginSessions
	}
	c.Verb, c.Arg = "PASS", "-"
	s.account, s.mounts = user, mounts
	s.server.forgetQuota(user)
	s.current.Store(user)
	s.log.Info("login", "user", s.name, "tls", s.secure)
	s.server.opts.Audit.Write(s.event(audit.Login))
	return Reply{}, false, LoginOK
}

// loginFailed makes guessing slow: the reply waits, longer each time, and the third one is the last.
func (s *Session) loginFailed(why error) Reply {
	s.failures++
	s.log.Warn("login refused", "user", s.name, "failures", s.failures, "err", why.Error())
	s.refused(why, 530)
	s.name = ""
	wait := time.NewTimer(firstDelay << (s.failures - 1))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-s.ctx.Done():
	}
	if s.failures >= loginTries {
		return Reply{Code: 421, Text: "Too many wrong logins; closing", then: func() { s.ending = errTries }}
	}
	return Reply{Code: 530, Text: "Wrong name or password"}
}

var (
	errTries  = errors.New("too many wrong logins")
	errOldTLS = errors.New("an older version of TLS than the user's")
)

// reinitialize answers REIN (RFC 959 section 4.1.1): as after the greeting, except that TLS stays.
// RFC 4217 section 11 would have it end, which nobody wants who asked for it.
func (s *Session) reinitialize(*Command) (Reply, bool) {
	s.logout()
	s.ascii, s.deflate, s.epsvAll, s.protBuf = false, false, false, false
	s.private = s.implicit
	s.rest, s.expected, s.facts, s.hash, s.byteRange = 0, -1, allFacts, defaultHash, byteRange{}
	return Reply{Code: 220, Text: "Ready for a new user"}, true
}

// auth answers AUTH (RFC 4217 section 4) and takes the connection over to TLS.
func (s *Session) auth(c *Command) (Reply, bool) {
	mechanism := strings.ToUpper(strings.TrimSpace(c.Arg))
	switch {
	case s.server.controlTLS == nil:
		return Reply{Code: 502, Text: "TLS is off here"}, true
	case s.secure:
		return Reply{Code: 503, Text: "TLS is on already"}, true
	case s.account != nil:
		return Reply{Code: 503, Text: "AUTH comes before login"}, true
	case mechanism != "TLS" && mechanism != "TLS-C" && mechanism != "SSL" && mechanism != "TLS-P":
		return Reply{Code: 504, Text: "AUTH TLS is what there is"}, true
	}
	return Reply{Code: 234, Text: "Go ahead with TLS", then: func() {
		if err := s.control.startTLS(); err != nil {
			s.log.Info("tls handshake failed", "err", err.Error())
			s.abandon(err)
			return
		}
		s.secure, s.name, s.proof = true, "", nil
		// Of old, these two names meant protected data connections as well.
		s.private = mechanism == "SSL" || mechanism == "TLS-P"
	}}, true
}

// bufferSize answers PBSZ: TLS needs no buffer to be agreed on (RFC 4217 section 8).
func (s *Session) bufferSize(*Command) (Reply, bool) {
	if !s.secure {
		return Reply{Code: 503, Text: "AUTH TLS first"}, true
	}
	s.protBuf = true
	return Reply{Code: 200, Text: "PBSZ=0"}, true
}

// protect answers PROT (RFC 4217 section 9). dataConn does what it says; the library, which takes
// every letter but P for clear, never hears of it.
func (s *Session) protect(c *Command) (Reply, bool) {
	level := strings.ToUpper(strings.TrimSpace(c.Arg))
	switch {
	case !s.secure:
		return Reply{Code: 503, Text: "AUTH TLS first"}, true
	case !s.protBuf && !s.implicit:
		return Reply{Code: 503, Text: "PBSZ 0 first"}, true
	case level == "C" && (s.implicit || s.server.opts.TLS.Mode == TLSRequired):
		return Reply{Code: 534, Text: "Data connections must be protected: PROT P"}, true
	case level == "P" || level == "C":
		s.private = level == "P"
		return Reply{Code: 200, Text: "Data connections: " + onOff(s.private, "protected", "in clear")}, true
	case level == "S" || level == "E":
		return Reply{Code: 536, Text: "TLS knows P and C only"}, true
	}
	return Reply{Code: 504, Text: "PROT P or PROT C"}, true
}
