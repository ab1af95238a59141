package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/sluice-ftp/sluice/audit"
	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/pages"
	"github.com/sluice-ftp/sluice/gateway"
	"github.com/sluice-ftp/sluice/metrics"
	"github.com/sluice-ftp/sluice/tracing"
	"github.com/sluice-ftp/sluice/yamlfile"
)

// resources are the things outside the process that a configuration names, opened.
type resources struct {
	backends map[string]backends.CloudStorageAdapter
	users    *auth.File
	// hook is asked for users that the file does not have; nil is none.
	hook *auth.Hook
	// memory is what transfers into and out of remote stores share.
	memory *pages.Budget
	// audit is the record; nil is none.
	audit *audit.Log
	// certs is nil when there is no TLS, httpCerts when the HTTP listener has none.
	certs, httpCerts *gateway.Certificates
	// metrics is nil when nobody could ask for them.
	metrics *metrics.Metrics
	// tracing is nil unless the environment names a collector.
	tracing *tracing.Tracing
	// sources are the files among them that are read again when they change.
	sources []*source
}

// open opens what c names. It reports everything that is wrong and then leaves nothing open.
func open(ctx context.Context, c *config, log *slog.Logger) (*resources, error) {
	r := &resources{backends: map[string]backends.CloudStorageAdapter{}, metrics: newMetrics(c)}
	info, _ := debug.ReadBuildInfo()
	var err error
	if r.tracing, err = tracing.Open(ctx, version(info), func(err error) { log.Warn("spans were not sent", "err", err) }); err != nil {
		return nil, err
	}
	err = errors.Join(r.openBackends(ctx, c, log), r.openUsers(c), r.openCertificates(c), r.openHTTP(c))
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// announce logs what runs, for who reads the log later.
func (r *resources) announce(c *config, log *slog.Logger) {
	info, _ := debug.ReadBuildInfo()
	log.Info("starting", "version", version(info), "config", cmp.Or(c.path, "none"),
		"backends", len(r.backends), "users", len(r.users.Users()))
	for _, w := range r.warnings(c) {
		log.Warn("configuration warning", "file", w.file, "warning", w.text)
	}
	if r.certs != nil {
		logCertificates(log, r.certs.Leaves(), time.Now())
	}
}

// openAudit begins the record. SIGHUP opens its file anew, for who rotates it.
func (r *resources) openAudit(c *config, log *slog.Logger) error {
	if c.AuditLog.Path == "" {
		return nil
	}
	var err error
	r.audit, err = audit.Open(audit.Options{Path: c.AuditLog.Path, Required: c.AuditLog.Required, Log: log.With("what", "audit log")})
	if err != nil {
		return c.fault("audit_log.path", err, "")
	}
	s := newSource("audit log")
	s.reload = r.audit.Reopen
	s.report = func(log *slog.Logger) {
		r.audit.Write(audit.Event{Event: audit.Operator, Detail: "reload"})
		log.Info("opened anew")
	}
	r.sources = append(r.sources, s)
	return nil
}

// closeGrace is how long the end waits for the record to be written, and for spans to be sent.
const closeGrace = 5 * time.Second

// Close closes the record, the backends and the hook.
func (r *resources) Close() error {
	var errs []error
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	if r.hook != nil {
		r.hook.Close()
	}
	if r.audit != nil {
		r.audit.Write(audit.Event{Event: audit.Operator, Detail: "stop"})
		if err := r.audit.Close(ctx); err != nil {
			errs = append(errs, err)
		}
	}
	if err := r.tracing.Close(ctx); err != nil {
		errs = append(errs, err)
	}
	for name, b := range r.backends {
		if err := b.Close(); err != nil {
			errs = append(errs, fmt.Errorf("backend %q: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func (r *resources) openBackends(ctx context.Context, c *config, log *slog.Logger) error {
	var err error
	if r.memory, err = c.budget(); err != nil {
		return err
	}
	reserve(r.memory)
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.stores)) {
		s := settings{log: log.With("backend", name), bufferSize: int(c.Tuning.BufferSize), memory: r.memory}
		if r.metrics != nil {
			watched := r.metrics.Backend(name)
			s.watch = watch{watched.Transport, watched.Kept}
		}
		b, err := c.stores[name].open(ctx, s)
		if err != nil {
			errs = append(errs, c.fault("backends."+name+"."+c.stores[name].where(err), err, ""))
			continue
		}
		r.backends[name] = b
	}
	return errors.Join(errs...)
}

func (r *resources) openUsers(c *config) error {
	if c.UsersFile == "" {
		return nil // reported with the configuration
	}
	s := newSource("users file", c.UsersFile)
	var err error
	if r.users, err = auth.OpenFile(c.UsersFile, rules(c)); err != nil {
		if errors.As(err, new(yamlfile.Problems)) {
			return err // they have their own places
		}
		return c.fault("users_file", err, mendFile(err))
	}
	s.watch(c.UsersFile, r.users.PasswordFile())
	s.reload = func() error {
		err := r.users.Reload()
		s.watch(c.UsersFile, r.users.PasswordFile())
		return err
	}
	s.report = func(log *slog.Logger) { log.Info("reloaded", "users", len(r.users.Users())) }
	r.sources = append(r.sources, s)
	return errors.Join(r.openClientCA(c), r.openHook(c))
}

// openHook readies what is asked for users that the file does not have.
func (r *resources) openHook(c *config) error {
	if c.Auth.Type == "" {
		return nil
	}
	h := auth.HookConfig{
		URL: c.Auth.URL, Timeout: time.Duration(c.Auth.Timeout), Cache: time.Duration(c.Auth.Cache),
		CAFile: c.Auth.CAFile, AllowHTTP: c.Auth.AllowHTTP, Rules: rules(c),
	}
	if h.Cache == 0 {
		h.Cache = -1 // nothing is remembered
	}
	var err error
	if c.Auth.TokenFile != "" {
		if h.Token, err = readSecret(c.Auth.TokenFile); err != nil {
			return c.fault("auth.token_file", err, mendFile(err))
		}
	}
	if r.hook, err = auth.OpenHook(h); err != nil {
		return c.fault("auth.url", err, "")
	}
	return nil
}

// authenticator is the users file, with the hook behind it if there is one.
func (r *resources) authenticator() auth.Authenticator {
	if r.hook == nil {
		return r.users
	}
	return &auth.Chain{File: r.users, Hook: r.hook}
}

// openClientCA reads the authorities of client certificates.
func (r *resources) openClientCA(c *config) error {
	if c.TLS.ClientCA == "" {
		return nil
	}
	s := newSource("client authorities", c.TLS.ClientCA, cmp.Or(c.TLS.ClientCRL, c.TLS.ClientCA))
	s.reload = func() error {
		ca, err := auth.LoadClientCA(c.TLS.ClientCA, c.TLS.ClientCRL)
		if err == nil {
			r.users.SetClientCA(ca)
		}
		return err
	}
	if err := s.reload(); err != nil {
		return c.fault("tls.client_ca_file", err, mendFile(err))
	}
	r.sources = append(r.sources, s)
	return nil
}

// rules hold the users' mounts to the configured backends and to what can be a key.
func rules(c *config) auth.Rules {
	return auth.Rules{
		Backend: func(name string) error {
			names := c.backendNames()
			if slices.Contains(names, name) {
				return nil
			}
			return fmt.Errorf("%q is not a backend of the configuration; there are %s", name, strings.Join(names, ", "))
		},
		Command:  knownCommand,
		Subjects: c.TLS.ClientCA != "",
		Prefix: func(prefix string) error {
			// The cause alone: the place in the file names the rest.
			return errors.Unwrap(backends.CheckKey(prefix))
		},
	}
}
