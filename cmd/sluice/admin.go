package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/sluice-ftp/sluice/audit"
	"github.com/sluice-ftp/sluice/gateway"
	"github.com/sluice-ftp/sluice/limits"
)

// admin answers the operator's commands on a socket of this machine. Who may open the socket may do
// all of it: it is for the user alone that the gateway runs as.
type admin struct {
	listener net.Listener
	http     *http.Server
	done     chan error
}

// operated is what an operator may ask of a gateway.
type operated interface {
	Bans() []limits.Ban
	// Unban reports whether there was a ban of subject.
	Unban(subject string) bool
	// Usage is of those users that have a quota.
	Usage() []gateway.Usage
	// CountQuotas counts what users have stored; without names, all that have a quota.
	CountQuotas(ctx context.Context, names ...string) error
}

const (
	bansPath   = "/v1/bans"
	quotasPath = "/v1/quotas"
	// adminTimeout is for what needs nobody else.
	adminTimeout = 5 * time.Second
)

// listenAdmin opens the socket at path and takes the place of one that a dead process left there.
func listenAdmin(ctx context.Context, path string, o operated, record *audit.Log) (*admin, error) {
	if err := removeDeadSocket(ctx, path); err != nil {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	a := &admin{listener: l, done: make(chan error, 1), http: &http.Server{
		Handler: adminHandler(o, record), ReadTimeout: adminTimeout, WriteTimeout: adminTimeout,
	}}
	go func() { a.done <- a.http.Serve(l) }()
	return a, nil
}

// removeDeadSocket removes a socket on which nobody listens any more.
func removeDeadSocket(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || info.Mode().Type() != fs.ModeSocket {
		return errors.Join(err, fmt.Errorf("%s is there and no socket; remove it or choose another path", path))
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err == nil {
		_ = conn.Close()
		return fmt.Errorf("another gateway listens on %s; give each one its own admin_socket", path)
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return os.Remove(path)
	}
	return err
}

func adminHandler(o operated, record *audit.Log) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+bansPath, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, o.Bans())
	})
	mux.HandleFunc("DELETE "+bansPath, func(w http.ResponseWriter, r *http.Request) {
		subject := r.URL.Query().Get("subject")
		if !o.Unban(subject) {
			http.Error(w, "there is no ban of that", http.StatusNotFound)
			return
		}
		record.Write(audit.Event{Event: audit.Operator, Detail: "ban lifted: " + subject})
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET "+quotasPath, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, o.Usage())
	})
	mux.HandleFunc("POST "+quotasPath, func(w http.ResponseWriter, r *http.Request) {
		// Millions of files take minutes, and the operator may give up.
		if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		names := r.URL.Query()["user"]
		if err := o.CountQuotas(r.Context(), names...); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		record.Write(audit.Event{Event: audit.Operator, Detail: "quotas counted: " + cmp.Or(strings.Join(names, ", "), "all")})
		answer(w, o.Usage())
	})
	return mux
}

func answer(w http.ResponseWriter, what any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(what) // the operator has gone: nobody is left to tell
}

// Close ends the socket and removes it.
func (a *admin) Close() error {
	if a == nil {
		return nil
	}
	err := a.http.Close()
	if served := <-a.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
