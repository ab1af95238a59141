package auth

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const (
	hookMounts   = `"mounts":[{"path":"\/","backend":"disk","prefix":"{user}\/","permissions":["list","read"]}]`
	hookAnswer   = `{"user":{` + hookMounts + `}}`
	hookPassword = "hunter2-Hunter"
	hookToken    = "tok-Ken-9"
)

var ben = Login{Name: "ben", Password: hookPassword, Remote: netip.MustParseAddr("192.0.2.7")}

// serveHook returns how to ask an endpoint that answers as handle does, and how often it was called.
func serveHook(t *testing.T, handle http.HandlerFunc) (HookConfig, *atomic.Int64) {
	t.Helper()
	var calls atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		handle(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	// Tests that are about time have one of their own.
	return HookConfig{URL: s.URL + "/login?key=in-the-url", CAFile: ca, Token: hookToken, Timeout: time.Hour}, &calls
}

func openHook(t *testing.T, c HookConfig) *Hook {
	t.Helper()
	h, err := OpenHook(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// failed holds an error to what all that are no denials have to keep.
func failed(t *testing.T, h *Hook, u *User, err error) {
	t.Helper()
	if err == nil || u != nil || errors.Is(err, ErrDenied) || errors.Is(err, ErrCodeNeeded) {
		t.Fatalf("%v, %v; want an error that is no denial", u, err)
	}
	text := strings.ToLower(err.Error())
	if !strings.Contains(text, h.host) || strings.Contains(text, "in-the-url") ||
		strings.Contains(text, strings.ToLower(hookPassword)) || strings.Contains(text, strings.ToLower(hookToken)) {
		t.Errorf("%v: has a secret, or no host", err)
	}
}

func TestOpenHook(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		config HookConfig
		want   error
	}{
		"http":             {HookConfig{URL: "http://h/"}, errHookHTTPS},
		"ftp":              {HookConfig{URL: "ftp://h/", AllowHTTP: true}, errHookHTTPS},
		"nothing":          {HookConfig{}, errHookHTTPS},
		"user":             {HookConfig{URL: "https://u:hunter2@h/"}, errHookUser},
		"no host":          {HookConfig{URL: "https:///login"}, errHookHost},
		"port alone":       {HookConfig{URL: "https://:443/login"}, errHookHost},
		"no URL":           {HookConfig{URL: "https://u:hun ter2@h/"}, errHookURL},
		"timeout":          {HookConfig{URL: "https://h", Timeout: -1}, errHookTimeout},
		"token":            {HookConfig{URL: "https://h", Token: "hunter2\n"}, errHookToken},
		"no CA file":       {HookConfig{URL: "https://h", CAFile: empty + "x"}, os.ErrNotExist},
		"empty CA file":    {HookConfig{URL: "https://h", CAFile: empty}, errNoCA},
		"http and allowed": {HookConfig{URL: "http://h/", AllowHTTP: true}, nil},
		"https":            {HookConfig{URL: "https://h:8443/login"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := OpenHook(c.config)
			if !errors.Is(err, c.want) || (h == nil) != (err != nil) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "ter2") {
				t.Error("a secret:", err)
			}
			if h != nil {
				h.Close()
			}
		})
	}
}

func TestHookAsks(t *testing.T) {
	var got map[string]any
	c, calls := serveHook(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" ||
			r.Header.Get("Authorization") != "Bearer "+hookToken || r.TLS.Version < tls.VersionTLS12 {
			t.Errorf("%s %v", r.Method, r.Header)
		}
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		says(200, `{"user":{"name":"ben","max_sessions":3,"tls":{"min_version":"1.3"},"denied_commands":["dele"],`+hookMounts+`}}`)(w, r)
	})
	h := openHook(t, c)
	if h.transport.Proxy != nil {
		t.Error("has a proxy")
	}
	cert := &x509.Certificate{Raw: []byte("der")}
	sum := sha256.Sum256(cert.Raw)
	u, err := h.Authenticate(t.Context(), Login{
		Name: "ben", Password: "a<b\"ü", Code: "123456",
		Remote: netip.MustParseAddr("::ffff:192.0.2.7"), Certificates: []*x509.Certificate{cert},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{
		"name": "ben", "password": "a<b\"ü", "code": "123456", "remote": "192.0.2.7",
		"certificates": []any{hex.EncodeToString(sum[:])},
	}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(&User{
		Name: "ben", Mounts: []Mount{{Path: "/", Backend: "disk", Prefix: "ben", Permissions: List | Read}},
		Limits: Limits{Sessions: 3}, Denied: []string{"DELE"}, TLS: TLS{MinVersion: tls.VersionTLS13},
	}, u, cmpopts.IgnoreUnexported(User{}), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if _, err := h.Authenticate(t.Context(), Login{Name: "ben", Password: "x"}); err != nil || calls.Load() != 2 {
		t.Error(err)
	}
	if diff := cmp.Diff([]any{}, got["certificates"]); diff != "" || got["remote"] != "" {
		t.Error(diff, got)
	}
}

func TestHookStatus(t *testing.T) {
	withCode := ben
	withCode.Code = "123456"
	for name, c := range map[string]struct {
		status int
		body   string
		login  Login
		want   error // nil is one that is no denial
	}{
		"401":                       {401, "", ben, ErrDenied},
		"401 without a code":        {401, `{"code_needed":false}`, ben, ErrDenied},
		"401, not JSON":             {401, `code_needed`, ben, ErrDenied},
		"401, huge":                 {401, `{"code_needed":true}` + strings.Repeat(" ", maxAnswer), ben, ErrDenied},
		"a code is needed":          {401, `{"code_needed":true}`, ben, ErrCodeNeeded},
		"a code is needed and sent": {401, `{"code_needed":true}`, withCode, ErrDenied},
		"403":                       {403, `{"code_needed":true}`, ben, ErrDenied},
		"201":                       {201, hookAnswer, ben, nil},
		"204":                       {204, "", ben, nil},
		"400":                       {400, hookPassword, ben, nil},
		"404":                       {404, hookAnswer, ben, nil},
		"407":                       {407, hookAnswer, ben, nil},
		"429":                       {429, hookAnswer, ben, nil},
		"500":                       {500, hookPassword, ben, nil},
		"503":                       {503, "", ben, nil},
		"599":                       {599, "", ben, nil},
	} {
		t.Run(name, func(t *testing.T) {
			config, calls := serveHook(t, says(c.status, c.body))
			h := openHook(t, config)
			for range 2 { // nothing of this is remembered
				u, err := h.Authenticate(t.Context(), c.login)
				if c.want != nil {
					if !errors.Is(err, c.want) || u != nil {
						t.Fatalf("%v, want %v", err, c.want)
					}
					continue
				}
				failed(t, h, u, err)
				if !strings.Contains(err.Error(), fmt.Sprint(c.status)) {
					t.Error("does not say the status:", err)
				}
			}
			if calls.Load() != 2 || len(h.answers.byKey) != 0 {
				t.Error(calls.Load(), "calls, want 2;", len(h.answers.byKey), "remembered, want none")
			}
		})
	}
}

func TestHookRedirect(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		c, calls := serveHook(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/login" {
				says(200, hookAnswer)(w, r)
				return
			}
			http.Redirect(w, r, "/other", status)
		})
		h := openHook(t, c)
		u, err := h.Authenticate(t.Context(), ben)
		failed(t, h, u, err)
		if calls.Load() != 1 {
			t.Error(status, "was followed")
		}
	}
}

func TestHookAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		body, want string // "" is a good one
	}{
		"good":              {hookAnswer, ""},
		"tabs":              {"{\n\t\"user\":\t{\n\t\t" + hookMounts + "\n\t}\n}\n", ""},
		"same name":         {`{"user":{"name":"ben",` + hookMounts + `}}`, ""},
		"1 MiB":             {hookAnswer + strings.Repeat(" ", maxAnswer-len(hookAnswer)), ""},
		"more than that":    {hookAnswer + strings.Repeat(" ", maxAnswer-len(hookAnswer)+1), "larger than"},
		"other name":        {`{"user":{"name":"Ben",` + hookMounts + `}}`, "user.name: is not the name"},
		"empty":             {"", "not JSON"},
		"YAML":              {"user: {name: ben}", "not JSON"},
		"two":               {hookAnswer + hookAnswer, "not JSON"},
		"cut":               {hookAnswer[:len(hookAnswer)-1], "not JSON"},
		"deep":              {strings.Repeat("[", 500_000) + strings.Repeat("]", 500_000), "not JSON"},
		"many values":       {`{"user":{"denied_commands":["a"` + strings.Repeat(`,"a"`, maxValues) + `],` + hookMounts + `}}`, "more than 10000 values"},
		"no user":           {`{}`, "user: missing"},
		"null":              {`{"user":null}`, "user: missing"},
		"list":              {`[]`, "must be keys with values"},
		"text":              {`{"user":"ben"}`, "user: must be keys with values"},
		"other key":         {`{"usr":1,"user":{` + hookMounts + `}}`, "usr: unknown key"},
		"unknown key":       {`{"user":{"quotas":1,` + hookMounts + `}}`, "user.quotas: unknown key"},
		"key twice":         {`{"user":{"max_sessions":1,"max_sessions":2,` + hookMounts + `}}`, "given a second time"},
		"no mounts":         {`{"user":{}}`, "user.mounts: missing"},
		"two mistakes":      {`{"user":{"max_sessions":-1,"time_zone":"Mars"}}`, `user.max_sessions: -1 is below 0; 0 is no bound; user.time_zone: "Mars" is not`},
		"rules":             {`{"user":{"mounts":[{"path":"/","backend":"nope","permissions":["read"]}]}}`, "user.mounts[0].backend: there is no"},
		"group":             {`{"user":{"group":"g",` + hookMounts + `}}`, "user.group: belongs in"},
		"enabled":           {`{"user":{"enabled":false,` + hookMounts + `}}`, "user.enabled: belongs in"},
		"login":             {`{"user":{"login":"password",` + hookMounts + `}}`, "user.login: belongs in"},
		"password_hash":     {`{"user":{"password_hash":"x",` + hookMounts + `}}`, "user.password_hash: belongs in"},
		"totp_secret":       {`{"user":{"totp_secret":"x",` + hookMounts + `}}`, "user.totp_secret: belongs in"},
		"certificates":      {`{"user":{"certificates":[],` + hookMounts + `}}`, "user.certificates: belongs in"},
		"password in value": {`{"user":{"time_zone":"` + hookPassword + `",` + hookMounts + `}}`, "left out"},
		"password in key":   {`{"user":{"` + hookPassword + `":1,` + hookMounts + `}}`, "no key"},
		"password in case":  {`{"user":{"denied_commands":["` + hookPassword + `"],` + hookMounts + `}}`, "left out"},
		"token":             {`{"user":{"time_zone":"x` + hookToken + `",` + hookMounts + `}}`, "left out"},
		"many mistakes":     {`{"user":{"a":1` + strings.Repeat(`,"b":1`, 5000) + `}}`, "and 4992 more"},
		"long mistake":      {`{"user":{"time_zone":"` + strings.Repeat("x", 100_000) + `",` + hookMounts + `}}`, "xxx"},
	} {
		t.Run(name, func(t *testing.T) {
			config, calls := serveHook(t, says(200, c.body))
			config.Rules = Rules{
				Backend: func(name string) error {
					if name != "disk" {
						return errors.New("there is no such backend")
					}
					return nil
				},
				Command: func(verb string) error { return fmt.Errorf("%q is no command", verb) },
			}
			h := openHook(t, config)
			u, err := h.Authenticate(t.Context(), ben)
			if c.want == "" {
				if err != nil || u.Name != "ben" {
					t.Fatal(u, err)
				}
				return
			}
			failed(t, h, u, err)
			if !strings.Contains(err.Error(), c.want) || len(err.Error()) > 8<<10 {
				t.Errorf("%.1000s\nwant %s", err, c.want)
			}
			if _, err := h.Authenticate(t.Context(), ben); err == nil || calls.Load() != 2 {
				t.Error("remembered:", err, calls.Load())
			}
		})
	}
}

