package metrics

import (
	"cmp"
	"crypto/x509"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-ftp/sluice/gateway"
)

// State is what is looked at when Prometheus asks. What is nil is left out.
type State struct {
	Gateway      func() gateway.Stats
	Usage        func() []gateway.Usage
	Certificates func() []*x509.Certificate
	Users        func() int
	Memory       Memory
	Record       Record
}

// Memory is the budget of what is on its way into and out of remote stores.
type Memory interface {
	// Bytes is the whole of it, Used what is taken.
	Bytes() int64
	Used() int64
	// Waiting is how many transfers wait for some.
	Waiting() int
}

// Record is the audit log.
type Record interface {
	// Lost is how many events could not be written.
	Lost() uint64
	Healthy() error
}

// Watch adds s to what is exported. It may be called once.
func (m *Metrics) Watch(s State) { m.registry.MustRegister(state{s}) }

// state is a collector: nothing of it is kept.
type state struct{ State }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}

var (
	descSessions = desc("sessions", "Control connections that there are.", "state")
	descBans     = desc("bans", "Addresses and users that are banned now.")
	descPorts    = desc("passive_ports", "Ports of this replica for passive data connections, by whether a client is expected there; none without a range.", "state")
	descDraining = desc("draining", "1 once the gateway has been told to end.")
	descQuota    = desc("quota_users", "Users with a quota, by how much of it is used.", "used")
	descNotAfter = desc("tls_certificate_not_after_timestamp_seconds", "When a certificate ends.", "name")
	descUsers    = desc("users", "Users in the users file.")
	descBudget   = desc("memory_budget_bytes", "The memory that transfers to and from remote stores may use.")
	descUsed     = desc("memory_budget_used_bytes", "What they use of it.")
	descWaiting  = desc("memory_budget_waiting", "Transfers that wait for some.")
	descLost     = desc("audit_events_lost_total", "Events that could not be written to the record.")
	descRecorded = desc("audit_healthy", "Whether the record is written.")
)

// Describe implements prometheus.Collector.
func (s state) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descSessions, descBans, descPorts, descDraining, descQuota, descNotAfter, descUsers, descBudget, descUsed,
		descWaiting, descLost, descRecorded,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s state) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if s.Gateway != nil {
		g := s.Gateway()
		gauge(descSessions, float64(g.Sessions), "authenticated")
		gauge(descSessions, float64(g.Strangers), "new")
		gauge(descBans, float64(g.Bans))
		gauge(descPorts, float64(g.PassivePorts), "used")
		gauge(descPorts, float64(g.PassiveRange-g.PassivePorts), "free")
		gauge(descDraining, truth(g.Draining))
	}
	if s.Usage != nil {
		for used, n := range quotas(s.Usage()) {
			gauge(descQuota, float64(n), used)
		}
	}
	if s.Certificates != nil {
		for name, end := range certificates(s.Certificates()) {
			gauge(descNotAfter, end, name)
		}
	}
	if s.Users != nil {
		gauge(descUsers, float64(s.Users()))
	}
	if s.Memory != nil {
		gauge(descBudget, float64(s.Memory.Bytes()))
		gauge(descUsed, float64(s.Memory.Used()))
		gauge(descWaiting, float64(s.Memory.Waiting()))
	}
	if s.Record != nil {
		ch <- prometheus.MustNewConstMetric(descLost, prometheus.CounterValue, float64(s.Record.Lost()))
		gauge(descRecorded, truth(s.Record.Healthy() == nil))
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// quotas counts users by how much of their quota is used.
func quotas(all []gateway.Usage) map[string]int {
	n := map[string]int{"below_80": 0, "from_80": 0, "full": 0, "unknown": 0}
	for _, u := range all {
		share := max(ratio(u.Bytes, u.MaxBytes), ratio(u.Files, u.MaxFiles))
		switch {
		case u.Counted.IsZero():
			n["unknown"]++
		case share >= 1:
			n["full"]++
		case share >= .8:
			n["from_80"]++
		default:
			n["below_80"]++
		}
	}
	return n
}

func ratio(n, most int64) float64 {
	if most == 0 {
		return 0
	}
	return float64(n) / float64(most)
}

// certificates are the ends of certificates by name; of several with one name, the first end.
func certificates(leaves []*x509.Certificate) map[string]float64 {
	ends := map[string]float64{}
	for _, c := range leaves {
		name := c.Subject.CommonName
		if len(c.DNSNames) > 0 {
			name = c.DNSNames[0]
		}
		name = cmp.Or(name, c.SerialNumber.String())
		end := float64(c.NotAfter.Unix())
		if before, ok := ends[name]; !ok || end < before {
			ends[name] = end
		}
	}
	return ends
}
