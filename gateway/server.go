// Package gateway is the FTPS front end: sessions, control and data connections, transfers and
// listings.
//
// It stands between a client and ftpserverlib, the RFC 959 engine, one engine for each control
// connection: it terminates TLS itself, hands the engine one complete and permitted command at a
// time, and sees every reply. Behind the engine it turns paths into keys and calls the adapters;
// resolve is the only way from a path to an adapter.
package gateway

import (
	"context"
	"errors"
	"net"
)

// Server serves FTP and FTPS on any number of listeners.
type Server struct {
	opts Options
}

// New returns a server. It refuses options that cannot work.
func New(o Options) (*Server, error) {
	return &Server{opts: o}, nil
}

// Serve accepts sessions from l until l is closed or Shutdown is called, and then returns nil.
// implicit: TLS begins at once (FTPS on port 990), not after AUTH.
func (s *Server) Serve(l net.Listener, implicit bool) error {
	return errors.New("gateway: not yet")
}

// Shutdown stops accepting, lets running transfers end, and then closes all sessions; when ctx ends
// first it closes them at once. It returns when all are gone.
func (s *Server) Shutdown(ctx context.Context) error { return nil }
