package e2e

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-ftp/sluice/e2e/ftp"
)

// rawVerbs are what a conversation can do beside talking.
var rawVerbs = map[string]func(*raw, string) error{
	"as":          (*raw).as,                                                  // NAME: go on with the connection of that name
	"connect":     (*raw).connect,                                             // HOST:PORT [from ADDRESS]
	"login":       (*raw).login,                                               // [USER [1.2 | 1.3]]: explicit TLS up to TYPE I, or as before
	"login-clear": (*raw).loginClear,                                          // USER
	"tls":         (*raw).tls,                                                 // [1.1 | 1.2 | 1.3]: handshake
	"tls-fails":   (*raw).tlsFails,                                            // [version]: the server refuses
	"stolen":      (*raw).stolen,                                              // CERTIFICATE KEY: hello with the key of another, which the server refuses
	"hello":       (*raw).hello,                                               // [CERTIFICATE]: connect, and explicit TLS
	"denied":      (*raw).denied,                                              // USER PASSWORD...: each is refused like any other
	"codes":       (*raw).oneTimeCodes,                                        // SECRET: from here on $CODE and $NEXT are good, $WRONG is not
	"burst":       (*raw).burst,                                               // COUNT USER: so many guesses at once, of which most are not tried
	"once":        (*raw).once,                                                // COUNT USER PASSWORD: so many log in at once, and one gets in
	"forbidden":   (*raw).forbidden,                                           // see | stat | use | change FOLDER: that is refused, and what follows
	"close":       func(r *raw, _ string) error { return r.cur.Close() },      // close_notify and FIN
	"fin":         func(r *raw, _ string) error { return r.cur.FIN() },        // FIN alone
	"flood":       (*raw).flood,                                               // BYTES without an end of line
	"refused":     (*raw).refused,                                             // COMMAND: a transfer that is refused for good, before or after its data
	"injected":    (*raw).injected,                                            // no handshake, or a session that is not logged in
	"data-lacks":  (*raw).dataLacks,                                           // PATTERN: read to the end and do not match
	"long":        (*raw).long,                                                // VERB BYTES: a long command line
	"half":        func(r *raw, _ string) error { return r.cur.CloseWrite() }, // FIN, and go on reading
	"rst":         func(r *raw, _ string) error { return r.cur.Reset() },
	"eof":         (*raw).eof,    // the server closes, and says nothing before
	"closed":      (*raw).closed, // the server closes, whatever it says before
	"pasv":        (*raw).pasv,   // EPSV; the port is remembered
	"dial":        (*raw).dial,   // [from ADDRESS]: connect to it
	"data-tls":    func(r *raw, _ string) error { return r.cur.data.Handshake(r.cur.TLS) },
	"resumed":     (*raw).resumed, // the data connection goes on with a TLS session
	"data-send":   func(r *raw, s string) error { return ignoreN(io.WriteString(r.cur.data, s)) },
	"data-file":   (*raw).dataFile,                                             // FILE: send it
	"data-try":    (*raw).dataTry,                                              // FILE: send it and end, if the server lets us
	"data-finish": func(r *raw, _ string) error { return r.cur.data.Finish() }, // orderly end of an upload
	"data-fin":    func(r *raw, _ string) error { return r.cur.data.FIN() },    // FIN without close_notify
	"data-rst":    func(r *raw, _ string) error { return r.cur.data.Reset() },  // RST
	"data-expect": (*raw).dataExpect,                                           // PATTERN: read to the end and match
	"data-dead":   (*raw).dataDead,                                             // the server gives nothing and closes
}

func ignoreN(_ int, err error) error { return err }

func (r *raw) as(name string) error {
	if r.conns[name] == nil {
		r.conns[name] = &rawConn{}
	}
	r.cur = r.conns[name]
	return nil
}

func (r *raw) connect(arg string) error {
	addr, from, _ := strings.Cut(arg, " from ")
	c, err := ftp.DialFrom(context.Background(), addr, from)
	if err != nil {
		return err
	}
	c.Timeout = 20 * time.Second
	*r.cur = rawConn{Client: c}
	return nil
}

func (r *raw) login(arg string) error {
	arg = cmp.Or(arg, r.cur.login)
	user, version, _ := strings.Cut(arg, " ")
	err := r.loginAs(ftp.Explicit, user, version)
	r.cur.login = arg
	return err
}

func (r *raw) loginClear(user string) error { return r.loginAs(ftp.Clear, user, "") }

func (r *raw) loginAs(mode ftp.Mode, user, version string) error {
	if err := r.connect("127.0.0.1:" + r.ts.Getenv("FTP_PORT")); err != nil {
		return err
	}
	setVersion(r.cur.TLS, version)
	return r.cur.Login(mode, user, password)
}

