package gateway_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/sluice-ftp/sluice/gateway"
)

// A transcript is what a client sends and the code that each line must get, in order.
type line struct {
	send string
	code int
	has  string // in the text
}

func (c *client) transcript(lines []line) {
	c.t.Helper()
	for _, l := range lines {
		if text := c.cmd(l.code, l.send); !strings.Contains(text, l.has) {
			c.t.Errorf("%s: %q lacks %q", l.send, text, l.has)
		}
	}
}

func TestTranscripts(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.put("a.txt", "hello")
	f.put("dir/b.txt", "world!")
	for name, lines := range map[string][]line{
		"where": {
			{"PWD", 257, `"/"`},
			{"XPWD", 257, `"/"`},
			{"CWD dir", 250, ""},
			{"PWD", 257, `"/dir"`},
			{"CWD b.txt", 550, "not a folder"},
			{"CWD nowhere", 550, "No such"},
			{"XCUP", 250, ""},
			{"CDUP", 250, ""},
			{"CWD ../../..", 250, ""},
			{"PWD", 257, `"/"`},
			{"xcwd /dir/", 250, ""},
			{`XMKD a "quoted" name`, 257, `"/dir/a ""quoted"" name" created`},
			{`XRMD a "quoted" name`, 250, ""},
			{"CWD", 501, ""},
		},
		"tree": {
			{"MKD new", 257, `"/new"`},
			{"MKD new", 550, "taken"},
			{"RMD new", 250, ""},
			{"RMD new", 550, "No such"},
			{"RMD dir", 550, "not empty"},
			{"RMD a.txt", 550, "not a folder"},
			{"DELE dir", 550, "folder"},
			{"DELE nothing", 550, "No such"},
			{"RNTO x", 503, ""},
			{"RNFR nothing", 550, ""},
			{"RNTO x", 503, ""},
			{"RNFR a.txt", 350, ""},
			{"NOOP", 200, ""},
			{"RNTO moved.txt", 503, ""},
			{"RNFR a.txt", 350, ""},
			{"RNTO moved.txt", 250, ""},
			{"SIZE moved.txt", 213, "5"},
			{"RNFR moved.txt", 350, ""},
			{"RNTO a.txt", 250, ""},
		},
		"about files": {
			{"SIZE a.txt", 213, "5"},
			{"SIZE dir", 550, "folder"},
			{"SIZE none", 550, "No such"},
			{"MDTM dir", 550, "folder"},
			{"MFMT 20200102030405 a.txt", 213, "20200102030405"},
			{"MDTM a.txt", 213, "20200102030405"},
			{"MDTM 20210102030405 a.txt", 213, ""},
			{"MDTM a.txt", 213, "20210102030405"},
			{"MFMT yesterday a.txt", 501, ""},
			{"MFMT 20200102030405", 501, ""},
			{"MDTM 20210102030405 none", 550, ""},
			{"MLST a.txt", 250, " type=file;size=5;modify=20210102030405;perm=adfrw;unique="},
			{"MLST dir", 250, " type=dir;"},
			{"OPTS MLST size;nonsense;modify;", 200, "MLST OPTS size;modify;"},
			{"MLST a.txt", 250, "\n size=5;modify=20210102030405; /a.txt\n"},
			{"FEAT", 211, "MLST type;size*;modify*;perm;unique;"},
			{"OPTS MLST", 200, "MLST OPTS"},
			{"MLST a.txt", 250, "\n  /a.txt\n"},
			{"MLST none", 550, ""},
			{"STAT a.txt", 213, "ftp ftp            5 "},
			{"STAT dir", 212, "\n -rw-r--r-- 1 ftp ftp            6 "}, // no literal %s before it
			{"STAT none", 550, ""},
			{"AVBL", 213, ""},
			{"AVBL none", 550, ""},
		},
		"parameters": {
			{"TYPE A", 200, ""},
			{"TYPE a n", 200, ""},
			{"TYPE E", 504, ""},
			{"TYPE L 7", 504, ""},
			{"TYPE L 8", 200, ""},
			{"type i", 200, ""},
			{"MODE s", 200, ""},
			{"MODE B", 504, ""},
			{"MODE Z", 200, ""},
			{"MODE S", 200, ""},
			{"STRU F", 200, ""},
			{"stru f", 200, ""},
			{"STRU R", 504, ""},
			{"STRU P", 504, ""},
			{"REST 100", 350, "100"},
			{"REST -5", 501, ""},
			{"REST x", 501, ""},
			{"REST 99999999999999999999", 501, ""},
			{"REST 0", 350, ""},
			{"ALLO 100", 200, ""},
			{"ALLO 100 R 50", 200, ""},
			{"ALLO 0", 202, ""},
			{"ALLO x", 501, ""},
			{"ALLO -1", 501, ""},
			{"ALLO 9000000000000000000", 452, ""},
			{"TYPE A", 200, ""},
			{"SIZE a.txt", 550, "TYPE I"},
			{"REST 5", 504, "TYPE I"},
			{"TYPE I", 200, ""},
		},
		"about us": {
			{"SYST", 215, "UNIX Type: L8"},
			{"HELP", 214, "STOR"},
			{"HELP stor", 214, ""},
			{"HELP foo", 501, ""},
			{"STAT", 211, "Logged in as ann"},
			{"NOOP", 200, ""},
			{"CLNT tester 1.0", 200, ""},
			{"OPTS UTF8 ON", 200, ""},
			{"opts utf8 off", 504, ""},
			{"OPTS utf-8 NLST", 200, ""},
			{"OPTS WHAT", 501, ""},
			{"LANG", 200, ""},
			{"LANG en-US", 200, ""},
			{"LANG fr", 504, ""},
			{"HOST x.example", 502, ""},
			{"ACCT x", 202, ""},
			{"SMNT /", 202, ""},
			{"CCC", 533, ""},
			{"COMB a b", 502, ""},
			{"SITE HELP", 214, "SITE HELP"},
			{"SITE CHMOD", 501, ""},
			{"SITE CHMOD 644", 501, ""},
			{"SITE", 501, ""},
			{"FOOQUIT", 500, ""},
			{"XABOR", 500, ""},
			{"", 500, ""},
			{"  NOOP", 200, ""},
		},
		"data connections": {
			{"PASV", 227, "127,0,0,1"},
			{"EPSV", 229, ""},
			{"EPSV 1", 229, ""},
			{"EPSV 2", 522, "(1)"},
			{"EPSV 3", 522, ""},
			{"PORT 127,0,0,1,200,1", 502, ""},
			{"EPRT |1|127.0.0.1|2000|", 502, ""},
			{"PORT x", 501, ""},
			{"EPSV ALL", 200, ""},
			{"PASV", 503, ""},
			{"EPSV", 229, ""},
		},
		"no data connection": {
			{"RETR a.txt", 425, "PASV"}, {"STOR x", 425, ""}, {"LIST", 425, ""}, {"ABOR", 226, ""},
		},
		"checksums": {
			{"OPTS HASH", 200, "SHA-256"},
			{"HASH a.txt", 213, "SHA-256 0-4 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 a.txt"},
			{"OPTS HASH MD5", 200, "MD5"},
			{"HASH a.txt", 213, "MD5 0-4 5d41402abc4b2a76b9719d911017c592 a.txt"},
			{"FEAT", 211, "HASH SHA-256;SHA-512;SHA-1;MD5*;CRC32;"},
			{"OPTS HASH FOO", 501, ""},
			{"RANG 1 2", 350, ""},
			{"HASH a.txt", 213, "MD5 1-2 65c10911d8b8591219a21ebacf46da01"},
			{"HASH a.txt", 213, "0-4"},
			{"RANG 9 20", 350, ""},
			{"HASH a.txt", 554, ""},
			{"RANG 1 0", 350, ""},
			{"RANG x", 501, ""},
			{"XCRC a.txt", 250, "3610A686"},
			{"XMD5 a.txt", 250, "5D41402ABC4B2A76B9719D911017C592"},
			{"MD5 a.txt", 251, "5D41402ABC4B2A76B9719D911017C592"},
			{"XSHA1 a.txt", 250, "AAF4C61DDCC5E8A2DABEDE0F3B482CD9AEA9434D"},
			{"XSHA a.txt", 250, "AAF4C61D"},
			{"XSHA256 a.txt", 250, "2CF24DBA"},
			{"XSHA512 a.txt", 250, "9B71D224"},
			{`XCRC "a.txt" 0 5`, 250, "3610A686"},
			{"XCRC a.txt 0 5", 250, "3610A686"},
			{`XCRC "a.txt`, 501, ""},
			{"XCRC a.txt 5 1", 550, ""},
			{`XMD5 "a.txt" 7`, 554, ""},
			{"XCRC dir", 550, ""},
			{"XCRC none", 550, ""},
			{"CWD dir", 250, ""},
			{"XCRC b.txt", 250, "718498E8"},
		},
		"files that do not end in a line": {{"RANG 0 1", 350, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			c := f.login()
			c.t = t
			c.transcript(lines)
		})
	}
}

