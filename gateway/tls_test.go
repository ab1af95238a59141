package gateway_test

import (
	"bufio"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-ftp/sluice/gateway"
)

func TestTLSRequired(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *gateway.Options) { o.TLS.Mode = gateway.TLSRequired })
	c := f.dial()
	c.transcript([]line{
		{"USER ann", 530, "AUTH TLS"},
		{"PASS secret", 530, "AUTH TLS"},
		{"PWD", 530, ""},
		{"PROT P", 503, ""},
		{"PBSZ 0", 503, ""},
		{"FEAT", 211, "AUTH TLS"},
		{"OPTS UTF8 ON", 200, ""},
		{"AUTH GARBAGE", 504, ""},
		{"AUTH", 501, ""},
	})
	c.startTLS()
	c.transcript([]line{
		{"AUTH TLS", 503, ""}, // no TLS inside TLS
		{"PASS secret", 503, "USER"},
		{"USER ann", 331, ""},
		{"PASS secret", 230, ""},
		{"PROT P", 503, "PBSZ"},
		{"EPSV", 229, ""},
		{"STOR x", 522, "PROT P"},
		{"LIST", 522, ""},
		{"PBSZ 0", 200, "PBSZ=0"},
		{"PROT C", 534, ""},
		{"PROT S", 536, ""},
		{"PROT E", 536, ""},
		{"PROT X", 504, ""},
		{"PROT PP", 504, ""},
		{"STOR x", 522, ""}, // none of these meant P
		{"PROT p", 200, ""},
	})
	c.tls = c.config()
	code, text := c.upload("STOR x", "content")
	equal(t, text, code, 226)
	equal(t, "file", f.read("x"), "content")
	c.cmd(221, "QUIT")
}

// PROT between PASV and its transfer counts: the library would send in clear what the client
// believes to be protected.
func TestProtAfterPassive(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.put("file", "content")
	c := f.loginTLS()
	c.cmd(200, "PROT C")
	conn := c.data()
	c.cmd(200, "PROT P")
	c.cmd(150, "RETR file")
	b, err := io.ReadAll(c.protect(conn))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "content", string(b), "content")
	c.want(226)
}

func TestProtClear(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.put("file", "content")
	c := f.loginTLS()
	c.cmd(200, "PROT C")
	c.tls = nil
	equal(t, "content", c.download("RETR file"), "content")
}

func TestImplicit(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *gateway.Options) { o.TLS.Mode = gateway.TLSRequired })
	c := f.connect(f.implicit)
	tc := tls.Client(c.raw, c.config())
	if err := tc.Handshake(); err != nil {
		t.Fatal(err)
	}
	c.conn, c.r = tc, bufio.NewReader(tc)
	c.want(220)
	c.cmd(503, "AUTH TLS")
	c.cmd(331, "USER ann")
	c.cmd(230, "PASS secret")
	c.tls = c.config()
	code, text := c.upload("STOR x", "content") // protected without a PROT
	equal(t, text, code, 226)
	c.cmd(534, "PROT C")
	c.cmd(200, "PROT P")
	equal(t, "content", c.download("RETR x"), "content")
}

// A client that says nothing on the implicit port does not hold a session for ever, nor one that
// says AUTH and then nothing.
func TestSilentHandshake(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for the handshake's time to pass")
	}
	f := start(t)
	silent := f.connect(f.implicit)
	auth := f.dial()
	auth.cmd(234, "AUTH TLS")
	for _, c := range []*client{silent, auth} {
		if _, err := c.raw.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
			t.Errorf("silence was answered: %v", err)
		}
	}
	f.waitForSessions()
}

// Commands that follow AUTH in clear may have been put there by someone in between.
func TestInjectionBehindAuth(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := f.dial()
	if _, err := io.WriteString(c.conn, "AUTH TLS\r\nUSER eve\r\nPASS x\r\n"); err != nil {
		t.Fatal(err)
	}
	c.want(234)
	if code, text := c.reply(); code != 0 {
		t.Errorf("goes on with %d %s", code, text)
	}
	f.waitForSessions()
}

