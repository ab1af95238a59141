package gateway

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
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

// get chooses by server name and signature algorithm.
func (c *Certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	pairs := *c.pairs.Load()
	for i := range pairs {
		if hello.SupportsCertificate(&pairs[i]) == nil {
			return &pairs[i], nil
		}
	}
	return &pairs[0], nil
}
