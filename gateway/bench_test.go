package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/sluice-ftp/sluice/gateway"
)

// BenchmarkNOOP is the way of a command through control, filters and back.
func BenchmarkNOOP(b *testing.B) {
	f := start(b)
	c := f.login()
	b.ReportAllocs()
	for b.Loop() {
		c.cmd(200, "NOOP")
	}
}

// BenchmarkRetrieve compares TYPE A, which rewrites line ends, with TYPE I, in clear, so that the
// conversion shows.
func BenchmarkRetrieve(b *testing.B) {
	f := start(b)
	content := strings.Repeat("sixty characters and a line end make a line of this file....\n", 1<<19)
	f.put("lines", content)
	for _, typ := range []string{"I", "A"} {
		b.Run("TYPE "+typ, func(b *testing.B) {
			c := f.login()
			c.cmd(200, "TYPE "+typ)
			b.SetBytes(int64(len(content)))
			for b.Loop() {
				conn := c.open("RETR lines")
				if _, err := io.Copy(io.Discard, conn); err != nil {
					b.Fatal(err)
				}
				_ = conn.Close()
				c.want(226)
			}
		})
	}
}

// BenchmarkLogin is a session from its connection to QUIT.
func BenchmarkLogin(b *testing.B) {
	f := start(b, func(o *gateway.Options) { o.TLS.Mode = gateway.TLSOff })
	for b.Loop() {
		conn, err := net.Dial("tcp", f.explicit)
		if err != nil {
			b.Fatal(err)
		}
		r := bufio.NewReader(conn)
		for _, cmd := range []string{"USER ann", "PASS secret", "QUIT", ""} {
			if _, err := r.ReadString('\n'); err != nil {
				b.Fatal(err)
			}
			if _, err := fmt.Fprintf(conn, "%s\r\n", cmd); err != nil {
				b.Fatal(err)
			}
		}
		_ = conn.Close()
	}
}