// The same, when AUTH waited behind a transfer, with what followed it.
func TestInjectionBehindQueuedAuth(t *testing.T) {
	t.Parallel()
	for _, behind := range []string{"SYST\r\n", "US"} {
		f := start(t)
		c := f.login()
		conn := c.open("STOR file")
		if _, err := io.WriteString(c.conn, "REIN\r\nAUTH TLS\r\n"+behind); err != nil {
			t.Fatal(err)
		}
		c.cmd(426, "\r\nABOR") // now all of it has been read
		_ = conn.Close()
		c.want(226)
		c.want(220)
		c.want(234)
		if code, text := c.reply(); code != 0 {
			t.Errorf("goes on with %d %s", code, text)
		}
	}
}

// A client that opens a data connection and says nothing on it is not waited for as for one that
// stalls.
func TestSilentDataHandshake(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for the handshake's time to pass")
	}
	f := start(t)
	c := f.loginTLS()
	_ = c.data()
	c.cmd(150, "STOR file")
	if code, _ := c.reply(); code != 426 && code != 522 {
		t.Errorf("%d", code)
	}
}

func TestAuthForgetsTheUser(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := f.dial()
	c.cmd(331, "USER ann")
	c.startTLS()
	c.cmd(503, "PASS secret")
	d := f.login()
	d.cmd(503, "AUTH TLS")
}

func TestVersions(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *gateway.Options) { o.TLS.MinVersion = tls.VersionTLS13 })
	c := f.dial()
	c.cmd(234, "AUTH TLS")
	cfg := c.config()
	cfg.MaxVersion = tls.VersionTLS12
	if err := tls.Client(c.raw, cfg).Handshake(); err == nil {
		t.Error("TLS 1.2 was agreed on")
	}
}

// Data connections resume the control connection's session, in both versions, also after the
// certificate was reloaded; and they issue no TLS 1.3 ticket of their own.
func TestResumption(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pair := keyPair(t, dir, "sluice.test")
	certs, err := gateway.LoadCertificates(pair)
	if err != nil {
		t.Fatal(err)
	}
	f := start(t, func(o *gateway.Options) { o.TLS.Certificates = certs })
	for version, name := range map[uint16]string{tls.VersionTLS12: "TLS 1.2", tls.VersionTLS13: "TLS 1.3"} {
		for _, resume := range []bool{true, false} {
			cache := &countingCache{ClientSessionCache: tls.NewLRUClientSessionCache(4)}
			set := func(cfg *tls.Config) { cfg.MaxVersion, cfg.ClientSessionCache = version, cache }
			c := f.loginTLS(set)
			set(c.tls)
			if !resume { // a client that does not use the ticket must get none either
				cache = &countingCache{ClientSessionCache: tls.NewLRUClientSessionCache(4)}
				c.tls.ClientSessionCache = cache
			}
			for range 3 {
				conn := c.open("STOR x").(*tls.Conn)
				before := cache.puts
				equal(t, name+" resumed", conn.ConnectionState().DidResume, resume)
				if err := conn.CloseWrite(); err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, conn); err != nil {
					t.Fatal(err)
				}
				c.want(226)
				if version == tls.VersionTLS13 {
					equal(t, "tickets on the data connection", cache.puts-before, 0)
				}
				if !resume {
					break
				}
				keyPair(t, dir, "sluice.test")
				if err := certs.Reload(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

type countingCache struct {
	tls.ClientSessionCache
	puts int
}

func (c *countingCache) Put(key string, s *tls.ClientSessionState) {
	c.puts++
	c.ClientSessionCache.Put(key, s)
}

// A new certificate is shown to the next connection, and sessions that are there go on.
func TestReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pair := keyPair(t, dir, "sluice.test")
	certs, err := gateway.LoadCertificates(pair)
	if err != nil {
		t.Fatal(err)
	}
	f := start(t, func(o *gateway.Options) { o.TLS.Certificates = certs })
	old := f.loginTLS()
	shown := func(c *client) string {
		return c.conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	first := shown(old)
	keyPair(t, dir, "sluice.test")
	if err := certs.Reload(); err != nil {
		t.Fatal(err)
	}
	second := f.loginTLS()
	if shown(second) == first {
		t.Error("the old certificate is shown")
	}
	if err := os.WriteFile(pair.KeyFile, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	err = certs.Reload()
	if err == nil || !strings.Contains(err.Error(), pair.KeyFile) {
		t.Errorf("error %v does not name the key file", err)
	}
	equal(t, "after a bad reload", shown(f.loginTLS()), shown(second))
	old.cmd(200, "NOOP")
}

// RSA and ECDSA stand side by side, and the name decides between certificates.
func TestChoiceOfCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	writeCert(t, dir, "rsa.test", key, &key.PublicKey)
	both := []gateway.KeyPair{
		{CertFile: filepath.Join(dir, "rsa.test.crt"), KeyFile: filepath.Join(dir, "rsa.test.key")},
		keyPair(t, dir, "one.test"), keyPair(t, dir, "two.test"),
	}
	certs, err := gateway.LoadCertificates(both...)
	if err != nil {
		t.Fatal(err)
	}
	f := start(t, func(o *gateway.Options) { o.TLS.Certificates = certs })
	for _, tc := range []struct {
		server string
		suites []uint16
		want   string
	}{
		{"one.test", nil, "one.test"},
		{"two.test", nil, "two.test"},
		{"rsa.test", nil, "rsa.test"},
		{"", []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}, "rsa.test"},
		{"unknown.test", nil, "one.test"},
		{"alias.test", []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}, "rsa.test"}, // an old client by another name
	} {
		c := f.dial()
		c.startTLS(func(cfg *tls.Config) {
			cfg.ServerName = tc.server
			if tc.suites != nil {
				cfg.MaxVersion, cfg.CipherSuites = tls.VersionTLS12, tc.suites
			}
		})
		equal(t, tc.server, c.conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName, tc.want)
	}
}

func TestCertificateErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := keyPair(t, dir, "a.test"), keyPair(t, dir, "b.test")
	_, err := gateway.LoadCertificates(
		gateway.KeyPair{CertFile: a.CertFile, KeyFile: b.KeyFile},
		gateway.KeyPair{CertFile: filepath.Join(dir, "none.crt"), KeyFile: a.KeyFile})
	for _, name := range []string{a.CertFile, b.KeyFile, "none.crt"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v does not name %s", err, name)
		}
	}
}

