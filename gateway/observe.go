package gateway

import (
	"context"
	"net/netip"
	"slices"
	"time"
)

// Observer is told what happens, on the goroutine on which it does: its methods must not wait. All strings
// that it gets are from the closed sets below, but for names of backends and users.
type Observer interface {
	// Connection tells of a new one, to an explicit or implicit listener, from remote.
	Connection(listener string, remote netip.Addr, result ConnectionResult)
	// SessionEnded tells of the end of one that was taken in.
	SessionEnded(listener string, took time.Duration)
	// Handshake tells of a TLS handshake.
	Handshake(Handshake)
	// Login tells of an attempt, once it is known how it ended.
	Login(method LoginMethod, result LoginResult)
	// Reply tells of the final reply to a command, one of Verbs or VerbOther. fault is FaultNone below 400.
	// ctx is the command's.
	Reply(ctx context.Context, verb string, code int, fault Fault, took time.Duration)
	// DataConnection tells what became of one that a client asked for.
	DataConnection(mode DataMode, result DataResult)
	// Relay tells of a data connection that belongs to another replica.
	Relay(RelayResult)
	// Panicked tells of a mistake of ours that cost a command.
	Panicked()
	// Transfer tells of a transfer that begins. backend is "" as long as it is not known, which is for
	// those alone that fail at once.
	Transfer(direction Direction, backend, user string) TransferObserver
}

// TransferObserver is told about one transfer, by one goroutine at a time.
type TransferObserver interface {
	// Moved tells of so many bytes of payload, while they move.
	Moved(bytes int)
	// Done comes once, at the end.
	Done(TransferEnd)
}

// TransferEnd is how a transfer ended.
type TransferEnd struct {
	Result TransferResult
	Took   time.Duration
	Bytes  int64
	// Commit is how long it took from the last byte of an upload until it was durable. 0 is none.
	Commit time.Duration
}

// Listeners are how Observer calls them.
const (
	ListenerExplicit = "explicit"
	ListenerImplicit = "implicit"
)

// ConnectionResult is what becomes of a connection.
type ConnectionResult string

// The results of a connection.
const (
	ConnectionAccepted ConnectionResult = "accepted"
	ConnectionDraining ConnectionResult = "draining"
	ConnectionNetwork  ConnectionResult = "network" // allow_from, deny_from
	ConnectionBanned   ConnectionResult = "banned"
	ConnectionTotal    ConnectionResult = "limit"
	ConnectionAddress  ConnectionResult = "limit_per_ip"
	ConnectionProxy    ConnectionResult = "proxy_error" // no PROXY header from where there has to be one
)

// ConnectionResults are all.
func ConnectionResults() []ConnectionResult {
	return []ConnectionResult{
		ConnectionAccepted, ConnectionDraining, ConnectionNetwork, ConnectionBanned, ConnectionTotal, ConnectionAddress, ConnectionProxy,
	}
}

// Handshake is a TLS handshake.
type Handshake struct {
	// Data tells a data connection from a control connection.
	Data bool
	// Version is that of crypto/tls; 0 when none was agreed on.
	Version uint16
	Resumed bool
	OK      bool
	Took    time.Duration
}

// LoginMethod is what a login was tried with.
type LoginMethod string

// The methods.
const (
	LoginPassword    LoginMethod = "password"
	LoginCode        LoginMethod = "code" // the one-time code after the password
	LoginCertificate LoginMethod = "certificate"
)

// LoginResult is how a login ended.
type LoginResult string

// The results of a login.
const (
	LoginOK         LoginResult = "ok"
	LoginDenied     LoginResult = "denied"  // wrong name or proof
	LoginNotNow     LoginResult = "not_now" // disabled, or another time or place
	LoginBanned     LoginResult = "banned"
	LoginOldTLS     LoginResult = "old_tls"
	LoginSessions   LoginResult = "sessions" // too many
	LoginUnrecorded LoginResult = "unrecorded"
	LoginError      LoginResult = "error" // it could not be checked
)

// LoginMethods are all.
func LoginMethods() []LoginMethod { return []LoginMethod{LoginPassword, LoginCode, LoginCertificate} }

