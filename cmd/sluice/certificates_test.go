package main

import (
	"bytes"
	"crypto/x509"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// madeAt makes a certificate as of some time, valid for ten years, and returns it as configured.
func madeAt(t *testing.T, made time.Time) keyPairAt {
	t.Helper()
	dir := t.TempDir()
	p := keyPairAt{key: "tls"}
	p.CertFile, p.KeyFile = filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	check0(t, makeCertificate(p.CertFile, p.KeyFile, made))
	return p
}

func TestLogCertificates(t *testing.T) {
	made := time.Now()
	leaf, err := madeAt(t, made).leaf()
	check0(t, err)
	for _, c := range []struct {
		now  time.Time
		want string
	}{
		{made.Add(-2 * time.Hour), `level=ERROR .* state="not valid yet"`},
		{made, `level=INFO .* state=valid`},
		{leaf.NotAfter.Add(-renewal), `level=INFO .* state=valid`},
		{leaf.NotAfter.Add(1 - renewal), `level=WARN .* state="expires soon"`},
		{leaf.NotAfter.Add(1), `level=ERROR .* state=expired`},
	} {
		var log bytes.Buffer
		logCertificates(slog.New(slog.NewTextHandler(&log, nil)), []*x509.Certificate{leaf, leaf}, c.now)
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 2 || !regexp.MustCompile(c.want).MatchString(lines[1]) {
			t.Errorf("%v: %s", c.now, log.String())
		}
		if !strings.Contains(lines[0], "msg=certificate names=localhost,127.0.0.1,::1 not_after="+leaf.NotAfter.Format(time.RFC3339)) {
			t.Error(lines[0])
		}
	}
}

// Each reload tells of the certificates that it brought.
func TestReloadLogsCertificates(t *testing.T) {
	p := madeAt(t, time.Now())
	c := defaultConfig()
	c.TLS.CertFile, c.TLS.KeyFile = p.CertFile, p.KeyFile
	r := &resources{}
	check0(t, r.openCertificates(c))
	check0(t, makeCertificate(p.CertFile, p.KeyFile, time.Now().AddDate(-11, 0, 0)))
	var log bytes.Buffer
	(&reloader{log: slog.New(slog.NewTextHandler(&log, nil)), sources: r.sources}).reload(false)
	if !regexp.MustCompile(`(?s)level=INFO msg=reloaded what=certificates\n.*level=ERROR msg=certificate what=certificates .* state=expired\n`).MatchString(log.String()) {
		t.Error(log.String())
	}
}

func TestCheckValidity(t *testing.T) {
	for name, c := range map[string]struct {
		made          time.Time
		problem, warn string
	}{
		"valid":   {time.Now(), "", ""},
		"soon":    {time.Now().AddDate(-10, 0, 1), "", "expires soon, on 20"},
		"expired": {time.Now().AddDate(-10, 0, -1), `^F:1:18: tls.cert_file: expired since \d{4}-\S+Z; renew it$`, ""},
		"early":   {time.Now().Add(2 * time.Hour), `^F:1:18: tls.cert_file: not valid yet before \d{4}-\S+Z; correct the clock or wait$`, ""},
	} {
		p := madeAt(t, c.made)
		conf, err := parseConfig("F", []byte("tls: {cert_file: '"+p.CertFile+"', key_file: '"+p.KeyFile+"'}"+rest), nil)
		check0(t, err)
		warnings, err := checkValidity(conf, time.Now())
		var text strings.Builder
		report(&text, err)
		if got := strings.TrimSpace(text.String()); (c.problem == "") != (got == "") || !regexp.MustCompile(c.problem).MatchString(got) {
			t.Errorf("%s: %s", name, got)
		}
		if (c.warn != "") != (len(warnings) == 1) || c.warn != "" && !strings.Contains(warnings[0].text, c.warn) {
			t.Errorf("%s: %v", name, warnings)
		}
	}
}