// AUTH SSL of old means that data connections are protected, too.
func TestAuthSSL(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.put("file", "content")
	c := f.dial()
	c.cmd(234, "AUTH SSL")
	tc := tls.Client(c.raw, c.config())
	c.conn, c.r = tc, bufio.NewReader(tc)
	c.cmd(331, "USER ann")
	c.cmd(230, "PASS secret")
	c.tls = c.config()
	equal(t, "content", c.download("RETR file"), "content")
}

// What a slow line looks like to a client that does not read while it sends: with a ticket unread,
// its close would reset the connection and lose the end of the file.
func TestUnreadTicketsDoNotCutUploads(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *gateway.Options) { o.Tuning.ReceiveBuffer = 8 << 10 })
	c := f.loginTLS()
	content := strings.Repeat("0123456789", 100_000)
	for range 3 {
		raw := c.data().(*net.TCPConn)
		if err := raw.SetWriteBuffer(4 << 20); err != nil {
			t.Fatal(err)
		}
		c.cmd(150, "STOR file")
		tc := tls.Client(&frugal{Conn: raw}, c.tls)
		if _, err := io.WriteString(tc, content); err != nil {
			t.Fatal(err)
		}
		if err := tc.Close(); err != nil { // at once, with all of it still in the socket
			t.Fatal(err)
		}
		c.want(226)
		equal(t, "file", f.read("file") == content, true)
	}
}

// frugal reads no more than the record that TLS asks for, as OpenSSL does.
type frugal struct {
	net.Conn
	header []byte
	left   int
}

func (c *frugal) Read(p []byte) (int, error) {
	if len(c.header) == 0 && c.left == 0 {
		h := make([]byte, 5)
		if _, err := io.ReadFull(c.Conn, h); err != nil {
			return 0, err
		}
		c.header, c.left = h, int(h[3])<<8|int(h[4])
	}
	if len(c.header) > 0 {
		n := copy(p, c.header)
		c.header = c.header[n:]
		return n, nil
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}
