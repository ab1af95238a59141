// Package auth knows who may log in and what they may do.
//
// A source (the users file) answers Authenticate with a User: its mounts and the permissions in
// them. The gateway asks and enforces; this package knows neither FTP nor storage.
package auth

import (
	"context"
	"errors"
	"net/netip"
)

// Authenticator decides whether a login is good.
type Authenticator interface {
	// Authenticate returns the user, or ErrDenied when name and password do not belong together:
	// the two cases of an unknown name and a wrong password are one error and, as far as all users'
	// hashes cost the same, take the same time. Any other error means that the question could not
	// be answered.
	Authenticate(ctx context.Context, l Login) (*User, error)
}

// Login is what a client presented.
type Login struct {
	Name     string
	Password string
	Remote   netip.Addr
}

// ErrDenied is the answer to a wrong name or password, whichever it was.
var ErrDenied = errors.New("auth: wrong name or password")

// User is someone who logged in. It is not changed after it was returned.
type User struct {
	Name   string
	Mounts []Mount
}

// Mount is a part of a user's tree: everything below Path lives in the named backend below Prefix.
type Mount struct {
	// Path is absolute and clean: "/" or "/in".
	Path string
	// Backend is a name from the configuration.
	Backend string
	// Prefix is a clean key in that backend, "" for its root.
	Prefix string
	// Permissions hold for everything in the mount.
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
