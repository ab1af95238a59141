package gateway

import (
	"errors"
	"fmt"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/limits"
)

// bounds are what the gateway counts of addresses and users.
type bounds struct {
	bans        *limits.Bans
	connections *limits.Connections
	sessions    limits.Sessions
	bandwidth   *limits.Bandwidth
	quotas      *limits.Quotas
}

func newBounds(l Limits) *bounds {
	return &bounds{
		bans:        limits.NewBans(l.Bans),
		connections: limits.NewConnections(l.Connections, l.ConnectionsPerAddress),
		bandwidth:   limits.NewBandwidth(l.Upload, l.Download),
		quotas:      limits.NewQuotas(),
	}
}

// set changes the bounds; what is counted stays.
func (b *bounds) set(l Limits) {
	b.bans.Set(l.Bans)
	b.connections.Set(l.Connections, l.ConnectionsPerAddress)
	b.bandwidth.Set(l.Upload, l.Download)
}

var (
	errBanned   = errors.New("banned after wrong logins")
	errSessions = errors.New("too many sessions of the user")
)

// take counts the connection of a session until the session has finished, or says why it is not taken.
func (b *bounds) take(s *Session) error {
	if _, banned := b.bans.Banned(s.remote, ""); banned {
		return errBanned
	}
	release, err := b.connections.Acquire(s.remote)
	s.leave = release
	return err
}

// banned is the answer to a login by who has guessed too often.
func (s *Session) banned() (Reply, bool) {
	until, banned := s.server.bounds.bans.Banned(s.remote, s.name)
	if !banned {
		return Reply{}, false
	}
	s.log.Warn("login refused", "user", s.name, "err", errBanned.Error(), "until", until)
	s.refused(errBanned, 421)
	return Reply{Code: 421, Text: "Too many wrong logins; try again later", then: func() { s.ending = errBanned }}, true
}

// tried notes how a login went. What was right and is only not allowed now is no guess.
func (s *Session) tried(err error) {
	switch bans := s.server.bounds.bans; {
	case err == nil:
		bans.Succeed(s.remote, s.name)
	case errors.Is(err, auth.ErrDenied) && !errors.Is(err, auth.ErrNotNow):
		bans.Fail(s.remote, s.name)
	}
}

// enter counts the session as one of its user's until logout.
func (s *Session) enter(user *auth.User) bool {
	release, ok := s.server.bounds.sessions.Acquire(user.Name, user.Limits.Sessions)
	s.leaveUser = release
	return ok
}

// shape has a transfer move no faster than its user and all together may.
func (t *transfer) shape(dir limits.Direction) {
	t.slow = t.session.server.bounds.bandwidth.Transfer(t.user, dir, rate(t.limits, dir))
}

func rate(l auth.Limits, dir limits.Direction) int64 {
	if dir == limits.Up {
		return l.Upload
	}
	return l.Download
}

// slowDown waits until n bytes more may have moved.
func (t *transfer) slowDown(n int) error {
	if t.slow == nil || n == 0 {
		return nil
	}
	if err := t.slow.Wait(t.ctx, n); err != nil {
		return fmt.Errorf("gateway: bandwidth: %w", err)
	}
	return nil
}

// Bans are the addresses and users that are banned now.
func (s *Server) Bans() []limits.Ban { return s.bounds.bans.List() }

// Unban lifts the ban of a subject as Bans has it, and reports whether there was one.
func (s *Server) Unban(subject string) bool { return s.bounds.bans.Remove(subject) }
