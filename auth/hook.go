package auth

import (
	"container/list"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/singleflight"
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
	if err := u.mayBeHere(h.now(), remote); err != nil {
		return nil, err
	}
	return u, nil
}
