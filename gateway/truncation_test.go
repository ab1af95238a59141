package gateway_test

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/gateway"
)

// ends are the ways in which a data connection can end. Only the first is the end of a file.
var ends = map[string]func(t *testing.T, raw *net.TCPConn, conn net.Conn){
	"in order": func(t *testing.T, raw *net.TCPConn, conn net.Conn) { finish(t, conn) },
	"fin": func(t *testing.T, raw *net.TCPConn, conn net.Conn) {
		if err := raw.Close(); err != nil {
			t.Fatal(err)
		}
	},
	"half close": func(t *testing.T, raw *net.TCPConn, conn net.Conn) {
		if err := raw.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	},
	"reset": func(t *testing.T, raw *net.TCPConn, conn net.Conn) {
		if err := raw.SetLinger(0); err != nil {
			t.Fatal(err)
		}
		if err := raw.Close(); err != nil {
			t.Fatal(err)
		}
	},
	"inside a record": func(t *testing.T, raw *net.TCPConn, conn net.Conn) {
		// The header of a record of application data, and not all of it.
		if _, err := raw.Write([]byte{23, 3, 3, 0, 100, 1, 2, 3}); err != nil {
			t.Fatal(err)
		}
		if err := raw.Close(); err != nil {
			t.Fatal(err)
		}
	},
}

// TestOnlyCloseNotifyEndsAnUpload is the promise that the rest hangs on: crypto/tls alone reports a
// bare FIN as the end of the file, and the library then says 226.
func TestOnlyCloseNotifyEndsAnUpload(t *testing.T) {
	t.Parallel()
	f := start(t)
	for version, name := range map[uint16]string{tls.VersionTLS12: "TLS 1.2", tls.VersionTLS13: "TLS 1.3"} {
		for how, end := range ends {
			for size, content := range map[string]string{"empty": "", "small": "new", "large": strings.Repeat("new", 100_000)} {
				t.Run(name+"/"+how+"/"+size, func(t *testing.T) {
					f.put("file", "old")
					c := f.loginTLS(func(cfg *tls.Config) { cfg.MaxVersion = version })
					c.tls.MaxVersion = version
					raw := c.data().(*net.TCPConn)
					c.cmd(150, "STOR file")
					conn := c.protect(raw)
					if _, err := io.WriteString(conn, content); err != nil {
						t.Fatal(err)
					}
					end(t, raw, conn)
					code, text := c.reply()
					if how == "in order" {
						equal(t, "reply "+text, code, 226)
						equal(t, "file", f.read("file") == content, true)
						return
					}
					equal(t, "reply "+text, code, 426)
					equal(t, "file", f.read("file"), "old")
				})
			}
		}
	}
	equal(t, "leftovers", len(f.leftovers()), 0)
}

// A data connection that ends before its handshake is no empty file.
func TestEndBeforeHandshake(t *testing.T) {
	t.Parallel()
	for _, policy := range []gateway.EOFPolicy{gateway.EOFDefault, gateway.EOFAlive, gateway.EOFOff} {
		f := start(t, func(o *gateway.Options) { o.TransferEOF = policy })
		f.put("file", "old")
		c := f.loginTLS()
		conn := c.data()
		c.cmd(150, "STOR file")
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		c.want(426)
		equal(t, "file", f.read("file"), "old")
	}
}

func TestNotTLSAtAll(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := f.loginTLS()
	conn := c.data()
	c.cmd(150, "STOR file")
	if _, err := io.WriteString(conn, "this is not a ClientHello, and long enough to see it"); err != nil {
		t.Fatal(err)
	}
	c.want(522)
	equal(t, "file", f.read("file"), "<none>")
}

func TestEOFPolicies(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		policy     gateway.EOFPolicy
		secure     bool
		end        string
		code       int
		controlToo bool
	}{
		{gateway.EOFDefault, false, "fin", 226, false},
		{gateway.EOFDefault, false, "fin", 0, true},
		{gateway.EOFDefault, false, "reset", 426, false},
		{gateway.EOFAlive, true, "fin", 226, false},
		{gateway.EOFAlive, true, "fin", 0, true},
		{gateway.EOFAlive, true, "inside a record", 426, false},
		{gateway.EOFAlive, true, "in order", 226, false},
		{gateway.EOFOff, false, "fin", 226, false},
		{gateway.EOFOff, true, "fin", 226, false},
		{gateway.EOFOff, true, "reset", 426, false},
		{gateway.EOFStrict, true, "in order", 226, false},
	} {
		f := start(t, func(o *gateway.Options) { o.TransferEOF = tc.policy })
		f.put("file", "old")
		login := f.login
		if tc.secure {
			login = func() *client { return f.loginTLS() }
		}
		c := login()
		raw := c.data().(*net.TCPConn)
		c.cmd(150, "STOR file")
		conn := c.protect(raw)
		if _, err := io.WriteString(conn, "new"); err != nil {
			t.Fatal(err)
		}
		ends[tc.end](t, raw, conn)
		if tc.controlToo { // the client died
			_ = c.raw.Close()
			f.waitForSessions()
			equal(t, "file of the dead", f.read("file"), "old")
			continue
		}
		code, text := c.reply()
		equal(t, string(tc.policy)+" "+tc.end+": "+text, code, tc.code)
		want := "old"
		if code == 226 {
			want = "new"
		}
		equal(t, "file", f.read("file"), want)
	}
}

// Strict in clear is a contradiction: nothing could ever be uploaded, so it is said at once.
func TestStrictRefusesClear(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *gateway.Options) { o.TransferEOF = gateway.EOFStrict })
	c := f.login()
	_ = c.passive()
	c.cmd(522, "STOR file")
}

// waitForSessions returns when the server has none left, or no more than so many.
func (f *fixture) waitForSessions(left ...int) {
	f.t.Helper()
	most := 0
	if len(left) > 0 {
		most = left[0]
	}
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for f.server.Sessions() > most {
		if time.Now().After(deadline) {
			f.t.Fatal("a session does not end")
		}
		<-tick.C
	}
}

// ALLO is taken at its word.
func TestAllocatedLength(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.put("file", "old")
	c := f.loginTLS()
	for _, tc := range []struct {
		allo, content string
		code          int
	}{
		{"ALLO 3", "new", 226},
		{"ALLO 4", "new", 426},
		{"ALLO 2", "new", 552},
		{"ALLO 3 R 1", "new", 226},
	} {
		f.put("file", "old")
		c.cmd(200, tc.allo)
		code, text := c.upload("STOR file", tc.content)
		equal(t, tc.allo+": "+text, code, tc.code)
		want := "old"
		if code == 226 {
			want = "new"
		}
		equal(t, tc.allo, f.read("file"), want)
	}
	// It holds for one transfer.
	code, text := c.upload("STOR file", "something longer")
	equal(t, "after ALLO: "+text, code, 226)
	// For what is appended it may tell the part or the whole.
	for _, allo := range []string{"ALLO 3", "ALLO 6"} {
		f.put("file", "old")
		c.cmd(200, allo)
		code, text := c.upload("APPE file", "new")
		equal(t, allo+": "+text, code, 226)
	}
	c.cmd(200, "ALLO 5")
	code, text = c.upload("APPE file", "new")
	equal(t, "APPE: "+text, code, 426)
}