// Nobody named a/b may come into the files of a.
func TestHookSlash(t *testing.T) {
	c, _ := serveHook(t, says(200, hookAnswer))
	h := openHook(t, c)
	u, err := h.Authenticate(t.Context(), Login{Name: "a/b", Password: hookPassword})
	failed(t, h, u, err)
	if !strings.Contains(err.Error(), "with a slash") {
		t.Error(err)
	}
}

// What is no HTTP may have in it what was sent, and the library's error what is no HTTP.
func TestHookNoHTTP(t *testing.T) {
	for _, line := range []string{
		"HTTP/1.1 " + hookPassword + "\r\n\r\n", hookToken + "\r\n\r\n", "HTTP/1.1 200 OK\r\n" + hookPassword + "\r\n\r\n", "",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2*maxHeader) + "\r\n\r\n" + hookAnswer,
	} {
		c, _ := serveHook(t, func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, line)
			_ = conn.Close()
		})
		h := openHook(t, c)
		u, err := h.Authenticate(t.Context(), ben)
		failed(t, h, u, err)
	}
}

func TestHookTLS(t *testing.T) {
	c, calls := serveHook(t, says(200, hookAnswer))
	c.CAFile = ""
	h := openHook(t, c)
	u, err := h.Authenticate(t.Context(), ben)
	failed(t, h, u, err)

	s := httptest.NewUnstartedServer(says(200, hookAnswer))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	s.StartTLS()
	defer s.Close()
	c, _ = serveHook(t, nil) // the same certificate
	c.URL = s.URL
	h = openHook(t, c)
	u, err = h.Authenticate(t.Context(), ben)
	failed(t, h, u, err)
	if !strings.Contains(err.Error(), "protocol version") || calls.Load() != 0 {
		t.Error(err, calls.Load())
	}
}

