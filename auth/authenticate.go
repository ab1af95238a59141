package auth

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"time"
)

// Authenticate implements Authenticator. It hashes the password unless the same one was good before;
// when all processors are busy with that, it waits as long as ctx allows.
func (f *File) Authenticate(ctx context.Context, l Login) (*User, error) {
	s := f.state.Load()
	a, known := s.accounts[l.Name]
	if l.CertificateOnly {
		if !known || a.login != byCertificate {
			return nil, ErrDenied
		}
		return f.admit(a, l, "")
	}
	if !known {
		a = s.stranger
	}
	code, err := f.password(ctx, s, a, &l)
	if err != nil {
		return nil, err
	}
	return f.admit(a, l, code)
}

// password holds the password to the account, and returns the code that followed it. A right one takes
// no time when it was right before; any other takes as long for a stranger as for a user.
func (f *File) password(ctx context.Context, s *state, a account, l *Login) (code string, err error) {
	tries := []attempt{{l.Password, ""}}
	// Where codes are in use all passwords that may end in one are tried both ways, whoever's they are.
	if rest, code, ok := splitCode(l.Password); ok && s.withCodes && l.Code == "" {
		tries = []attempt{{rest, code}, {l.Password, ""}}
	}
	// A code is only taken off for who needs one.
	fits := func(t attempt) bool { return a.user != nil && (t.code == "" || a.secret != "") }
	remembered := func(t attempt) bool { return fits(t) && s.memory.knows(l.Name, a.text, t.password) }
	for _, t := range tries {
		if remembered(t) {
			return t.code, nil
		}
	}
	if err := f.slots.acquire(ctx); err != nil {
		return "", fmt.Errorf("auth: check the password of %q: %w", l.Name, err)
	}
	defer f.slots.release()
	found := -1
	for i, t := range tries {
		// A client that opens ten connections at once waited for the first of them.
		if remembered(t) {
			return t.code, nil
		}
		h := a.hash
		if h == nil {
			h = s.stranger.hash
		}
		if f.verify(h, t.password) && fits(t) && a.hash != nil && a.login != byCertificate && t.password != "" {
			found = i
		}
	}
	if found < 0 {
		return "", ErrDenied
	}
	s.memory.add(l.Name, a.text, tries[found].password)
	return tries[found].code, nil
}

// attempt is one way to read what came as the password.
type attempt struct{ password, code string }

// admit checks what else there is beside a password. Each reason is for the operator; the client is
// told the same of all, but for a code that is missing.
func (f *File) admit(a account, l Login, code string) (*User, error) {
	now := f.now()
	if !a.enabled {
		return nil, denial{"the user is disabled", true}
	}
	if err := a.user.mayBeHere(now, l.Remote); err != nil {
		return nil, err
	}
	if a.login != byPassword {
		if reason := a.certificates.prove(l.Certificates, f.ca.Load(), now); reason != "" {
			return nil, denial{reason, false}
		}
	}
	if a.secret == "" {
		return a.user, nil
	}
	if l.Code != "" {
		code = l.Code
	}
	if code == "" {
		return nil, ErrCodeNeeded
	}
	if !f.codes.use(a.user.Name, a.secret, code, now) {
		return nil, denial{"wrong one-time code, or one that was used", false}
	}
	return a.user, nil
}

// Refresh implements Authenticator.
func (f *File) Refresh(u *User, remote netip.Addr) (*User, error) {
	a, ok := f.state.Load().accounts[u.Name]
	switch {
	case !ok:
		return nil, denial{"the user was removed", true}
	case !a.enabled:
		return nil, denial{"the user is disabled", true}
	case a.user.proof != u.proof:
		return nil, denial{"the user has another password, code or certificate now", true}
	}
	if err := a.user.mayBeHere(f.now(), remote); err != nil {
		return nil, err
	}
	return a.user, nil
}

// mayBeHere denies a user another time or place.
func (u *User) mayBeHere(now time.Time, remote netip.Addr) error {
	if reason := cmp.Or(u.when.allows(now), u.where.allows(remote)); reason != "" {
		return denial{reason, true}
	}
	return nil
}
