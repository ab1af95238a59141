package gateway_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/gateway"
)

func TestLogin(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := f.dial()
	c.transcript([]line{
		{"PASS secret", 503, "USER"}, // the library would log in "" with it
		{"USER", 501, ""},
		{"PWD", 530, ""},
		{"STOR x", 530, ""},
		{"SITE HELP", 530, ""},
		{"USER ann", 331, ""},
		{"PASS mistaken7", 530, "Wrong name or password"},
		{"PASS secret", 503, ""},
		{"USER ann", 331, ""},
		{"PASS secret", 230, ""},
		{"PASS secret", 503, ""},
		{"CWD /", 250, ""},
		{"MKD d", 257, ""},
		{"CWD d", 250, ""},
		{"USER bob", 331, ""}, // logs ann out
		{"PWD", 530, ""},
		{"PASS secret", 530, ""}, // the same text for one who does not exist
		{"USER ann", 331, ""},
		{"PASS secret", 230, ""},
		{"PWD", 257, `"/"`},
		{"CWD d", 250, ""},
		{"REIN", 220, ""},
		{"PWD", 530, ""},
		{"USER ann", 331, ""},
		{"PASS secret", 230, ""},
		{"PWD", 257, `"/"`},
	})
	if strings.Contains(f.log.String(), "secret") || strings.Contains(f.log.String(), "mistaken7") {
		t.Error("a password is in the log")
	}
}

// The third wrong login is the last, and each answer takes longer. No test may depend on how long
// it takes, but the delays' order shows in the log.
func TestThreeTries(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for the delays of three wrong logins")
	}
	f := start(t)
	c := f.dial()
	var took []time.Duration
	for _, code := range []int{530, 530, 421} {
		c.cmd(331, "USER ann")
		began := time.Now()
		c.cmd(code, "PASS wrong")
		took = append(took, time.Since(began))
	}
	if code, text := c.reply(); code != 0 {
		t.Errorf("goes on with %d %s", code, text)
	}
	if took[0] < 900*time.Millisecond || took[1] < took[0]*3/2 || took[2] < took[1]*3/2 {
		t.Errorf("delays %v do not grow", took)
	}
}

// What was sent ahead of a refused PASS is refused, too.
func TestPipelinedBehindFailedPass(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.put("secret", "x")
	c := f.dial()
	if _, err := io.WriteString(c.conn, "USER ann\r\nPASS wrong\r\nDELE secret\r\nMKD d\r\nSTAT secret\r\nQUIT\r\n"); err != nil {
		t.Fatal(err)
	}
	for _, code := range []int{331, 530, 530, 530, 530, 221} {
		c.want(code)
	}
	equal(t, "file", f.read("secret"), "x")
}

type broken struct{}

// Refresh finds everybody as they were.
func (broken) Refresh(u *auth.User, _ netip.Addr) (*auth.User, error) { return u, nil }

func (broken) Authenticate(context.Context, auth.Login) (*auth.User, error) {
	return nil, errors.New("ldap://10.0.0.1 does not answer")
}

func TestAuthOutOfOrder(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *gateway.Options) { o.Auth = broken{} })
	c := f.dial()
	c.cmd(331, "USER ann")
	if text := c.cmd(451, "PASS secret"); strings.Contains(text, "10.0.0.1") {
		t.Error("the client is told: " + text)
	}
}

func TestMountOfUnknownBackend(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *gateway.Options) {
		o.Auth = users{passwords: map[string]string{"ann": "secret"}, mounts: []auth.Mount{{Path: "/", Backend: "lake", Permissions: auth.All}}}
	})
	c := f.dial()
	c.cmd(331, "USER ann")
	c.cmd(451, "PASS secret")
	c.cmd(530, "PWD")
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *gateway.Options) { o.Limits.IdleTimeout = 50 * time.Millisecond })
	c := f.login()
	c.want(421)
	if code, text := c.reply(); code != 0 {
		t.Errorf("goes on with %d %s", code, text)
	}
	g := start(t, func(o *gateway.Options) { o.Limits.LoginTimeout = 50 * time.Millisecond })
	d := g.dial()
	d.want(421)
}

// Who logged in once has the time to do it again.
func TestLoginAgain(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *gateway.Options) { o.Limits.LoginTimeout = 2 * time.Second })
	c := f.login()
	late := time.NewTimer(2100 * time.Millisecond)
	defer late.Stop()
	<-late.C
	c.cmd(220, "REIN")
	c.cmd(331, "USER ann")
	c.cmd(230, "PASS secret")
}

// A client that sends and reads nothing holds nothing up.
func TestShutdownWithDeafClients(t *testing.T) {
	t.Parallel()
	f := start(t)
	for range 3 {
		c := f.dial()
		if err := c.raw.(*net.TCPConn).SetReadBuffer(4096); err != nil {
			t.Fatal(err)
		}
		full := make(chan struct{})
		go func() {
			defer close(full)
			block := strings.Repeat("HELP\r\n", 1000)
			for {
				_ = c.raw.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
				if _, err := io.WriteString(c.raw, block); err != nil {
					return // the server has stopped reading, because nobody reads it
				}
			}
		}()
		<-full
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	done := make(chan error, 1)
	go func() { done <- f.server.Shutdown(ctx) }()
	late := time.NewTimer(15 * time.Second) // half of what one unread reply may take
	defer late.Stop()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Shutdown: %v", err)
		}
	case <-late.C:
		t.Error("Shutdown waits for a client that does not read")
	}
}

// A transfer of any length keeps its session from being idle.
func TestNotIdleDuringATransfer(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *gateway.Options) { o.Limits.IdleTimeout = 30 * time.Millisecond })
	c := f.loginTLS()
	conn := c.open("STOR file")
	late := time.NewTimer(150 * time.Millisecond)
	defer late.Stop()
	<-late.C
	finish(t, conn)
	c.want(226)
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	f := start(t)
	idle, busy, uploading := f.login(), f.login(), f.login()
	conn := uploading.open("STOR file")
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		done <- f.server.Shutdown(ctx)
	}()
	idle.want(421)
	busy.want(421)
	if code, text := f.greeting(); code != 421 {
		t.Errorf("a new session is told %d %s", code, text)
	}
	if _, err := io.WriteString(conn, "content"); err != nil {
		t.Fatal(err)
	}
	finish(t, conn)
	uploading.want(226)
	uploading.want(421)
	if err := <-done; err != nil {
		t.Error(err)
	}
	equal(t, "file", f.read("file"), "content")
	if conn, err := net.Dial("tcp", f.explicit); err == nil {
		_ = conn.Close()
		t.Error("still accepts")
	}
}

// When the grace is over, what still runs is cut off and publishes nothing.
func TestShutdownInHaste(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.put("file", "old")
	c := f.loginTLS()
	conn := c.open("STOR file")
	if _, err := io.WriteString(conn, "new"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := f.server.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	equal(t, "sessions", f.server.Sessions(), 0)
	equal(t, "file", f.read("file"), "old")
	equal(t, "leftovers", len(f.leftovers()), 0)
}