func TestHookNotAsked(t *testing.T) {
	c, calls := serveHook(t, says(200, hookAnswer))
	h := openHook(t, c)
	for name, l := range map[string]Login{
		"certificate":   {Name: "ben", Password: "x", CertificateOnly: true, Certificates: []*x509.Certificate{{}}},
		"no name":       {Password: "x"},
		"no password":   {Name: "ben"},
		"long name":     {Name: strings.Repeat("a", maxName+1), Password: "x"},
		"name, Latin-1": {Name: "b\xe9n", Password: "x"},
		"Latin-1":       {Name: "ben", Password: "\xe9"},
		"code, Latin-1": {Name: "ben", Password: "x", Code: "\xe9"},
	} {
		if u, err := h.Authenticate(t.Context(), l); !errors.Is(err, ErrDenied) || u != nil || calls.Load() != 0 {
			t.Errorf("%s: %v, %d calls", name, err, calls.Load())
		}
	}
}

func TestHookRemembers(t *testing.T) {
	c, calls := serveHook(t, says(200, hookAnswer))
	h := openHook(t, c)
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	h.now = func() time.Time { return now }
	login := func(what string, want int64, change func(*Login)) {
		t.Helper()
		l := ben
		change(&l)
		if _, err := h.Authenticate(t.Context(), l); err != nil {
			t.Fatal(what, err)
		}
		if n := calls.Swap(0); n != want {
			t.Errorf("%s: %d calls, want %d", what, n, want)
		}
	}
	same := func(*Login) {}
	login("first", 1, same)
	login("again", 0, same)
	login("another password", 1, func(l *Login) { l.Password = "x" })
	login("another name", 1, func(l *Login) { l.Name = "ann" })
	login("moved a byte", 1, func(l *Login) { l.Name, l.Password = "benh", hookPassword[1:] })
	login("another address", 1, func(l *Login) { l.Remote = netip.MustParseAddr("192.0.2.8") })
	login("with a certificate", 1, func(l *Login) { l.Certificates = []*x509.Certificate{{Raw: []byte("x")}} })
	for range 2 {
		login("a code", 1, func(l *Login) { l.Code = "123456" })
		login("a code behind the password", 1, func(l *Login) { l.Password += "123456" })
	}
	now = now.Add(time.Minute - 1)
	login("just in time", 0, same)
	now = now.Add(1)
	login("too late", 1, same)
	login("again after that", 0, same)

	c.Cache = time.Second
	h = openHook(t, c)
	h.now = func() time.Time { return now }
	login("first of a second", 1, same)
	now = now.Add(time.Second)
	login("after a second", 1, same)

	c.Cache = -1
	h = openHook(t, c)
	login("without", 1, same)
	login("without, again", 1, same)
	if len(h.answers.byKey) != 0 {
		t.Error("something is kept for nothing")
	}
}

