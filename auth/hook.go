package auth

import (
	"bytes"
	"container/list"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/singleflight"

	"github.com/sluice-ftp/sluice/yamlfile"
)

const (
	hookTimeout = 5 * time.Second
	hookCache   = time.Minute
	// hookConnections are open at once. hookCalls are made at once or wait for a connection; more fail.
	hookConnections = 8
	hookCalls       = 256
	// maxAnswer and maxHeader are in bytes. maxValues is about how many values an answer has: what a
	// parser needs for them grows faster than they do.
	maxAnswer = 1 << 20
	maxHeader = 64 << 10
	maxValues = 10_000
	// maxRemembered answers are remembered, of maxRememberedSize bytes together.
	maxRemembered     = 10_000
	maxRememberedSize = 64 << 20
	// maxFaults are named in an error, each with maxFault characters.
	maxFaults = 10
	maxFault  = 400
)

var (
	errHookURL     = errors.New("the URL cannot be read; write it like https://users.example.com/login")
	errHookHTTPS   = errors.New("the URL is not https; anyone on the way could read passwords")
	errHookUser    = errors.New("the URL has a user or a password in it; give a token instead")
	errHookHost    = errors.New("the URL has no host")
	errHookTimeout = errors.New("the timeout is below 0")
	errHookToken   = errors.New("the token has spaces, line ends or other characters that no header can have")
	errHookCalls   = errors.New("too many calls wait for it")
	errLongAnswer  = fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
	errManyValues  = fmt.Errorf("the answer has more than %d values", maxValues)
	errNotJSON     = errors.New("the answer is not JSON")
	errQuotes      = errors.New("failed; the cause is left out, as it quotes a secret")
)

// HookConfig is where and how a Hook asks.
type HookConfig struct {
	// URL is https, or http with AllowHTTP, and has neither user nor password.
	URL string
	// Timeout bounds a whole call, waiting for a connection included; 0 is 5 s.
	Timeout time.Duration
	// Cache is how long a good answer is remembered; 0 is one minute, below 0 not at all. One to a login
	// with a one-time code, or with a password that ends in six digits and may have one, never is.
	Cache time.Duration
	// Token, unless it is "", is sent as Authorization: Bearer.
	Token string
	// CAFile has the authorities in PEM that the endpoint's certificate has to be of; "" is the system's.
	CAFile    string
	AllowHTTP bool
	Rules     Rules
}

// Hook is an HTTP endpoint as a source of users. It may be used by any number of goroutines.
//
// The endpoint gets a POST with name, password, code, remote and certificates, and answers 200 with
// {"user": {...}} as in a users file, or 401 or 403. A 401 with {"code_needed": true} asks for a code.
type Hook struct {
	url, host string
	token     string
	timeout   time.Duration
	rules     Rules
	transport *http.Transport
	key       []byte
	answers   answers
	flights   singleflight.Group
	calls     chan struct{} // one in it for each call
	// ctx is that of the calls that logins share: none of these may end it for the others.
	ctx  context.Context
	stop context.CancelFunc
	now  func() time.Time // a field so that tests can set the time
}

// OpenHook returns a source that asks as c says. It does not call yet. An error says what is wrong
// with c, without its secrets.
func OpenHook(c HookConfig) (*Hook, error) {
	u, err := hookURL(c)
	if err != nil {
		return nil, fmt.Errorf("auth: hook: %w", err)
	}
	if c.Timeout == 0 {
		c.Timeout = hookTimeout
	}
	if c.Cache == 0 {
		c.Cache = hookCache
	}
	transport := &http.Transport{ // without a proxy: the environment's was not meant for passwords
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		// What a call gave up on goes on without it, and must not hold its connection for ever.
		DialContext:            (&net.Dialer{Timeout: c.Timeout}).DialContext,
		TLSHandshakeTimeout:    c.Timeout,
		MaxConnsPerHost:        hookConnections,
		MaxIdleConnsPerHost:    hookConnections,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true,
	}
	if c.CAFile != "" {
		if transport.TLSClientConfig.RootCAs, err = readPool(c.CAFile); err != nil {
			return nil, fmt.Errorf("auth: hook: authorities %q: %w", c.CAFile, err)
		}
	}
	h := &Hook{
		url: u.String(), host: u.Host, token: c.Token, timeout: c.Timeout, rules: c.Rules,
		transport: transport,
		key:       random(32),
		answers:   answers{life: c.Cache, byKey: map[answerKey]*list.Element{}},
		calls:     make(chan struct{}, hookCalls),
		now:       time.Now,
	}
	h.ctx, h.stop = context.WithCancel(context.Background())
	return h, nil
}

// hookURL does not quote the URL in its errors: it may have a password in it.
func hookURL(c HookConfig) (*url.URL, error) {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil:
		return nil, errHookURL
	case u.Scheme != "https" && (u.Scheme != "http" || !c.AllowHTTP):
		return nil, errHookHTTPS
	case u.User != nil:
		return nil, errHookUser
	case u.Hostname() == "":
		return nil, errHookHost
	case c.Timeout < 0:
		return nil, errHookTimeout
	case strings.ContainsFunc(c.Token, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return nil, errHookToken
	}
	return u, nil
}

