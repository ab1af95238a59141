package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/sluice-ftp/sluice/gateway"
)

const (
	httpHeaderTimeout = 5 * time.Second
	httpIdleTimeout   = 2 * time.Minute
	// httpWriteTimeout has room for a profile of a minute.
	httpWriteTimeout = 2 * time.Minute
	// httpGrace is how long the last answers may take.
	httpGrace = 2 * time.Second
)

// httpServer answers Prometheus, load balancers and Kubernetes.
type httpServer struct {
	listener net.Listener
	server   *http.Server
	done     chan error
}

// serveHTTP begins to answer on the address of c; nil without one.
func serveHTTP(ctx context.Context, c *config, r *resources, h *health, from sockets, log *slog.Logger) (*httpServer, error) {
	l, err := listenHTTP(ctx, c.Listen.HTTP, from)
	if l == nil || err != nil {
		return nil, err
	}
	allowed, err := basicAuth(c)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	s := &httpServer{listener: l, done: make(chan error, 1), server: &http.Server{
		Handler:           routes(r.metrics.Handler(), h, allowed, c.HTTP.Pprof),
		ReadHeaderTimeout: httpHeaderTimeout, IdleTimeout: httpIdleTimeout, WriteTimeout: httpWriteTimeout,
		ReadTimeout: httpHeaderTimeout, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.With("what", "http").Handler(), slog.LevelDebug),
	}}
	if r.httpCerts != nil {
		s.server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: r.httpCerts.Get}
	}
	log.Info("listening", "address", l.Addr().String(), "http", true)
	go func() {
		serve := s.server.Serve
		if r.httpCerts != nil {
			serve = func(l net.Listener) error { return s.server.ServeTLS(l, "", "") }
		}
		err := serve(l)
		if !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics and health are not answered any more", "err", err)
		}
		s.done <- err
	}()
	return s, nil
}

// openHTTP reads the certificate of the HTTP listener, if it has one.
func (r *resources) openHTTP(c *config) error {
	h := c.HTTP
	if h.CertFile == "" || h.KeyFile == "" {
		return nil
	}
	s := newSource("http certificate", h.CertFile, h.KeyFile)
	var err error
	if r.httpCerts, err = gateway.LoadCertificates(gateway.KeyPair{CertFile: h.CertFile, KeyFile: h.KeyFile}); err != nil {
		return c.fault("http.cert_file", err, mendFile(err))
	}
	s.reload = r.httpCerts.Reload
	r.sources = append(r.sources, s)
	return nil
}

// routes are all that is answered. Health is for everyone: it tells nothing, and kubelets have no password.
func routes(metrics http.Handler, h *health, allowed func(http.Handler) http.Handler, profiles bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", allowed(metrics))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok\n") // who asked has gone
	})
	mux.Handle("GET /readyz", h)
	if profiles {
		mux.Handle("GET /debug/pprof/", allowed(http.HandlerFunc(pprof.Index)))
		mux.Handle("GET /debug/pprof/cmdline", allowed(http.HandlerFunc(pprof.Cmdline)))
		mux.Handle("GET /debug/pprof/profile", allowed(http.HandlerFunc(pprof.Profile)))
		mux.Handle("GET /debug/pprof/symbol", allowed(http.HandlerFunc(pprof.Symbol)))
		mux.Handle("GET /debug/pprof/trace", allowed(http.HandlerFunc(pprof.Trace)))
	}
	return mux
}

// basicAuth lets those through that have the password of c, or everyone if there is none.
func basicAuth(c *config) (func(http.Handler) http.Handler, error) {
	h := c.HTTP
	password := h.Password
	if h.PasswordFile != "" {
		var err error
		if password, err = readSecret(h.PasswordFile); err != nil {
			return nil, c.fault("http.password_file", err, mendFile(err))
		}
	}
	if h.Username == "" {
		return func(next http.Handler) http.Handler { return next }, nil
	}
	want := sha256.Sum256([]byte(h.Username + "\x00" + password))
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, pass, _ := r.BasicAuth()
			got := sha256.Sum256([]byte(user + "\x00" + pass))
			if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
				w.Header().Set("WWW-Authenticate", `Basic realm="sluice"`)
				http.Error(w, "a password is needed", http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	}, nil
}

// Close lets the answers that are being written end.
func (s *httpServer) Close() error {
	if s == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), httpGrace)
	defer cancel()
	err := s.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.server.Close() // a profile that somebody takes
	}
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