func TestHookRemembersSome(t *testing.T) {
	h := openHook(t, HookConfig{URL: "https://h"})
	a, u, now := &h.answers, &User{}, time.Now()
	key := func(i int) answerKey { return h.sum(fmt.Append(nil, i)) }
	for i := range maxRemembered + 1 {
		a.add(key(i), u, 1, now)
	}
	a.add(key(1), u, 1, now) // the same one again, now the latest
	if a.get(key(0), now) != nil || a.get(key(1), now) == nil || a.get(key(2), now) == nil ||
		len(a.byKey) != maxRemembered || a.queue.Len() != maxRemembered || a.size != maxRemembered {
		t.Fatal(len(a.byKey), a.queue.Len(), a.size)
	}
	a.add(key(-1), u, maxRememberedSize-1, now)
	if a.get(key(1), now) == nil || a.get(key(-1), now) == nil || len(a.byKey) != 2 || a.size != maxRememberedSize {
		t.Fatal(len(a.byKey), a.size)
	}
	if a.get(key(1), now.Add(time.Hour)) != nil || len(a.byKey) != 1 || a.queue.Len() != 1 {
		t.Error("what is over is kept")
	}
}

func TestHookTimesAndPlaces(t *testing.T) {
	c, calls := serveHook(t, says(200, `{"user":{"valid_until":"2026-07-01T13:00:00Z","allow_from":["192.0.2.0/24"],`+hookMounts+`}}`))
	h := openHook(t, c)
	now := time.Date(2026, 7, 1, 12, 59, 59, 0, time.UTC)
	h.now = func() time.Time { return now }
	u, err := h.Authenticate(t.Context(), ben)
	if err != nil {
		t.Fatal(err)
	}
	if same, err := h.Refresh(u, ben.Remote); same != u || err != nil {
		t.Error(same, err)
	}
	elsewhere := ben
	elsewhere.Remote = netip.MustParseAddr("198.51.100.1")
	notNow := func(l Login) {
		t.Helper()
		for range 2 { // also when it is remembered
			if u, err := h.Authenticate(t.Context(), l); !errors.Is(err, ErrDenied) || !errors.Is(err, ErrNotNow) || u != nil {
				t.Errorf("%v, want not now", err)
			}
		}
		if u, err := h.Refresh(u, l.Remote); !errors.Is(err, ErrDenied) || !errors.Is(err, ErrNotNow) || u != nil {
			t.Errorf("refresh: %v, want not now", err)
		}
	}
	notNow(elsewhere)
	now = now.Add(time.Second)
	notNow(ben)
	if calls.Load() != 2 {
		t.Error(calls.Load(), "calls, want 2")
	}
}