func TestFeaturesAreTrue(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := f.login()
	features := c.cmd(211, "FEAT")
	for _, name := range []string{"AUTH TLS", "PBSZ", "PROT", "UTF8", "TVFS", "SIZE", "MDTM", "MFMT", "REST STREAM", "EPSV", "MODE Z", "AVBL", "X-RESUME STOR;APPE"} {
		if !strings.Contains(features, "\n "+name+"\n") {
			t.Errorf("FEAT lacks %s:\n%s", name, features)
		}
	}
	if strings.Contains(features, "EPRT") {
		t.Error("FEAT names EPRT, which is off")
	}
	// Every feature that is a verb is known.
	for _, l := range strings.Split(features, "\n") {
		verb, _, _ := strings.Cut(strings.TrimSpace(l), " ")
		switch verb {
		case "UTF8", "TVFS", "X-RESUME", "End", "", "211-Features:":
			continue
		}
		c.send(verb)
		if code, text := c.reply(); code == 500 || code == 502 {
			t.Errorf("FEAT names %s, which is answered with %d %s", verb, code, text)
		}
		if verb == "AUTH" { // 501 for the missing argument
			continue
		}
	}
	off := start(t, func(o *gateway.Options) { o.TLS.Mode = gateway.TLSOff; o.ActiveMode = true })
	features = off.login().cmd(211, "FEAT")
	if strings.Contains(features, "AUTH") || !strings.Contains(features, "EPRT") {
		t.Errorf("FEAT without TLS and with active mode:\n%s", features)
	}
}

