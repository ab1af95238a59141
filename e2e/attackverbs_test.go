package e2e

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sluice-ftp/sluice/e2e/ftp"
	"github.com/sluice-ftp/sluice/e2e/harness"
)

// certificate [-ca] [-expired] NAME COMMONNAME [SIGNER] makes a client's certificate, signed by itself
// unless SIGNER names the files of another. Its fingerprint takes the place of $PRINT_NAME in
// users.yaml.
func certificate(ts *testscript.TestScript, _ bool, args []string) {
	var c harness.Client
	for strings.HasPrefix(args[0], "-") {
		c.Authority, c.Expired = c.Authority || args[0] == "-ca", c.Expired || args[0] == "-expired"
		args = args[1:]
	}
	c.Name, c.CommonName = args[0], args[1]
	if len(args) > 2 {
		c.By = args[2]
	}
	fingerprint, err := harness.ClientCertificate(ts.Getenv("WORK"), c)
	ts.Check(err)
	users := strings.ReplaceAll(ts.ReadFile("users.yaml"), "$PRINT_"+c.Name, fingerprint)
	ts.Check(os.WriteFile(ts.MkAbs("users.yaml"), []byte(users), 0o600))
}

// remember DIR notes all that is in a folder, for unchanged.
func remember(ts *testscript.TestScript, _ bool, args []string) {
	all, err := harness.Snapshot(ts.MkAbs(args[0]))
	ts.Check(err)
	current(ts).before = map[string]map[string]string{args[0]: all}
}

// unchanged DIR wants all in a folder to be as it was at remember: names, contents and times.
func unchanged(ts *testscript.TestScript, _ bool, args []string) {
	all, err := harness.Snapshot(ts.MkAbs(args[0]))
	ts.Check(err)
	before, ok := current(ts).before[args[0]]
	if changes := harness.Changes(before, all); !ok || len(changes) > 0 {
		ts.Fatalf("%s has changed: %s", args[0], strings.Join(changes, "\n"))
	}
}

// hello goes up to where someone can log in.
func (r *raw) hello(certificate string) error {
	if err := r.show(certificate, certificate); err != nil {
		return err
	}
	return r.cur.Greet(ftp.Explicit)
}

// show connects, and will show a certificate in the handshake, or none.
func (r *raw) show(certificate, key string) error {
	if err := r.connect("127.0.0.1:" + r.ts.Getenv("FTP_PORT")); err != nil || certificate == "" {
		return err
	}
	pair, err := r.pair(certificate)
	if err != nil {
		return err
	}
	other, err := r.pair(key)
	pair.PrivateKey = other.PrivateKey
	r.cur.TLS.Certificates = []tls.Certificate{pair}
	return err
}

func (r *raw) pair(name string) (tls.Certificate, error) {
	return tls.LoadX509KeyPair(r.ts.MkAbs(name+".pem"), r.ts.MkAbs(name+".key"))
}

// stolen shows a certificate without having its key. Under TLS 1.3 the client's handshake has ended
// before the server looks, so what counts is that it answers nothing.
func (r *raw) stolen(arg string) error {
	certificate, key, _ := strings.Cut(arg, " ")
	if err := r.show(certificate, key); err != nil {
		return err
	}
	err := r.cur.Greet(ftp.Explicit)
	if err == nil {
		_, err = r.cur.Cmd("NOOP")
	}
	if err == nil {
		return errors.New("the server took it")
	}
	r.ts.Logf("\t%v", err)
	return nil
}

func (r *raw) resumed(string) error {
	if !r.cur.data.Resumed() {
		return errors.New("it is a session of its own")
	}
	return nil
}

const codePeriod = 30 // seconds

// codeOf is the one-time code of a step (RFC 6238; RFC 4226 section 5.3).
func codeOf(secret []byte, step int64) string {
	mac := hmac.New(sha1.New, secret)
	_ = binary.Write(mac, binary.BigEndian, step) // a hash takes everything
	sum := mac.Sum(nil)
	n := binary.BigEndian.Uint32(sum[sum[len(sum)-1]&15:]) & (1<<31 - 1)
	return fmt.Sprintf("%06d", n%1_000_000)
}

