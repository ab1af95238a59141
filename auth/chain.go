package auth

import (
	"context"
	"net/netip"
)

// Chain is the users file with a hook behind it. A name that the file has is the file's alone: the hook
// never learns its passwords, also when they are wrong. Who is in neither waits for as long as the hook
// takes, which tells apart the file's names from all others, as logins of the hook's users do.
type Chain struct {
	*File
	Hook *Hook // not nil
}

// Authenticate implements Authenticator.
func (c *Chain) Authenticate(ctx context.Context, l Login) (*User, error) {
	if c.has(l.Name) {
		return c.File.Authenticate(ctx, l)
	}
	return c.Hook.Authenticate(ctx, l)
}

// Refresh implements Authenticator. It asks the source that the user came from, whoever has the name now.
func (c *Chain) Refresh(u *User, remote netip.Addr) (*User, error) {
	if u.proof == hookProof {
		return c.Hook.Refresh(u, remote)
	}
	return c.File.Refresh(u, remote)
}

func (f *File) has(name string) bool {
	_, ok := f.state.Load().accounts[name]
	return ok
}
