package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"time"

	"github.com/jlaffaye/ftp"
)

const (
	// roundTripTimeout is how long login, upload and download may take together, and removalTimeout what comes
	// after them.
	roundTripTimeout = time.Minute
	removalTimeout   = 10 * time.Second
	// roundTripSize makes the store take a real file and no balancer buffer all of it.
	roundTripSize = 1 << 20
)

// roundTrip is a partner who puts a file into a folder, takes it out again and removes it.
type roundTrip struct {
	target
	folder, user, password string
	tls                    *tls.Config
}

// run does it, each connection under TLS.
func (r roundTrip) run(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, roundTripTimeout)
	defer cancel()
	conn, err := r.connect(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if quit := conn.Quit(); err == nil && quit != nil {
			err = fmt.Errorf("QUIT: %w", quit)
		}
	}()
	if err := conn.Login(r.user, r.password); err != nil {
		return fmt.Errorf("login of %s: %w", r.user, err)
	}
	content := make([]byte, roundTripSize)
	_, _ = rand.Read(content) // which never fails
	name := path.Join(r.folder, "sluice-healthcheck-"+rand.Text()[:8]+".tmp")
	if err := conn.Stor(name, bytes.NewReader(content)); err != nil {
		_ = conn.Delete(name) // it may be there all the same: the answer was late, or lost
		return fmt.Errorf("upload of %s: %w", name, err)
	}
	err = r.compare(conn, name, content)
	if removed := conn.Delete(name); removed != nil {
		err = errors.Join(err, fmt.Errorf("removal of %s, which is still there: %w", name, removed))
	}
	return err
}

func (r roundTrip) compare(conn *ftp.ServerConn, name string, want []byte) error {
	from, err := conn.Retr(name)
	if err != nil {
		return fmt.Errorf("download of %s: %w", name, err)
	}
	got, err := io.ReadAll(io.LimitReader(from, roundTripSize+1))
	if err := errors.Join(err, from.Close()); err != nil {
		return fmt.Errorf("download of %s: %w", name, err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%s: %d bytes came back, not the %d that were sent", name, len(got), len(want))
	}
	return nil
}

// connect dials the control connection. The library gives its connections no deadline, so they get that of
// ctx here, the control connection a little more, and data connections their TLS: with the cache of r.tls they resume the session.
func (r roundTrip) connect(ctx context.Context) (*ftp.ServerConn, error) {
	control := true
	dial := func(network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		deadline, _ := ctx.Deadline()
		if control {
			deadline = deadline.Add(removalTimeout)
		}
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		if control && !r.implicit {
			control = false
			return conn, nil // AUTH TLS comes first
		}
		control = false
		return tls.Client(conn, r.tls), nil
	}
	secured := ftp.DialWithExplicitTLS(r.tls)
	if r.implicit {
		secured = ftp.DialWithTLS(r.tls)
	}
	return ftp.Dial(r.addr, secured, ftp.DialWithDialFunc(dial))
}