// oneTimeCodes sets $CODE and $NEXT to the codes of this step and the next one. The server takes those of
// the step before and after its own, so both are good for half a minute at least, wherever in a step
// we are.
func (r *raw) oneTimeCodes(text string) error {
	secret, err := base32.StdEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	step := time.Now().Unix() / codePeriod
	var near []string
	for s := step - 2; s <= step+4; s++ {
		near = append(near, codeOf(secret, s))
	}
	wrong := "000000"
	for i := 0; slices.Contains(near, wrong); i++ {
		wrong = fmt.Sprintf("%06d", i)
	}
	code, next := near[2], near[3]
	r.codes = strings.NewReplacer("$CODE", code, "$NEXT", next, "$WRONG", wrong)
	s := current(r.ts)
	// Not what is only a part of a number or of a word, like the fraction of a second.
	s.secrets = append(s.secrets, text, `(?:^|[^.0-9A-Za-z])(?:`+code+"|"+next+`)\b`)
	return nil
}

// denied logs in with passwords that are wrong, all at once because each answer takes a second.
func (r *raw) denied(arg string) error {
	words := strings.Fields(arg)
	replies, err := r.logins(words[0], words[1:])
	for i, got := range replies {
		r.ts.Logf("\t%v", got)
		if got.Code != 530 || got.Text != "Wrong name or password" {
			err = errors.Join(err, fmt.Errorf("the reply to password %d is %q", i, got))
		}
	}
	return err
}

// once has many sessions give the same password at the same moment.
func (r *raw) once(arg string) error {
	var count int
	var user, pass string
	if _, err := fmt.Sscan(arg, &count, &user, &pass); err != nil {
		return err
	}
	replies, err := r.logins(user, slices.Repeat([]string{pass}, count))
	in := 0
	for _, got := range replies {
		switch got.Code {
		case 230:
			in++
		case 421, 530: // that many wrong ones are a ban
		default:
			err = errors.Join(err, fmt.Errorf("a reply is %q", got))
		}
	}
	if in != 1 {
		err = errors.Join(err, fmt.Errorf("%d of %d got in", in, count))
	}
	return err
}

// burst guesses in many sessions at the same moment. Those that wait for their turn while the name is
// banned are not to be tried.
func (r *raw) burst(arg string) error {
	var count int
	var user string
	if _, err := fmt.Sscan(arg, &count, &user); err != nil {
		return err
	}
	replies, err := r.logins(user, slices.Repeat([]string{"guess"}, count))
	tried := 0
	for _, got := range replies {
		if got.Code == 530 {
			tried++
		}
	}
	r.ts.Logf("\t%d of %d guesses were tried", tried, count)
	if tried > count/4 {
		err = errors.Join(err, fmt.Errorf("%d of %d guesses were tried", tried, count))
	}
	return err
}

// logins gives each password in a session of its own, at the same moment.
func (r *raw) logins(user string, passwords []string) ([]ftp.Reply, error) {
	replies, errs := make([]ftp.Reply, len(passwords)), make([]error, len(passwords))
	var ready, done sync.WaitGroup
	ready.Add(len(passwords))
	for i, pass := range passwords {
		done.Go(func() {
			c, err := greeted("127.0.0.1:" + r.ts.Getenv("FTP_PORT"))
			if err == nil {
				err = c.Expect(331, "USER "+user)
				defer c.Close()
			}
			ready.Done()
			ready.Wait()
			if err == nil {
				replies[i], err = c.Cmd("PASS " + pass)
			}
			errs[i] = err
		})
	}
	done.Wait()
	return replies, errors.Join(errs...)
}

// greeted is a session under TLS in which nobody has logged in.
func greeted(addr string) (*ftp.Client, error) {
	c, err := ftp.Dial(context.Background(), addr)
	if err != nil {
		return nil, err
	}
	return c, c.Greet(ftp.Explicit)
}