func TestLongAndBrokenLines(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.put("important", "x")
	c := f.login()
	name := strings.Repeat("n", 4096-len("SIZE \r\n"))
	c.cmd(553, "SIZE "+name) // 4,096 bytes: a command, with a name that is too long
	c.cmd(500, "SIZE "+name+"n")
	c.cmd(500, "SIZE "+strings.Repeat("n", 20_000))
	c.cmd(200, "NOOP")
	c.cmd(501, "DELE important\x00")
	c.cmd(501, "DELE import\rant")
	if _, err := io.WriteString(c.conn, "\xff\xf4\xff\xf2NOOP\r\n\xff\xfb\x01NOOP\n"); err != nil { // IAC IP, IAC DM, IAC WILL
		t.Fatal(err)
	}
	c.want(200)
	c.want(200)
	// A line that the death of the client cut off is not a command.
	if _, err := io.WriteString(c.conn, "DELE important"); err != nil {
		t.Fatal(err)
	}
	if err := c.conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if code, text := c.reply(); code != 0 {
		t.Errorf("cut line was answered: %d %s", code, text)
	}
	equal(t, "important", f.read("important"), "x")
}

// The longest lines are no longer on their way to the library: it would hang up on them.
func TestLongestTransferLines(t *testing.T) {
	t.Parallel()
	f := start(t)
	for _, l := range []string{
		"STOU " + strings.Repeat("a", 4096-len("STOU \r\n")) + "\r\n",
		"STOR " + strings.Repeat("a", 4096-len("STOR \n")) + "\n",
		"SIZE " + strings.Repeat("a", 4096-len("SIZE \n")) + "\n",
	} {
		c := f.login()
		_ = c.passive()
		if _, err := io.WriteString(c.conn, l); err != nil {
			t.Fatal(err)
		}
		c.want(553)
		c.cmd(200, "NOOP")
		c.close()
	}
	f.waitForSessions()
}

// A line that ends just where our buffer does leaves the next one in TLS, where no socket tells of it.
func TestPipeliningUnderTLS(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := f.loginTLS()
	for n := 500; n < 530; n++ {
		first := "STAT " + strings.Repeat("a", n-len("STAT \r\n")) + "\r\n"
		if _, err := io.WriteString(c.conn, first+"SYST\r\nNOOP\r\n"); err != nil {
			t.Fatal(err)
		}
		c.reply()
		c.want(215)
		c.want(200)
	}
}

// Only Telnet commands are taken out of a line. A byte of another alphabet is part of a name, which
// is refused, and must not become another name.
func TestNotTelnet(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.put("report.txt", "x")
	f.put("reportt.txt", "x")
	c := f.login()
	c.cmd(553, "DELE report\xff1.txt")
	c.cmd(553, "DELE report\xfft.txt")
	equal(t, "file", f.read("report.txt"), "x")
	equal(t, "file", f.read("reportt.txt"), "x")
}

// A stranger who only makes noise is hung up on.
func TestNoiseBeforeLogin(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := f.dial()
	for range 20 {
		c.cmd(500, "GET / HTTP/1.1")
	}
	c.cmd(421, "GET / HTTP/1.1")
	if code, text := c.reply(); code != 0 {
		t.Errorf("goes on with %d %s", code, text)
	}
}

func TestLineWithoutAnEnd(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := f.login()
	// The server hangs up long before this is sent.
	block := strings.Repeat("x", 1<<16)
	for range 1000 {
		if _, err := io.WriteString(c.conn, block); err != nil {
			break
		}
	}
	if code, text := c.reply(); code != 0 {
		t.Errorf("%d %s", code, text)
	}
}

func TestPipelining(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := f.login()
	var b strings.Builder
	for i := range 50 {
		fmt.Fprintf(&b, "MKD d%d\r\nCWD d%d\r\nPWD\r\nCDUP\r\n", i, i)
	}
	if _, err := io.WriteString(c.conn, b.String()); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		c.want(257)
		c.want(250)
		if text := c.want(257); !strings.Contains(text, fmt.Sprintf(`"/d%d"`, i)) {
			t.Fatalf("PWD: %s", text)
		}
		c.want(250)
	}
}
