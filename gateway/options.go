package gateway

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/sluice-ftp/sluice/audit"
	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/limits"
)

// Options configure a Server. The zero value of a field is its default where one is named.
type Options struct {
	// Backends are the stores that mounts name.
	Backends map[string]backends.CloudStorageAdapter
	// Auth decides logins.
	Auth auth.Authenticator
	// Log takes one line for each session, login, transfer and refusal. Required.
	Log *slog.Logger
	// Observer is told what happens; nil is nobody.
	Observer Observer
	// Tracer begins a span for each command; nil is none.
	Tracer Tracer

	TLS     TLSOptions
	Passive PassiveOptions
	Proxy   ProxyOptions
	Tuning  Tuning
	Policy

	// ActiveMode lets clients have the server connect to them (PORT, EPRT): only to the address
	// that the control connection came from, and to ports of 1024 and above.
	ActiveMode bool
	// TransferEOF says when the end of an upload is believed; see EOFPolicy.
	TransferEOF EOFPolicy
	// Audit is the record of who did what; nil is none. The caller closes it.
	Audit *audit.Log
	// AuditSHA256 has the record tell the hash of each whole file.
	AuditSHA256 bool
	// SiteCommands are SITE commands of the operator's own.
	SiteCommands []SiteCommand
	// QuotaAge is how old the count of what a user has stored may be before an upload; 0 is any.
	QuotaAge time.Duration
	// CHMOD says what SITE CHMOD does; see CHMODPolicy.
	CHMOD CHMODPolicy
	// ASCII says what TYPE A does; see ASCIIPolicy.
	ASCII ASCIIPolicy
}

// Policy is what SetPolicy can change while sessions go on.
type Policy struct {
	Limits Limits
	// AllowFrom, if there are any, are the only networks that connections are taken from, and DenyFrom
	// are those that none is taken from.
	AllowFrom, DenyFrom []netip.Prefix
	// DeniedCommands may not be given by anyone; in upper case.
	DeniedCommands []string
}

// TLSOptions say whether and how connections are protected (RFC 4217).
type TLSOptions struct {
	Mode TLSMode
	// Certificates are what the server shows. Required unless Mode is TLSOff.
	Certificates *Certificates
	// MinVersion is tls.VersionTLS12 (default) or tls.VersionTLS13.
	MinVersion uint16
	// Reuse says whether data connections have to resume the TLS session of their control connection,
	// for users that say nothing of it. "" is auth.ReusePrefer.
	Reuse auth.Reuse
	// ClientCertificates says whether clients are asked for one; nil is no.
	ClientCertificates func() bool
}

// TLSMode says what is done without TLS.
type TLSMode string

// The modes.
const (
	// TLSRequired refuses USER before AUTH, and data connections without PROT P.
	TLSRequired TLSMode = "required"
	// TLSOptional leaves it to the client.
	TLSOptional TLSMode = "optional"
	// TLSOff knows no AUTH. There can be no implicit listener.
	TLSOff TLSMode = "off"
)

// PassiveOptions say where clients open data connections to.
type PassiveOptions struct {
	// FirstPort and LastPort are the range, both included. 0, 0: any free port.
	FirstPort, LastPort int
	// PublicHost is the IPv4 address, or a name of one, that PASV announces. "": the address that
	// the client reached.
	PublicHost string
	// ListenHost is the address that the range is listened on; "" is all.
	ListenHost string
	// PerReplica, if not 0, is how many ports of the range each replica has: replica i those from
	// FirstPort + i*PerReplica on. All listen on the whole range, and lead who comes at another's port to it.
	PerReplica int
	// Replica is which one this is, from 0.
	Replica int
	// Peer is the name or address of another replica. Data connections from the addresses that it has now
	// begin with a header that tells where the client is.
	Peer func(replica int) string
}

// Limits bound what clients can hold.
type Limits struct {
	// IdleTimeout ends a session without a command or a transfer. 5 minutes by default.
	IdleTimeout time.Duration
	// DataStallTimeout ends a transfer that does not move. 2 minutes by default.
	DataStallTimeout time.Duration
	// LoginTimeout ends a session that has not logged in. 30 seconds by default.
	LoginTimeout time.Duration

	// Connections are those at once, in all and from one address (one /64 of IPv6). 0 is no bound.
	Connections, ConnectionsPerAddress int
	// Bans say when wrong logins are too many; the zero value is never.
	Bans limits.BanPolicy
	// Upload and Download are bytes per second of all transfers together. 0 is no bound.
	Upload, Download int64
}

// Tuning is for lines that the defaults do not suit.
type Tuning struct {
	// BufferSize is the bytes read or written at once; each transfer holds one such buffer.
	// 256 KiB by default, 4 KiB to 4 MiB.
	BufferSize int
	// Delay turns TCP_NODELAY off.
	Delay bool
	// ReceiveBuffer and SendBuffer are SO_RCVBUF and SO_SNDBUF of data connections in bytes.
	// 0 leaves them to the system, which grows them as needed.
	ReceiveBuffer, SendBuffer int
}

// EOFPolicy says when the end of an upload is believed to be one. FTP has no length: the end of a
// file is the end of its connection, and so is the death of a client.
type EOFPolicy string

// The policies.
const (
	// EOFDefault is EOFStrict on data connections with TLS and EOFAlive on those without.
	EOFDefault EOFPolicy = ""
	// EOFStrict believes close_notify only (RFC 8446 section 6.1), and nothing in clear.
	EOFStrict EOFPolicy = "strict"
	// EOFAlive believes any orderly end if the control connection is there a moment later.
	EOFAlive EOFPolicy = "alive"
	// EOFOff believes every orderly end.
	EOFOff EOFPolicy = "off"
)

// ASCIIPolicy says what TYPE A does.
type ASCIIPolicy string

// The policies.
const (
	// ASCIIConvert turns line ends from CR LF to LF on the way in and back on the way out
	// (RFC 959 section 3.1.1.1). SIZE and REST are refused then.
	ASCIIConvert ASCIIPolicy = "convert"
	// ASCIIBinary transfers bytes as they are, and SIZE and REST work.
	ASCIIBinary ASCIIPolicy = "binary"
)

// CHMODPolicy says what SITE CHMOD does: no store keeps modes.
type CHMODPolicy string

// The policies; "" is CHMODIgnore.
const (
	// CHMODIgnore answers as if it had been done, for clients that give up otherwise.
	CHMODIgnore CHMODPolicy = "ignore"
	// CHMODRefuse tells the truth.
	CHMODRefuse CHMODPolicy = "refuse"
)

// SiteCommand is a SITE command that the operator has defined.
type SiteCommand struct {
	// Name is what follows SITE, in upper case, and Usage what SITE HELP says of it.
	Name, Usage string
	// Timeout bounds Run; 0 is 10 seconds.
	Timeout time.Duration
	// Run does it. ok: it was done, and the client is told the text, of which the first line is
	// taken; otherwise it is refused with it. An error is logged, and told as a failure without a reason.
	Run func(ctx context.Context, c SiteCall) (text string, ok bool, err error)
}

// SiteCall is one use of a SITE command.
type SiteCall struct {
	Name, Argument        string
	User, Session, Remote string
	// Folder is the one that the session is in, as the user sees it.
	Folder string
}
