package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/limits"
)

// connectionResults is by what admit says.
var connectionResults = map[error]ConnectionResult{
	nil: ConnectionAccepted, errShutdown: ConnectionDraining, errNetwork: ConnectionNetwork, errBanned: ConnectionBanned,
	limits.ErrTotal: ConnectionTotal, limits.ErrAddress: ConnectionAddress,
}

// observing tells the Observer of each command.
type observing struct{}

func (observing) Command(*Session, *Command) (Reply, bool) { return Reply{}, false }

func (observing) Reply(s *Session, c Command, r Reply, took time.Duration) Reply {
	if !r.final() || c.Verb == verbConnect {
		return r
	}
	s.observer().Reply(s.work(), nameOf(c.Verb), r.Code, r.faultOf(), took)
	return r
}

// faultOf is whose a refusal is: what the cause says, or else the code.
func (r Reply) faultOf() Fault {
	switch {
	case r.Code < 400:
		return FaultNone
	case r.fault != FaultNone:
		return r.fault
	case r.Code == 451:
		return FaultServer
	case r.Code == 425 || r.Code == 426:
		return FaultNetwork
	}
	return FaultClient
}

func (s *Session) observer() Observer { return s.server.opts.Observer }

func (s *Session) listener() string { return listenerName(s.implicit) }

func listenerName(implicit bool) string {
	if implicit {
		return ListenerImplicit
	}
	return ListenerExplicit
}

// stranger notes a data connection that nobody expects, aloud only if somebody else is expected there: ports
// are knocked at all day.
func (s *Server) stranger(peer netip.Addr, port int) {
	level := slog.LevelDebug
	if s.ports.expects(port) {
		level = slog.LevelWarn
	}
	s.opts.Log.Log(context.Background(), level, "data connection from elsewhere", "peer", peer.String(), "port", port)
}

// observeLogin tells how an attempt to log in ended.
func (s *Session) observeLogin(l auth.Login, result LoginResult) {
	method := LoginPassword
	switch {
	case l.CertificateOnly:
		method = LoginCertificate
	case l.Code != "":
		method = LoginCode
	}
	s.observer().Login(method, result)
}

func loginResult(err error) LoginResult {
	switch {
	case errors.Is(err, auth.ErrNotNow):
		return LoginNotNow
	case errors.Is(err, auth.ErrDenied):
		return LoginDenied
	}
	return LoginError
}

// direction is where the bytes go.
func (t *transfer) direction() Direction {
	switch {
	case t.list != nil:
		return Listing
	case t.verb == "RETR":
		return Download
	}
	return Upload
}

// observeBegin tells of the transfer once it is known what it is of.
func (t *transfer) observeBegin() {
	t.observed = t.session.observer().Transfer(t.direction(), t.backend, t.user)
}

// observeEnd tells how it ended.
func (t *transfer) observeEnd() {
	if t.observed == nil {
		t.observeBegin()
	}
	end := TransferEnd{Result: TransferOK, Took: time.Since(t.start), Bytes: t.moved.Load()}
	if err := t.failure(); err != nil {
		end.Result = resultOf(err)
	} else if !t.lastByte.IsZero() {
		end.Commit = t.durable.Sub(t.lastByte)
	}
	t.observed.Done(end)
}

// Stats is how many there are of what comes and goes.
type Stats struct {
	// Sessions are those of clients that have logged in; Strangers of those that have not.
	Sessions, Strangers int
	// Bans are those in force.
	Bans int
	// PassivePorts are those at which clients are expected, of PassiveRange; 0 of 0 without a range.
	PassivePorts, PassiveRange int
	// Draining: Shutdown was called.
	Draining bool
}

// Stats counts. It may be called as often as anyone likes.
func (s *Server) Stats() Stats {
	var all Stats
	for _, session := range s.open() {
		if session.current.Load() != nil {
			all.Sessions++
		} else {
			all.Strangers++
		}
	}
	all.Bans = len(s.bounds.bans.List())
	all.PassivePorts, all.PassiveRange = s.ports.used()
	s.mu.Lock()
	all.Draining = s.draining
	s.mu.Unlock()
	return all
}

// nobody observes nothing.
type nobody struct{}

func (nobody) Connection(string, netip.Addr, ConnectionResult)          {}
func (nobody) SessionEnded(string, time.Duration)                       {}
func (nobody) Handshake(Handshake)                                      {}
func (nobody) Login(LoginMethod, LoginResult)                           {}
func (nobody) Reply(context.Context, string, int, Fault, time.Duration) {}
func (nobody) DataConnection(DataMode, DataResult)                      {}
func (nobody) Relay(RelayResult)                                        {}
func (nobody) Panicked()                                                {}
func (nobody) Transfer(Direction, string, string) TransferObserver      { return nobody{} }
func (nobody) Moved(int)                                                {}
func (nobody) Done(TransferEnd)                                         {}
