package main

import (
	"crypto/x509"
	"runtime/debug"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/gateway"
	"github.com/sluice-ftp/sluice/metrics"
)

// newMetrics are those of a configuration that lets them be asked for; nil otherwise.
func newMetrics(c *config) *metrics.Metrics {
	if c.Listen.HTTP == "" {
		return nil
	}
	info, _ := debug.ReadBuildInfo()
	return metrics.New(metrics.Options{
		Version: version(info), Revision: revision(info), Backends: c.backendNames(), Users: c.Metrics.Users,
	})
}

// measure has everything told to the metrics that they do not hear of by the gateway.
func (a *app) measure() {
	r := a.resources
	if r.metrics == nil {
		return
	}
	s := metrics.State{
		Gateway: func() gateway.Stats {
			s := a.server.Stats()
			s.Draining = s.Draining || a.draining.Load()
			return s
		}, Usage: a.recounter.Usage, Memory: r.memory,
		Users: func() int { return len(r.users.Users()) },
	}
	s.Certificates = func() []*x509.Certificate {
		var all []*x509.Certificate
		for _, c := range []*gateway.Certificates{r.certs, r.httpCerts} {
			if c != nil {
				all = append(all, c.Leaves()...)
			}
		}
		return all
	}
	if r.audit != nil {
		s.Record = r.audit
	}
	r.metrics.Watch(s)
	for _, src := range r.sources {
		r.metrics.Loaded(src.name)
	}
	a.health.tell = func(name string, up bool) { r.metrics.Backend(name).Up(up) }
}

// observed are the backends, with what counts and follows their calls around them.
func (r *resources) observed() map[string]backends.CloudStorageAdapter {
	all := make(map[string]backends.CloudStorageAdapter, len(r.backends))
	for name, b := range r.backends {
		if r.metrics != nil {
			b = r.metrics.Backend(name).Wrap(b)
		}
		if r.tracing != nil {
			b = r.tracing.Wrap(name, b)
		}
		all[name] = b
	}
	return all
}

// observer is what the gateway tells of; nil is nobody, and not a nil *Metrics.
func (r *resources) observer() gateway.Observer {
	if r.metrics == nil {
		return nil
	}
	return r.metrics
}
