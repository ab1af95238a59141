package gateway

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/sluice-ftp/sluice/auth"
)

// KeyPair names the PEM files of a certificate (with its chain) and its private key.
type KeyPair struct {
	CertFile, KeyFile string
}

// Certificates are the pairs that a server shows; Reload reads their files again.
type Certificates struct {
	files []KeyPair
	pairs atomic.Pointer[[]tls.Certificate]
}

// LoadCertificates reads the pairs. RSA and ECDSA may stand side by side, and several names: the
// client's hello decides.
func LoadCertificates(files ...KeyPair) (*Certificates, error) {
	c := &Certificates{files: files}
	return c, c.Reload()
}

// Reload reads the files again. On an error the certificates stay what they were. Running sessions
// go on; their next data connection shows the new certificate.
func (c *Certificates) Reload() error {
	pairs := make([]tls.Certificate, 0, len(c.files))
	var errs []error
	for _, f := range c.files {
		p, err := tls.LoadX509KeyPair(f.CertFile, f.KeyFile)
		if err != nil {
			errs = append(errs, fmt.Errorf("tls: certificate %q with key %q: %w", f.CertFile, f.KeyFile, err))
			continue
		}
		pairs = append(pairs, p)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if len(pairs) == 0 {
		return errors.New("tls: no certificate")
	}
	// The first that the client supports is shown, and an ECDSA signature costs a tenth of an RSA one.
	slices.SortStableFunc(pairs, func(a, b tls.Certificate) int { return cost(a.Leaf) - cost(b.Leaf) })
	c.pairs.Store(&pairs)
	return nil
}

func cost(leaf *x509.Certificate) int {
	if _, ok := leaf.PublicKey.(*ecdsa.PublicKey); ok {
		return 0
	}
	return 1
}

// Leaves returns the certificates in use, for their names and dates.
func (c *Certificates) Leaves() []*x509.Certificate {
	var leaves []*x509.Certificate
	for _, p := range *c.pairs.Load() {
		leaves = append(leaves, p.Leaf)
	}
	return leaves
}

// Get chooses by server name and signature algorithm. It is a tls.Config's GetCertificate.
func (c *Certificates) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	pairs := *c.pairs.Load()
	anyName := *hello
	anyName.ServerName = "" // an old partner that comes by another name still needs its algorithm
	for _, h := range []*tls.ClientHelloInfo{hello, &anyName} {
		for i := range pairs {
			if h.SupportsCertificate(&pairs[i]) == nil {
				return &pairs[i], nil
			}
		}
	}
	return &pairs[0], nil
}

// controlTLS is the configuration of control connections. There is one for the server's life, so
// that its ticket keys are: a ticket of the control connection resumes on a data connection, also
// after a certificate was reloaded.
func controlTLS(o TLSOptions) *tls.Config {
	return &tls.Config{
		GetCertificate: o.Certificates.Get,
		MinVersion:     o.MinVersion,
	}
}

// preSharedKey is the extension of a TLS 1.3 hello that wants to resume (RFC 8446 section 4.2.11).
const preSharedKey = 41

// ticketMark begins what a ticket tells of the session that it was given to.
const ticketMark = "sluice session "

// mark is in all tickets of this session.
func (s *Session) mark() []byte { return []byte(ticketMark + s.id) }

// controlTLS is the server's, but for tickets that are marked: who has one is this client.
func (s *Session) controlTLS() *tls.Config {
	base := s.server.controlTLS
	c := base.Clone()
	s.markTickets(c)
	c.UnwrapSession = base.DecryptTicket
	if ask := s.server.opts.TLS.ClientCertificates; ask != nil && ask() {
		c.ClientAuth = tls.RequestClientCert // what it is worth is found out at login
	}
	return c
}

func (s *Session) markTickets(c *tls.Config) {
	base, mark := s.server.controlTLS, s.mark()
	c.WrapSession = func(cs tls.ConnectionState, state *tls.SessionState) ([]byte, error) {
		state.Extra = append(state.Extra, mark)
		return base.EncryptTicket(cs, state)
	}
}

// reuse is the rule for this session's data connections.
func (s *Session) reuse() auth.Reuse {
	if s.account == nil {
		return s.server.opts.TLS.Reuse
	}
	return cmp.Or(s.account.TLS.Reuse, s.server.opts.TLS.Reuse)
}

var errNotResumed = errors.New("the data connection does not resume the TLS session of the control connection")

// dataTLS is the configuration of a data connection: it takes the tickets of control connections, only
// of this one where that is required, and issues none under TLS 1.3. A client that only sends would
// not read such a ticket; its close then resets the connection, and the end of its file is lost on the
// way.
//
// crypto/tls has no switch for "accept, but do not issue", hence a clone for each connection that
// turns tickets off once it has seen to the client's own. In TLS 1.2 a ticket is part of the
// handshake and does no harm.
func (s *Session) dataTLS() *tls.Config {
	rule, base := s.reuse(), s.server.dataTLS
	oldest := base.MinVersion
	if s.account != nil {
		oldest = max(oldest, s.account.TLS.MinVersion)
	}
	return &tls.Config{
		MinVersion: oldest,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			c := base.Clone()
			c.MinVersion = oldest
			modern := slices.Contains(hello.SupportedVersions, tls.VersionTLS13)
			if rule == auth.ReuseOff || modern && !slices.Contains(hello.Extensions, preSharedKey) {
				c.SessionTicketsDisabled = true
				return c, nil
			}
			// Only who has resumed is this client: a stranger's own handshake must not earn him a ticket of it.
			c.WrapSession = func(cs tls.ConnectionState, state *tls.SessionState) ([]byte, error) {
				if cs.DidResume {
					state.Extra = append(state.Extra, s.mark())
				}
				return s.server.controlTLS.EncryptTicket(cs, state)
			}
			c.UnwrapSession = func(id []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
				state, err := s.server.controlTLS.DecryptTicket(id, cs)
				// The handshake's own goroutine reads it after this.
				c.SessionTicketsDisabled = modern
				if err == nil && state != nil && rule == auth.ReuseRequire && !s.issued(state) {
					return nil, nil //nolint:nilnil // what crypto/tls takes for: a full handshake
				}
				return state, err
			}
			return c, nil
		},
	}
}

// issued reports whether a ticket is one of this session's.
func (s *Session) issued(state *tls.SessionState) bool {
	mark := s.mark()
	return slices.ContainsFunc(state.Extra, func(e []byte) bool { return bytes.Equal(e, mark) })
}