func TestHookKeepsConnections(t *testing.T) {
	addresses := map[string]bool{}
	status := 200
	c, _ := serveHook(t, func(w http.ResponseWriter, r *http.Request) {
		addresses[r.RemoteAddr] = true
		says(status, hookAnswer+strings.Repeat(" ", 100_000))(w, r)
	})
	c.Cache = -1
	h := openHook(t, c)
	for _, status = range []int{200, 403, 401, 500, 200} {
		_, _ = h.Authenticate(t.Context(), ben)
	}
	if len(addresses) != 1 {
		t.Error(len(addresses), "connections, want 1")
	}
}

// bubble returns a hook of an endpoint in memory, for tests in which time is not that of the machine.
func bubble(t *testing.T, c HookConfig, handle http.HandlerFunc) *Hook {
	t.Helper()
	c.URL, c.AllowHTTP = "http://hook.test/login", true
	l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	s := &http.Server{Handler: handle}
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() {
		_ = s.Close()
		serving.Wait()
	})
	h := openHook(t, c)
	h.transport.DialContext = l.dial
	return h
}

// pipes is a listener, and a dialer of it, whose connections are in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	mine, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return mine, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }

func TestHookTimeout(t *testing.T) {
	withCode := ben
	withCode.Code = "123456"
	drop := func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := io.WriteString(w, " "); err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			select {
			case <-time.After(time.Second): // each byte is in time, and the whole is not
			case <-r.Context().Done():
				return
			}
		}
	}
	for name, handle := range map[string]http.HandlerFunc{
		"no answer": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		},
		"slow body": drop,
	} {
		for _, l := range []Login{ben, withCode} {
			for config, want := range map[time.Duration]time.Duration{0: hookTimeout, 1500 * time.Millisecond: 1500 * time.Millisecond} {
				t.Run(name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						h := bubble(t, HookConfig{Timeout: config}, handle)
						start := time.Now()
						u, err := h.Authenticate(t.Context(), l)
						failed(t, h, u, err)
						if took := time.Since(start); took != want || !errors.Is(err, context.DeadlineExceeded) {
							t.Errorf("%v after %v, want %v", err, took, want)
						}
					})
				})
			}
		}
	}
}

// Who connects and is never answered must not lose the connection's place for ever.
func TestHookStuckConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHook(t, HookConfig{URL: "https://hook.test"})
		dials := 0
		h.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
			dials++
			mine, theirs := net.Pipe()
			t.Cleanup(func() { _ = theirs.Close() })
			return mine, nil
		}
		for i := range hookConnections + 1 {
			u, err := h.Authenticate(t.Context(), ben)
			failed(t, h, u, err)
			synctest.Wait()
			if dials != i+1 {
				t.Fatalf("login %d: %d connections were tried", i+1, dials)
			}
		}
	})
}

// held is an endpoint that says how many wait in it, and answers when release is closed.
type held struct {
	calls   atomic.Int64
	release chan struct{}
}

func (e *held) handle(w http.ResponseWriter, r *http.Request) {
	e.calls.Add(1)
	_, _ = io.Copy(io.Discard, r.Body)
	select {
	case <-e.release:
		says(200, hookAnswer)(w, r)
	case <-r.Context().Done():
	}
}

func TestHookShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &held{release: make(chan struct{})}
		h := bubble(t, HookConfig{Cache: -1}, e.handle)
		var good, gone atomic.Int64
		var all sync.WaitGroup
		first, leave := context.WithCancel(t.Context())
		login := func(ctx context.Context, l Login) {
			all.Go(func() {
				u, err := h.Authenticate(ctx, l)
				switch {
				case err == nil && u.Name == l.Name:
					good.Add(1)
				case errors.Is(err, context.Canceled) && !errors.Is(err, ErrDenied):
					gone.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		login(first, ben)
		synctest.Wait()
		for range 9 {
			login(t.Context(), ben)
		}
		synctest.Wait()
		if e.calls.Load() != 1 {
			t.Errorf("%d calls, want 1", e.calls.Load())
		}
		leave() // the one whose call it is
		synctest.Wait()
		if gone.Load() != 1 || good.Load() != 0 {
			t.Errorf("%d gone, %d good; want 1 and 0", gone.Load(), good.Load())
		}
		for range 2 { // nobody's code is good for two
			l := ben
			l.Code = "123456"
			login(t.Context(), l)
		}
		other := ben
		other.Password = "x"
		login(t.Context(), other)
		synctest.Wait()
		if e.calls.Load() != 4 {
			t.Errorf("%d calls, want 4", e.calls.Load())
		}
		close(e.release)
		all.Wait()
		if good.Load() != 12 || e.calls.Load() != 4 {
			t.Errorf("%d good of %d calls, want 12 of 4", good.Load(), e.calls.Load())
		}
	})
}

func TestHookBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &held{release: make(chan struct{})}
		h := bubble(t, HookConfig{}, e.handle)
		var all sync.WaitGroup
		for i := range hookCalls {
			all.Go(func() {
				if _, err := h.Authenticate(t.Context(), Login{Name: "ben", Password: fmt.Sprint("x", i)}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if e.calls.Load() != hookConnections {
			t.Errorf("%d at once, want %d", e.calls.Load(), hookConnections)
		}
		u, err := h.Authenticate(t.Context(), ben)
		failed(t, h, u, err)
		if !errors.Is(err, errHookCalls) {
			t.Error(err)
		}
		close(e.release)
		all.Wait()
		if _, err := h.Authenticate(t.Context(), ben); err != nil {
			t.Error("a call is not given back:", err)
		}
	})
}

// A call that nobody waits for any more does not outlive the hook.
func TestHookClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &held{}
		h, err := OpenHook(HookConfig{URL: "http://hook.test", AllowHTTP: true})
		if err != nil {
			t.Fatal(err)
		}
		h.transport = bubble(t, HookConfig{}, e.handle).transport
		ctx, leave := context.WithCancel(t.Context())
		var login sync.WaitGroup
		login.Go(func() { _, _ = h.Authenticate(ctx, ben) })
		synctest.Wait()
		leave()
		login.Wait()
		if len(h.calls) != 1 {
			t.Fatal("the call has ended already")
		}
		start := time.Now()
		h.Close()
		if took := time.Since(start); took != 0 {
			t.Error("waited", took)
		}
	})
}

func TestHookCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		c := HookConfig{URL: "http://hook.test", AllowHTTP: true, Rules: Rules{
			Backend: func(string) error { <-release; return nil },
		}}
		h, err := OpenHook(c)
		if err != nil {
			t.Fatal(err)
		}
		h.transport = bubble(t, HookConfig{}, says(200, hookAnswer)).transport
		var open atomic.Int64
		dial := h.transport.DialContext
		h.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			open.Add(1)
			return &counted{Conn: conn, open: &open}, err
		}
		ctx, leave := context.WithCancel(t.Context())
		var login, closing sync.WaitGroup
		login.Go(func() { _, _ = h.Authenticate(ctx, ben) })
		synctest.Wait()
		leave()
		login.Wait()
		var closed atomic.Bool
		closing.Go(func() {
			h.Close()
			closed.Store(true)
		})
		synctest.Wait()
		if closed.Load() {
			t.Error("closed while a call went on")
		}
		close(release)
		closing.Wait()
		synctest.Wait()
		if open.Load() != 0 {
			t.Error("a connection is left open")
		}
	})
}

// counted is a connection that counts down when it is closed.
type counted struct {
	net.Conn
	open *atomic.Int64
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}

func TestHookQuotes(t *testing.T) {
	for text, want := range map[string]bool{
		`x hunter2 y`: true, `x HUNTER2`: true, `a\tb "c`: false, `"hunt er2"`: false,
	} {
		if quotes(text, "", "Hunter2") != want {
			t.Error(text)
		}
	}
	if !quotes(`is "a\"b\tc"`, "a\"b\tc") || quotes("anything", "", "") {
		t.Error("quoted, or nothing")
	}
}