func readPool(file string) (*x509.CertPool, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, errNoCA
	}
	return pool, nil
}

// Close ends the calls that are still made though nobody waits for them, and closes the connections.
// It is called once, when nobody calls Authenticate any more.
func (h *Hook) Close() {
	h.stop()
	for range cap(h.calls) {
		h.calls <- struct{}{}
	}
	h.transport.CloseIdleConnections()
}

// Authenticate implements Authenticator. A certificate alone is never enough, so it is not asked about.
func (h *Hook) Authenticate(ctx context.Context, l Login) (*User, error) {
	// What JSON cannot carry would reach the endpoint as something else.
	if l.CertificateOnly || l.Password == "" || nameFault(l.Name) != "" ||
		!utf8.ValidString(l.Password) || !utf8.ValidString(l.Code) {
		return nil, ErrDenied
	}
	u, err := h.find(ctx, l)
	if err != nil {
		return nil, err
	}
	return h.Refresh(u, l.Remote)
}

// Refresh implements Authenticator. The endpoint is not asked, as there is no password to ask with: the
// user stays as it was, in its times and places.
func (h *Hook) Refresh(u *User, remote netip.Addr) (*User, error) {
	if reason := u.when.allows(h.now()); reason != "" {
		return nil, denial{reason, true}
	}
	if reason := u.where.allows(remote); reason != "" {
		return nil, denial{reason, true}
	}
	return u, nil
}

// question is what the endpoint is asked.
type question struct {
	Name         string     `json:"name"`
	Password     string     `json:"password"`
	Code         string     `json:"code"`
	Remote       netip.Addr `json:"remote"`
	Certificates []string   `json:"certificates"`
}

// find returns the user from memory, from a call that is being made already, or from one of its own.
func (h *Hook) find(ctx context.Context, l Login) (*User, error) {
	q := question{l.Name, l.Password, l.Code, l.Remote.Unmap(), []string{}}
	for _, c := range l.Certificates {
		sum := sha256.Sum256(c.Raw)
		q.Certificates = append(q.Certificates, hex.EncodeToString(sum[:]))
	}
	text, err := json.Marshal(q)
	if err != nil {
		return nil, h.failure(l, err)
	}
	// A one-time code is good for one login. A password may end in one; whether it does, only the
	// endpoint knows.
	if _, _, ok := splitCode(l.Password); ok || l.Code != "" {
		u, _, err := h.ask(ctx, l, text)
		return u, err
	}
	key := h.sum(text)
	done := h.flights.DoChan(string(key[:]), func() (any, error) {
		if u := h.answers.get(key, h.now()); u != nil {
			return u, nil
		}
		u, size, err := h.ask(h.ctx, l, text)
		if err == nil {
			h.answers.add(key, u, size, h.now())
		}
		return u, err
	})
	select {
	case r := <-done:
		u, _ := r.Val.(*User)
		return u, r.Err
	case <-ctx.Done():
		return nil, h.failure(l, ctx.Err())
	}
}

// sum is of all that was asked: the endpoint may answer otherwise about another address or certificate.
func (h *Hook) sum(text []byte) answerKey {
	mac := hmac.New(sha256.New, h.key)
	mac.Write(text)
	return answerKey(mac.Sum(nil))
}

// ask calls the endpoint. It also returns the size of the answer in bytes.
func (h *Hook) ask(ctx context.Context, l Login, text []byte) (*User, int, error) {
	select {
	case h.calls <- struct{}{}:
		defer func() { <-h.calls }()
	default:
		return nil, 0, h.failure(l, errHookCalls)
	}
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	status, body, err := h.post(ctx, text)
	switch {
	// Who is asked for a code after giving one could go on guessing: that is no failed login.
	case status == http.StatusUnauthorized && l.Code == "" && needsCode(body):
		return nil, 0, ErrCodeNeeded
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return nil, 0, ErrDenied
	case status != http.StatusOK && status != 0:
		return nil, 0, h.failure(l, fmt.Errorf("the answer is %d %s", status, http.StatusText(status)))
	case err != nil:
		return nil, 0, h.failure(l, h.clean(l, err))
	}
	u, err := h.parse(l.Name, body)
	if err != nil {
		return nil, 0, h.failure(l, h.clean(l, err))
	}
	return u, len(body), nil
}

// post returns the status of the answer, 0 if there was none. It goes to no other address: a transport
// does not follow redirects.
func (h *Hook) post(ctx context.Context, text []byte) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(text))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	if h.token != "" {
		req.Header.Set("Authorization", "Bearer "+h.token)
	}
	resp, err := h.transport.RoundTrip(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if len(body) > maxAnswer {
		return resp.StatusCode, nil, errLongAnswer
	}
	return resp.StatusCode, body, err
}

