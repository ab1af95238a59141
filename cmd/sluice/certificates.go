package main

import (
	"context"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/sluice-ftp/sluice/gateway"
)

// renewal is how long before its end a certificate should have been renewed.
const renewal = 14 * 24 * time.Hour

// openCertificates reads each pair by itself before all of them, so that what is wrong has a place.
func (r *resources) openCertificates(c *config) error {
	pairs := c.keyPairs()
	if c.TLS.Mode == gateway.TLSOff || len(pairs) == 0 {
		return nil
	}
	var files []string
	var all []gateway.KeyPair
	for _, p := range pairs {
		files = append(files, p.CertFile, p.KeyFile)
		all = append(all, p.KeyPair)
	}
	s := newSource("certificates", files...)
	var errs []error
	for _, p := range pairs {
		if _, err := p.leaf(); err != nil {
			errs = append(errs, p.fault(c, err))
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	var err error
	if r.certs, err = gateway.LoadCertificates(all...); err != nil {
		return c.fault("tls", err, mendFile(err)) // changed within this moment
	}
	s.reload = r.certs.Reload
	s.report = func(log *slog.Logger) {
		log.Info("reloaded")
		logCertificates(log, r.certs.Leaves(), time.Now())
	}
	r.sources = append(r.sources, s)
	return nil
}

// leaf reads a pair alone.
func (p keyPairAt) leaf() (*x509.Certificate, error) {
	certs, err := gateway.LoadCertificates(p.KeyPair)
	if err != nil {
		return nil, err
	}
	return certs.Leaves()[0], nil
}

func (p keyPairAt) fault(c *config, err error) error {
	key, todo := p.key+".cert_file", mendFile(err)
	var open *fs.PathError
	if errors.As(err, &open) && open.Path == p.KeyFile && p.KeyFile != p.CertFile {
		key = p.key + ".key_file"
	}
	if todo == "" {
		todo = "cert_file and key_file have to be the PEM files of a certificate and of its own key"
	}
	return c.fault(key, err, todo)
}

// validity says whether the dates of a certificate are as they should be, and how bad it is.
func validity(leaf *x509.Certificate, now time.Time) (state string, level slog.Level) {
	switch {
	case now.Before(leaf.NotBefore):
		return "not valid yet", slog.LevelError
	case now.After(leaf.NotAfter):
		return "expired", slog.LevelError
	case leaf.NotAfter.Sub(now) < renewal:
		return "expires soon", slog.LevelWarn
	}
	return "valid", slog.LevelInfo
}

func logCertificates(log *slog.Logger, leaves []*x509.Certificate, now time.Time) {
	for _, leaf := range leaves {
		state, level := validity(leaf, now)
		log.Log(context.Background(), level, "certificate", "names", certificateNames(leaf),
			"not_after", leaf.NotAfter.UTC().Format(time.RFC3339), "state", state)
	}
}

// certificateNames are what clients may call the server.
func certificateNames(leaf *x509.Certificate) string {
	names := leaf.DNSNames
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		names = []string{leaf.Subject.CommonName} // which clients of today do not look at
	}
	return strings.Join(names, ",")
}

// checkValidity reports certificates that clients refuse now, and those that they soon will.
func checkValidity(c *config, now time.Time) ([]warning, error) {
	if c.TLS.Mode == gateway.TLSOff {
		return nil, nil
	}
	var warnings []warning
	var errs []error
	for _, p := range c.keyPairs() {
		leaf, err := p.leaf()
		if err != nil {
			continue // reported where all are opened
		}
		switch state, level := validity(leaf, now); {
		case level == slog.LevelError && now.Before(leaf.NotBefore):
			errs = append(errs, c.fault(p.key+".cert_file",
				errors.New(state+" before "+leaf.NotBefore.UTC().Format(time.RFC3339)), "correct the clock or wait"))
		case level == slog.LevelError:
			errs = append(errs, c.fault(p.key+".cert_file",
				errors.New(state+" since "+leaf.NotAfter.UTC().Format(time.RFC3339)), "renew it"))
		case level == slog.LevelWarn:
			warnings = append(warnings, warning{p.CertFile, state + ", on " + leaf.NotAfter.UTC().Format(time.RFC3339) + "; renew it"})
		}
	}
	return warnings, errors.Join(errs...)
}