var versions = map[string]uint16{"1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

func setVersion(c *tls.Config, version string) {
	if v, ok := versions[version]; ok {
		c.MinVersion, c.MaxVersion = v, v
	}
}

func (r *raw) tls(version string) error {
	r.cur.TLS = ftp.InsecureTLS()
	setVersion(r.cur.TLS, version)
	return r.cur.StartTLS()
}

// injected goes on after commands were sent in clear behind AUTH TLS. The server may refuse the
// whole or drop them, but whoever gets through the handshake is nobody yet.
func (r *raw) injected(string) error {
	got, err := r.cur.Reply()
	if err != nil || got.Code != 234 {
		r.ts.Logf("\t%v, %v", got, err)
		return nil
	}
	if err := r.tls(""); err != nil {
		r.ts.Logf("\t%v", err)
		return nil
	}
	got, err = r.cur.Cmd("PWD")
	r.ts.Logf("\t%v, %v", got, err)
	if err == nil && got.Code != 530 {
		return fmt.Errorf("the reply to PWD is %q", got)
	}
	return nil
}

// flood sends bytes until the server closes, which is no error.
func (r *raw) flood(count string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	r.ts.Logf("\t%v", r.cur.Send(strings.Repeat("a", n)))
	return nil
}

func (r *raw) tlsFails(version string) error {
	err := r.tls(version)
	if err == nil {
		return errors.New("the server took it")
	}
	r.ts.Logf("\t%v", err)
	return nil
}

// eof reads one reply that must not come.
func (r *raw) eof(string) error {
	got, err := r.cur.Reply()
	var timeout interface{ Timeout() bool }
	switch {
	case err == nil:
		return fmt.Errorf("the server says %q", got)
	case errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("the server keeps the connection")
	}
	return nil
}

func (r *raw) closed(string) error {
	for {
		got, err := r.cur.Reply()
		if err != nil {
			var timeout interface{ Timeout() bool }
			if errors.As(err, &timeout) && timeout.Timeout() {
				return errors.New("the server keeps the connection")
			}
			return nil
		}
		r.ts.Logf("\t%v", got)
	}
}

func (r *raw) pasv(string) error {
	addr, err := r.cur.Passive()
	r.port = addr
	return err
}

func (r *raw) dial(from string) error {
	d, err := ftp.DialData(r.port, strings.TrimPrefix(from, "from "))
	r.cur.data = d
	return err
}

// long sends a command line of that many bytes, CR LF not counted.
func (r *raw) long(arg string) error {
	verb, count, _ := strings.Cut(arg, " ")
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	return r.cur.Send(verb + " " + strings.Repeat("a", n-len(verb)-1) + "\r\n")
}

func (r *raw) dataFile(name string) error {
	text, err := os.ReadFile(r.ts.MkAbs(name))
	if err != nil {
		return err
	}
	return ignoreN(r.cur.data.Write(text))
}

// refused wants a permanent error as the last reply to a transfer. The store may refuse a name only
// when it is asked to publish.
func (r *raw) refused(command string) error {
	if err := errors.Join(r.pasv(""), r.dial("")); err != nil {
		return err
	}
	got, err := r.cur.Cmd(command)
	if err == nil && got.Code == 150 {
		r.ts.Logf("\t%v", errors.Join(r.cur.data.Handshake(r.cur.TLS), r.cur.data.Finish()))
		got, err = r.cur.Reply()
	}
	r.ts.Logf("\t%v", got)
	if err == nil && got.Code < 500 {
		return fmt.Errorf("the reply is %q", got)
	}
	return err
}

// dataTry sends a file that the server may refuse half-way. What matters is the reply.
func (r *raw) dataTry(name string) error {
	err := r.dataFile(name)
	if err == nil {
		err = r.cur.data.Finish()
	}
	r.ts.Logf("\t%v", err)
	return nil
}

func (r *raw) dataExpect(pattern string) error {
	return r.dataMatch(pattern, true)
}

func (r *raw) dataLacks(pattern string) error {
	return r.dataMatch(pattern, false)
}

func (r *raw) dataMatch(pattern string, want bool) error {
	text, err := io.ReadAll(r.cur.data)
	if err != nil {
		return err
	}
	r.ts.Logf("\t%q", text)
	re, err := regexp.Compile("(?s)" + pattern)
	if err != nil {
		return err
	}
	if re.Match(text) != want {
		return fmt.Errorf("the data is %q", text)
	}
	return r.cur.data.Close()
}

func (r *raw) dataDead(string) error {
	n, err := io.Copy(io.Discard, r.cur.data)
	if n > 0 {
		return fmt.Errorf("the server sent %d bytes", n)
	}
	r.ts.Logf("\t%v", err)
	return nil
}
