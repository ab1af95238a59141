package audit

import "time"

// Kind is what an event tells of.
type Kind string

// The kinds of events.
const (
	// Login is a user who was let in.
	Login Kind = "login"
	// Refused is a login, or work, that was not allowed; Reason says why.
	Refused Kind = "refused"
	// Command is one that was answered with Code.
	Command Kind = "command"
	// Transfer is a file that was sent or received, or as much as came through of it.
	Transfer Kind = "transfer"
	// Logout is the end of a session.
	Logout Kind = "logout"
	// Operator is what those did who run the gateway: a start, a reload, a stop.
	Operator Kind = "operator"
)

// Direction is which way a file went.
type Direction string

// The directions, as the client sees them.
const (
	Up   Direction = "up"
	Down Direction = "down"
)

// Event is one line of the record. A field that is zero is left out; a reader takes what is absent for
// zero. Strings may hold anything. Of one over 8 KiB the beginning is kept, and the line says
// "truncated":true.
type Event struct {
	// Time is written in UTC with nanoseconds, in a text of constant length. Write sets it if it is zero.
	Time  time.Time `json:"time"`
	Event Kind      `json:"event"`
	// Session is the same in all events of one connection.
	Session string `json:"session,omitempty"`
	User    string `json:"user,omitempty"`
	// Remote is the client's address.
	Remote string `json:"remote,omitempty"`
	// Client is the software that the client says it is, with CLNT.
	Client string `json:"client,omitempty"`
	// TLS is the version of the protocol; "" is a session in clear.
	TLS string `json:"tls,omitempty"`
	// Command is the verb, in capitals.
	Command string `json:"command,omitempty"`
	// Path is absolute, in the tree that the user sees.
	Path string `json:"path,omitempty"`
	// Target is the second path of a rename.
	Target string `json:"target,omitempty"`
	// Code is that of the FTP reply.
	Code   int    `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`

	Direction Direction `json:"direction,omitempty"`
	// Offset is where in the file a transfer began.
	Offset int64 `json:"offset,omitempty"`
	// Bytes are those that this transfer moved, without what lies before Offset.
	Bytes int64 `json:"bytes,omitempty"`
	// Seconds is how long it took. What is not a finite number counts as zero.
	Seconds float64 `json:"seconds,omitempty"`
	// SHA256 is that of the whole file, in hexadecimal.
	SHA256 string `json:"sha256,omitempty"`
	// Version is the store's name for the object as it was read or written.
	Version string `json:"version,omitempty"`
	// Backend is the configuration's name for the store.
	Backend string `json:"backend,omitempty"`
	Detail  string `json:"detail,omitempty"`
}
