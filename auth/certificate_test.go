package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/auth"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.sign(pkix.Name{CommonName: "authority"}, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
		c.SubjectKeyId = []byte{1, 2, 3}
	})
	write(t, a.file("ca.pem"), a.pem("CERTIFICATE", a.cert.Raw))
	return a
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

func (a *authority) pem(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func (a *authority) sign(subject pkix.Name, change ...func(*x509.Certificate)) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	serial, err2 := rand.Int(rand.Reader, big.NewInt(1<<62))
	template := &x509.Certificate{
		SerialNumber: serial, Subject: subject, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, c := range change {
		c(template)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err3 := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	cert, err4 := x509.ParseCertificate(der)
	if err := errors.Join(err, err2, err3, err4); err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// revoke writes a list, which ends at end.
func (a *authority) revoke(end time.Time, certs ...*x509.Certificate) {
	a.t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: end}
	for _, c := range certs {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	write(a.t, a.file("crl.pem"), a.pem("X509 CRL", der))
}

func (a *authority) load(crl string) *auth.ClientCA {
	a.t.Helper()
	ca, err := auth.LoadClientCA(a.file("ca.pem"), crl)
	if err != nil {
		a.t.Fatal(err)
	}
	return ca
}

func TestCertificateSubjects(t *testing.T) {
	mine, other := newAuthority(t), newAuthority(t)
	path := filepath.Join(t.TempDir(), "users.yaml")
	write(t, path, "users:\n  - {name: acme, login: certificate, certificates: [\"CN=acme\"], mounts: [{path: /, backend: disk, permissions: [read]}]}\n"+
		"  - {name: full, login: certificate, certificates: [\"CN=full,O=Full\"], mounts: [{path: /, backend: disk, permissions: [read]}]}\n")
	f, err := auth.OpenFile(path, auth.Rules{Subjects: true})
	if err != nil {
		t.Fatal(err)
	}
	name := func(cn string, org ...string) pkix.Name { return pkix.Name{CommonName: cn, Organization: org} }
	good, _ := mine.sign(name("acme"))
	org, _ := mine.sign(name("acme", "Acme"))
	full, _ := mine.sign(name("full", "Full"))
	fullOther, _ := mine.sign(name("full", "Other"))
	tricky, _ := mine.sign(name("full,O=Full"))
	foreign, _ := other.sign(name("acme"))
	old, _ := mine.sign(name("acme"), func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	server, _ := mine.sign(name("acme"), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	login := func(user string, certs ...*x509.Certificate) string {
		return try(t, f, auth.Login{Name: user, CertificateOnly: true, Certificates: certs})
	}
	if got := login("acme", good); !strings.Contains(got, "without client_ca_file") {
		t.Errorf("without authorities: %q", got)
	}
	f.SetClientCA(mine.load(""))
	for _, test := range []struct {
		what string
		user string
		cert *x509.Certificate
		want string
	}{
		{"mine", "acme", good, ""},
		{"mine with more", "acme", org, ""},
		{"all of the subject", "full", full, ""},
		{"another organization", "full", fullOther, "another client certificate"},
		{"a name that looks like two", "full", tricky, "another client certificate"},
		{"somebody else's", "full", good, "another client certificate"},
		{"of another authority", "acme", foreign, "unknown authority"},
		{"out of date", "acme", old, "not valid now"},
		{"for servers", "acme", server, "incompatible key usage"},
	} {
		if got := login(test.user, test.cert); test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", test.what, got, test.want)
		}
	}
	if got := login("acme"); got != "no client certificate" {
		t.Errorf("none: %q", got)
	}

	mine.revoke(time.Now().Add(time.Hour), org)
	f.SetClientCA(mine.load(mine.file("crl.pem")))
	if got := login("acme", org); !strings.Contains(got, "was revoked") {
		t.Errorf("revoked: %q", got)
	}
	if got := login("acme", good); got != "" {
		t.Errorf("not revoked: %q", got)
	}
	mine.revoke(time.Now().Add(-time.Minute))
	f.SetClientCA(mine.load(mine.file("crl.pem")))
	if got := login("acme", good); !strings.Contains(got, "list has expired") {
		t.Errorf("under an old list: %q", got)
	}
}

func TestClientCAFiles(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	other.revoke(time.Now().Add(time.Hour))
	write(t, a.file("empty"), "")
	write(t, a.file("broken"), a.pem("CERTIFICATE", []byte("x")))
	for _, test := range []struct{ ca, crl, want string }{
		{a.file("missing"), "", "no such file"},
		{a.file("empty"), "", "no certificate in PEM"},
		{a.file("broken"), "", "broken"},
		{a.file("ca.pem"), a.file("missing"), "no such file"},
		{a.file("ca.pem"), a.file("empty"), "not a revocation list"},
		{a.file("ca.pem"), other.file("crl.pem"), "none of the authorities"},
	} {
		if _, err := auth.LoadClientCA(test.ca, test.crl); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s, %s: %v, want %s", test.ca, test.crl, err, test.want)
		}
	}
}

func TestFingerprints(t *testing.T) {
	a := newAuthority(t)
	cert, _ := a.sign(pkix.Name{CommonName: "anything"})
	another, _ := a.sign(pkix.Name{CommonName: "anything"})
	sum := sha256.Sum256(cert.Raw)
	print := hex.EncodeToString(sum[:])
	var colons []string
	for i := 0; i < len(print); i += 2 {
		colons = append(colons, strings.ToUpper(print[i:i+2]))
	}
	for _, form := range []string{print, strings.ToUpper(print), "sha256:" + print, strings.Join(colons, ":")} {
		f, _ := open(t, "users:\n  - {name: acme, login: certificate, certificates: [\""+form+"\"], mounts: [{path: /, backend: disk, permissions: [read]}]}\n")
		if got := try(t, f, auth.Login{Name: "acme", CertificateOnly: true, Certificates: []*x509.Certificate{cert}}); got != "" {
			t.Errorf("%s: %q", form, got)
		}
		if got := try(t, f, auth.Login{Name: "acme", CertificateOnly: true, Certificates: []*x509.Certificate{another}}); got != "another client certificate" {
			t.Errorf("another: %q", got)
		}
		if got := try(t, f, auth.Login{Name: "acme", Password: "secret", Certificates: []*x509.Certificate{cert}}); got != "wrong name or password" {
			t.Errorf("by password: %q", got)
		}
	}
}

// What one user has to show is not enough, or too much, for another.
func TestLoginMethods(t *testing.T) {
	a := newAuthority(t)
	cert, _ := a.sign(pkix.Name{CommonName: "anything"})
	sum := sha256.Sum256(cert.Raw)
	print := hex.EncodeToString(sum[:])
	var text strings.Builder
	text.WriteString("users:\n")
	for _, method := range []string{"password", "certificate", "both"} {
		text.WriteString(withKeys(method, "login: "+method, "certificates: [\""+print+"\"]"))
	}
	f, _ := open(t, text.String())
	chain := []*x509.Certificate{cert}
	const wrong, none = "wrong name or password", "no client certificate"
	for _, test := range []struct {
		user string
		l    auth.Login
		want string
	}{
		{"password", auth.Login{}, ""},
		{"password", auth.Login{CertificateOnly: true, Certificates: chain}, wrong},
		{"certificate", auth.Login{CertificateOnly: true, Certificates: chain}, ""},
		{"certificate", auth.Login{CertificateOnly: true}, none},
		{"certificate", auth.Login{Certificates: chain}, wrong},
		{"both", auth.Login{CertificateOnly: true, Certificates: chain}, wrong},
		{"both", auth.Login{}, none},
		{"both", auth.Login{Certificates: chain}, ""},
	} {
		test.l.Name = test.user
		if got := try(t, f, test.l); got != test.want {
			t.Errorf("%s, only the certificate %t, %d shown: %q, want %q", test.user, test.l.CertificateOnly, len(test.l.Certificates), got, test.want)
		}
	}
}