// LoginResults are all.
func LoginResults() []LoginResult {
	return []LoginResult{
		LoginOK, LoginDenied, LoginNotNow, LoginBanned, LoginOldTLS, LoginSessions, LoginUnrecorded, LoginError,
	}
}

// Fault is whose it is that a command did not work.
type Fault string

// The faults.
const (
	FaultNone    Fault = ""
	FaultClient  Fault = "client"  // it asked for what is not there, or what it may not
	FaultServer  Fault = "server"  // the gateway, or the store behind it
	FaultNetwork Fault = "network" // a connection broke or never came
)

// Faults are all that are one.
func Faults() []Fault { return []Fault{FaultClient, FaultServer, FaultNetwork} }

// DataMode is who opens the data connection.
type DataMode string

// The modes.
const (
	DataPassive DataMode = "passive"
	DataActive  DataMode = "active"
)

// DataModes are all.
func DataModes() []DataMode { return []DataMode{DataPassive, DataActive} }

// DataResult is what became of a data connection.
type DataResult string

// The results of a data connection.
const (
	DataOK       DataResult = "ok"
	DataTimeout  DataResult = "timeout" // nobody came
	DataError    DataResult = "error"
	DataStranger DataResult = "stranger" // someone else came, and was turned away
	DataNoPort   DataResult = "no_port"  // the passive range is used up
	// DataProxyError is one from a balancer or a replica without a PROXY header, or with a broken one.
	DataProxyError DataResult = "proxy_error"
)

// DataResults are all.
func DataResults() []DataResult {
	return []DataResult{DataOK, DataTimeout, DataError, DataStranger, DataNoPort, DataProxyError}
}

// RelayResult is what became of a connection that another replica expects.
type RelayResult string

// The results of a relay.
const (
	RelayOK     RelayResult = "ok"
	RelayFailed RelayResult = "error" // that replica does not answer
)

// RelayResults are all.
func RelayResults() []RelayResult { return []RelayResult{RelayOK, RelayFailed} }

// Direction is where a transfer's bytes go.
type Direction string

// The directions.
const (
	Upload   Direction = "upload"
	Download Direction = "download"
	Listing  Direction = "list"
)

// Directions are all.
func Directions() []Direction { return []Direction{Upload, Download, Listing} }

// TransferResult is how a transfer ended.
type TransferResult string

// The results of a transfer.
const (
	TransferOK       TransferResult = "ok"
	TransferAborted  TransferResult = "aborted"  // by the client's ABOR
	TransferRefused  TransferResult = "refused"  // the client asked for what it may not, or cannot be
	TransferQuota    TransferResult = "quota"    // more than the user may store
	TransferBroken   TransferResult = "broken"   // the connection ended before the file did
	TransferTimeout  TransferResult = "timeout"  // it stood still
	TransferTLS      TransferResult = "tls"      // no TLS on the data connection
	TransferStore    TransferResult = "store"    // the store failed, or the gateway
	TransferShutdown TransferResult = "shutdown" // cut off at the end of the grace period
)

// TransferResults are all.
func TransferResults() []TransferResult {
	return []TransferResult{
		TransferOK, TransferAborted, TransferRefused, TransferQuota, TransferBroken, TransferTimeout, TransferTLS,
		TransferStore, TransferShutdown,
	}
}

// VerbOther stands for what is no command of this server.
const VerbOther = "OTHER"

// Verbs are the commands of this server, in order, as Observer has them.
func Verbs() []string {
	all := make([]string, 0, len(knownVerbs()))
	for v := range knownVerbs() {
		if v != "" { // an empty line is answered like a command
			all = append(all, v)
		}
	}
	slices.Sort(all)
	return all
}

// Transfers reports whether verb moves data on a connection of its own.
func Transfers(verb string) bool { return knownVerbs()[verb].flags&transfers != 0 }

// Codes are the final replies that there are, in order.
func Codes() []int {
	return []int{
		200, 202, 211, 212, 213, 214, 215, 220, 221, 226, 227, 229, 230, 232, 234, 250, 257, 331, 332, 350,
		421, 425, 426, 450, 451, 452, 500, 501, 502, 503, 504, 522, 530, 534, 536, 550, 551, 552, 553, 554,
	}
}
