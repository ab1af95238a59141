package harness

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Certificates writes ca.pem and, signed by it for localhost, server.pem (ECDSA), server-rsa.pem
// and renewed.pem with their .key files into dir. The common names are sluice-ecdsa, sluice-rsa and
// sluice-renewed.
func Certificates(dir string) error {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := template("sluice-test-ca", 1)
	signs(ca)
	if err := issue(dir, "ca", ca, ca, caKey, caKey); err != nil {
		return err
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	return errors.Join(
		issue(dir, "server", template("sluice-ecdsa", 2), ca, ec, caKey),
		issue(dir, "server-rsa", template("sluice-rsa", 3), ca, rs, caKey),
		issue(dir, "renewed", template("sluice-renewed", 4), ca, ec, caKey),
	)
}

// Client describes a client's certificate.
type Client struct {
	Name       string // of its files, without .pem and .key
	CommonName string
	By         string // the name of the signer's files; "" is itself
	Authority  bool   // it may sign others
	Expired    bool
}

// ClientCertificate writes a certificate with its chain, and its key, into dir. It returns the
// fingerprint as a users file has it.
func ClientCertificate(dir string, c Client) (fingerprint string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	cert := template(c.CommonName, time.Now().UnixNano())
	cert.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if c.Authority {
		signs(cert)
	}
	if c.Expired {
		cert.NotAfter = time.Now().Add(-time.Minute)
	}
	parent, signer, chain := cert, crypto.Signer(key), []byte(nil)
	if c.By != "" {
		file := filepath.Join(dir, c.By)
		by, err := tls.LoadX509KeyPair(file+".pem", file+".key")
		if err != nil {
			return "", err
		}
		if chain, err = os.ReadFile(file + ".pem"); err != nil {
			return "", err
		}
		parent, signer = by.Leaf, by.PrivateKey.(crypto.Signer)
	}
	if err := issue(dir, c.Name, cert, parent, key, signer); err != nil {
		return "", err
	}
	file := filepath.Join(dir, c.Name+".pem")
	own, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	leaf, _ := pem.Decode(own)
	sum := sha256.Sum256(leaf.Bytes)
	return hex.EncodeToString(sum[:]), os.WriteFile(file, append(own, chain...), 0o600)
}

func template(name string, serial int64) *x509.Certificate {
	return &x509.Certificate{
		Subject:      pkix.Name{CommonName: name},
		SerialNumber: big.NewInt(serial),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
}

// signs makes c an authority, for servers and clients.
func signs(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign, nil
}

func issue(dir, name string, cert, parent *x509.Certificate, key crypto.Signer, parentKey crypto.Signer) error {
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, key.Public(), parentKey)
	if err != nil {
		return err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		writePEM(filepath.Join(dir, name+".pem"), "CERTIFICATE", der),
		writePEM(filepath.Join(dir, name+".key"), "PRIVATE KEY", pkcs8),
	)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
