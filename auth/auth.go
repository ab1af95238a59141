// Package auth knows who may log in and what they may do.
//
// A source (the users file) answers Authenticate with a User: its mounts, the permissions in them and
// its limits. The gateway asks and enforces; this package knows neither FTP nor storage.
package auth

import (
	"context"
	"crypto/x509"
	"errors"
	"net/netip"
)

// Authenticator decides whether a login is good.
type Authenticator interface {
	// Authenticate returns the user, or an error that matches ErrDenied when name and proof do not
	// belong together: an unknown name and a wrong password are one error and, as far as all users'
	// hashes cost the same, take the same time. ErrCodeNeeded says that all is right and that the
	// one-time code is missing. Any other error means that the question could not be answered.
	Authenticate(ctx context.Context, l Login) (*User, error)

	// Refresh returns the user as it is now, and an error that matches ErrDenied if it may not be
	// here any more: removed, disabled, out of its time or place, or with another proof than it had.
	Refresh(u *User, remote netip.Addr) (*User, error)
}

// Login is what a client presented.
type Login struct {
	Name     string
	Password string
	// Code is the one-time code, if it was given by itself; it may also follow the password.
	Code string
	// Certificates are the client's, its own first; that it has the key has been shown.
	Certificates []*x509.Certificate
	// CertificateOnly asks whether the certificate is enough: the password is not looked at.
	CertificateOnly bool
	Remote          netip.Addr
}

// ErrDenied is the answer to a wrong name or password, whichever it was.
var ErrDenied = errors.New("auth: wrong name or password")

// ErrCodeNeeded is the answer to a right password of a user who needs a one-time code as well.
var ErrCodeNeeded = errors.New("auth: a one-time code is needed")

// ErrNotNow matches a denial of someone who has proved who they are, and may not be here: disabled, or at
// another time or place.
var ErrNotNow = errors.New("auth: not now")

// denial is ErrDenied with a reason that is for the operator alone.
type denial struct {
	reason string
	notNow bool
}

func (d denial) Error() string        { return "auth: " + d.reason }
func (d denial) Is(target error) bool { return target == ErrDenied || d.notNow && target == ErrNotNow }

// User is someone who logged in. It is not changed after it was returned.
type User struct {
	Name   string
	Mounts []Mount
	Limits Limits
	// Denied are commands that the user may not give, in upper case.
	Denied []string
	TLS    TLS

	// proof changes when the password, the code's secret or the certificates do.
	proof string
	when  schedule
	where networks
}

// Limits bound what a user takes. 0 is no bound.
type Limits struct {
	// Sessions are those at once.
	Sessions int
	// UploadSize is the most bytes of one file.
	UploadSize int64
	// Bytes and Files are what may be stored in all.
	Bytes, Files int64
	// Upload and Download are bytes per second, of all transfers together.
	Upload, Download int64
}

// TLS is what a user's connections have to be.
type TLS struct {
	// MinVersion is tls.VersionTLS12 or tls.VersionTLS13; 0 is any.
	MinVersion uint16
	// Reuse says whether a data connection has to resume the TLS session of its control connection,
	// which proves that it is the same client.
	Reuse Reuse
}

// Reuse is a rule about TLS sessions on data connections.
type Reuse string

// The rules; "" is ReusePrefer.
const (
	ReuseOff     Reuse = "off"     // never resumed
	ReusePrefer  Reuse = "prefer"  // as the client likes
	ReuseRequire Reuse = "require" // refused unless resumed
)

// Mount is a part of a user's tree: everything below Path lives in the named backend below Prefix.
type Mount struct {
	// Path is absolute and clean: "/" or "/in".
	Path string
	// Backend is a name from the configuration.
	Backend string
	// Prefix is a clean key in that backend, "" for its root.
	Prefix string
	// Permissions hold for everything in the mount that no folder says otherwise of.
	Permissions Permissions
	// Folders have permissions of their own; the one with the longest path counts.
	Folders []Folder
	// Names are which names there may be.
	Names Names
}

// Folder is a part of a mount with permissions of its own.
type Folder struct {
	// Path is absolute and clean, and in the mount.
	Path        string
	Permissions Permissions
}

// Permissions is a set of them.
type Permissions uint16

// What a user may do in a mount.
const (
	List      Permissions = 1 << iota // list folders and see names, sizes and times
	Read                              // download
	Write                             // upload under a name that is free
	Overwrite                         // replace an existing file, by upload or rename
	Append                            // continue an existing file: APPE, REST and STOR
	Delete                            // delete files and folders
	Rename                            // rename files and folders
	Mkdir                             // make folders
)

// All is every permission.
const All = List | Read | Write | Overwrite | Append | Delete | Rename | Mkdir

// Has reports whether p holds all of want.
func (p Permissions) Has(want Permissions) bool { return p&want == want }
