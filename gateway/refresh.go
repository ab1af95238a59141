package gateway

import (
	"errors"
	"maps"
	"slices"
)

var errRevoked = errors.New("the user may not be here any more")

// Refresh holds all sessions to what their users are now, after the users have changed or time has
// passed. A session whose user may not be here any more ends, with its transfer; others have their new
// permissions and limits from the next command on.
func (s *Server) Refresh() {
	for _, session := range s.open() {
		session.refresh()
	}
}

// open are the sessions that there are.
func (s *Server) open() []*Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.sessions))
}

func (s *Session) refresh() {
	old := s.current.Load()
	if old == nil {
		return
	}
	user, err := s.server.opts.Auth.Refresh(old, s.remote)
	switch {
	case err != nil:
		s.log.Info("session revoked", "user", old.Name, "err", err.Error())
		s.revoke()
	case user != old && s.current.CompareAndSwap(old, user):
		s.next.Store(user)
	}
}

// revoke ends the session from another goroutine. The client is told if it listens.
func (s *Session) revoke() {
	s.cancel(errRevoked)
	s.control.drain(leave{errRevoked, "This user may not be here any more; closing"})
}

// adopt makes what the user has become the account.
func (s *Session) adopt() {
	user := s.next.Swap(nil)
	if user == nil || s.account == nil || user.Name != s.account.Name {
		return
	}
	mounts, err := s.server.mountsOf(user)
	if err != nil {
		s.log.Error("users were reloaded", "user", user.Name, "err", err.Error())
		return
	}
	s.account, s.mounts = user, mounts
	s.server.forgetQuota(user)
}