func needsCode(body []byte) bool {
	var refusal struct {
		CodeNeeded bool `json:"code_needed"`
	}
	return json.Unmarshal(body, &refusal) == nil && refusal.CodeNeeded
}

func (h *Hook) failure(l Login, err error) error {
	return fmt.Errorf("auth: ask %s about %q: %w", h.host, l.Name, err)
}

// clean returns a cause that may quote the answer without the secrets that were sent and came back.
func (h *Hook) clean(l Login, err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return err
	}
	if quotes(err.Error(), l.Password, l.Code, h.token) {
		return errQuotes
	}
	return shorten(err)
}

// quotes reports whether a secret stands in text, as it is or in quotes, whatever its case.
func quotes(text string, secrets ...string) bool {
	text = strings.ToLower(text)
	for _, s := range secrets {
		s = strings.ToLower(s)
		quoted := fmt.Sprintf("%q", s)
		if s != "" && (strings.Contains(text, s) || strings.Contains(text, quoted[1:len(quoted)-1])) {
			return true
		}
	}
	return false
}

// shorten makes one line of an answer's problems, and leaves out the places: nobody has the answer to
// look them up in.
func shorten(err error) error {
	var ps yamlfile.Problems
	if !errors.As(err, &ps) {
		return err
	}
	var texts []string
	for i, p := range ps {
		if i == maxFaults {
			texts = append(texts, fmt.Sprintf("and %d more", len(ps)-i))
			break
		}
		texts = append(texts, fmt.Sprintf("%.*s", maxFault, strings.TrimPrefix(p.Key+": "+p.Text, ": ")))
	}
	return errors.New(strings.Join(texts, "; "))
}

// hookProof is what no user of a file has, whose proofs are of several parts.
const hookProof = "hook"

// notTheHooks are keys of a user in a file that an answer cannot have: it is the proof itself.
var notTheHooks = [...]string{"group", "enabled", "login", "password_hash", "totp_secret", "certificates"}

// parse turns an answer about name into the user. All that is wrong with it is yamlfile.Problems.
func (h *Hook) parse(name string, body []byte) (*User, error) {
	if !json.Valid(body) { // this also bounds how deep it is
		return nil, errNotJSON
	}
	if bytes.Count(body, []byte(",")) >= maxValues {
		return nil, errManyValues
	}
	doc, err := yamlfile.Parse(h.host, body)
	if err != nil {
		return nil, err
	}
	var whole struct {
		User yamlfile.Raw `yaml:"user"`
	}
	doc.Decode(&whole)
	if whole.User.Key == "" {
		doc.Problem("user", "missing")
		return nil, doc.Err()
	}
	var e entry
	whole.User.Decode(&e)
	c := checker{doc, whole.User.Key, h.rules}
	for _, key := range notTheHooks {
		if doc.Has(c.key + "." + key) {
			c.problem(key, "belongs in a users file and not in an answer; leave it out")
		}
	}
	if e.Name != "" && e.Name != name {
		c.problem("name", "is not the name that was asked about")
	}
	for _, m := range e.Mounts {
		if strings.Contains(m.Path+m.Prefix, userMark) && strings.Contains(name, "/") {
			c.problem("mounts", "%s cannot stand for a name with a slash", userMark)
		}
	}
	c.bounds(e)
	// The checker wants to see a proof. Here it is the answer, and a stand-in that is thrown away.
	e.Name, e.PasswordHash, e.TOTPSecret = name, "", ""
	e.Login, e.Certificates = byCertificate, []string{strings.Repeat("0", 2*sha256.Size)}
	u := c.account(e).user
	u.proof = hookProof
	u.Mounts = c.mounts(e.Mounts, name)
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return u, nil
}

// answers are the good ones of late. Where there are too many, the oldest go.
type answers struct {
	life time.Duration

	mu    sync.Mutex
	byKey map[answerKey]*list.Element
	queue list.List // of answer, the oldest first
	size  int
}

// answerKey is a keyed hash: what is remembered is of no use for guessing passwords.
type answerKey [sha256.Size]byte

type answer struct {
	key   answerKey
	user  *User
	size  int // in bytes, as it came
	until time.Time
}

// get returns nil if there is no answer any more.
func (a *answers) get(key answerKey, now time.Time) *User {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.byKey[key]
	if e == nil {
		return nil
	}
	if found := e.Value.(answer); now.Before(found.until) {
		return found.user
	}
	a.remove(e)
	return nil
}

func (a *answers) add(key answerKey, u *User, size int, now time.Time) {
	if a.life < 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if e := a.byKey[key]; e != nil {
		a.remove(e)
	}
	a.byKey[key] = a.queue.PushBack(answer{key, u, size, now.Add(a.life)})
	a.size += size
	for len(a.byKey) > maxRemembered || a.size > maxRememberedSize {
		a.remove(a.queue.Front())
	}
}

func (a *answers) remove(e *list.Element) {
	gone := a.queue.Remove(e).(answer)
	delete(a.byKey, gone.key)
	a.size -= gone.size
}
