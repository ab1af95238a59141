package auth

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// ClientCA are the authorities whose certificates prove a subject, and what they have taken back.
type ClientCA struct {
	roots   *x509.CertPool
	issuers []*x509.Certificate
	lists   []*x509.RevocationList
}

var (
	errNoCA     = errors.New("has no certificate in PEM")
	errNoCRL    = errors.New("is not a revocation list, in PEM or DER")
	errStranger = errors.New("is of none of the authorities in client_ca_file")
	errRevoked  = errors.New("the certificate was revoked")
	errOldList  = errors.New("the revocation list has expired")
)

// LoadClientCA reads the authorities in caFile and, unless crlFile is "", the revocation list in that.
func LoadClientCA(caFile, crlFile string) (*ClientCA, error) {
	data, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("auth: client authorities: %w", err)
	}
	ca := &ClientCA{roots: x509.NewCertPool()}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("auth: client authorities %q: %w", caFile, err)
		}
		ca.roots.AddCert(c)
		ca.issuers = append(ca.issuers, c)
	}
	if len(ca.issuers) == 0 {
		return nil, fmt.Errorf("auth: client authorities %q: %w", caFile, errNoCA)
	}
	if crlFile == "" {
		return ca, nil
	}
	return ca, ca.addLists(crlFile)
}

func (ca *ClientCA) addLists(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("auth: revocation list: %w", err)
	}
	ders := [][]byte{data}
	if block, rest := pem.Decode(data); block != nil {
		for ders = nil; block != nil; block, rest = pem.Decode(rest) {
			ders = append(ders, block.Bytes)
		}
	}
	for _, der := range ders {
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			return fmt.Errorf("auth: revocation list %q: %w: %w", file, errNoCRL, err)
		}
		if !slices.ContainsFunc(ca.issuers, func(c *x509.Certificate) bool { return list.CheckSignatureFrom(c) == nil }) {
			return fmt.Errorf("auth: revocation list %q: %w", file, errStranger)
		}
		ca.lists = append(ca.lists, list)
	}
	return nil
}

// verify holds a chain, the client's own certificate first, to the authorities. A list that has
// expired takes nothing back any more that we could know of, so nothing is believed.
func (ca *ClientCA) verify(chain []*x509.Certificate, now time.Time) error {
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	found, err := chain[0].Verify(x509.VerifyOptions{
		Roots: ca.roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return err
	}
	for _, list := range ca.lists {
		if !list.NextUpdate.IsZero() && now.After(list.NextUpdate) {
			return errOldList
		}
		for _, c := range found[0] {
			if revokes(list, c) {
				return errRevoked
			}
		}
	}
	return nil
}

func revokes(list *x509.RevocationList, c *x509.Certificate) bool {
	if string(list.RawIssuer) != string(c.RawIssuer) {
		return false
	}
	return slices.ContainsFunc(list.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool {
		return e.SerialNumber.Cmp(c.SerialNumber) == 0
	})
}

// certificates are those of a user: by the SHA-256 of one, or by the subject of one that an authority
// has signed.
type certificates struct {
	prints   [][sha256.Size]byte
	subjects []string
}

var errCertificate = errors.New("neither the SHA-256 fingerprint of a certificate (64 hex digits, with or without " +
	"colons) nor a subject like CN=acme")

func (c *certificates) add(text string) error {
	hexes := strings.ReplaceAll(strings.TrimPrefix(strings.ToLower(text), "sha256:"), ":", "")
	if b, err := hex.DecodeString(hexes); err == nil && len(b) == sha256.Size {
		c.prints = append(c.prints, [sha256.Size]byte(b))
		return nil
	}
	if !strings.Contains(text, "=") {
		return errCertificate
	}
	c.subjects = append(c.subjects, text)
	return nil
}

// prove says why the chain that a client has shown does not prove that it is the user, or "".
func (c *certificates) prove(chain []*x509.Certificate, ca *ClientCA, now time.Time) string {
	if len(chain) == 0 {
		return "no client certificate"
	}
	own := chain[0]
	if now.Before(own.NotBefore) || now.After(own.NotAfter) {
		return "the client certificate is not valid now"
	}
	if slices.Contains(c.prints, sha256.Sum256(own.Raw)) {
		return ""
	}
	if !slices.ContainsFunc(c.subjects, func(s string) bool { return isSubject(own, s) }) {
		return "another client certificate"
	}
	if ca == nil {
		return "a subject proves nothing without client_ca_file"
	}
	if err := ca.verify(chain, now); err != nil {
		return "client certificate: " + err.Error()
	}
	return ""
}

// isSubject: the whole subject as RFC 2253 writes it, or CN= alone.
func isSubject(c *x509.Certificate, s string) bool {
	if name, ok := strings.CutPrefix(s, "CN="); ok && !strings.ContainsAny(s, ",+\\") {
		return name == c.Subject.CommonName
	}
	return s == c.Subject.String()
}
