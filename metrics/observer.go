package metrics

import (
	"context"
	"crypto/tls"
	"net/netip"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-ftp/sluice/gateway"
)

var _ gateway.Observer = (*Metrics)(nil)

// Connection implements gateway.Observer.
func (m *Metrics) Connection(listener string, remote netip.Addr, result gateway.ConnectionResult) {
	m.connections.WithLabelValues(listener, string(result)).Inc()
	m.addresses.add(remote, time.Now())
}

// SessionEnded implements gateway.Observer.
func (m *Metrics) SessionEnded(listener string, took time.Duration) {
	m.sessionDuration.WithLabelValues(listener).Observe(took.Seconds())
}

// Handshake implements gateway.Observer.
func (m *Metrics) Handshake(h gateway.Handshake) {
	channel, result := "control", "ok"
	if h.Data {
		channel = "data"
	}
	if !h.OK {
		result = "error"
	}
	m.handshakes.WithLabelValues(channel, tlsVersion(h.Version), strconv.FormatBool(h.Resumed), result).Inc()
	if h.OK {
		m.handshakeTime.WithLabelValues(channel).Observe(h.Took.Seconds())
	}
}

func tlsVersion(v uint16) string {
	switch v {
	case tls.VersionTLS12:
		return "1.2"
	case tls.VersionTLS13:
		return "1.3"
	}
	return "none"
}

// Login implements gateway.Observer.
func (m *Metrics) Login(method gateway.LoginMethod, result gateway.LoginResult) {
	m.logins.WithLabelValues(string(method), string(result)).Inc()
}

// Reply implements gateway.Observer.
func (m *Metrics) Reply(ctx context.Context, verb string, code int, fault gateway.Fault, took time.Duration) {
	m.commands.WithLabelValues(verb, classOf(code)).Inc()
	m.replies.WithLabelValues(strconv.Itoa(code)).Inc()
	if fault != gateway.FaultNone {
		m.faults.WithLabelValues(string(fault), verb).Inc()
	}
	if !gateway.Transfers(verb) {
		observe(ctx, m.commandDuration.WithLabelValues(verb), took)
	}
}

func classOf(code int) string { return strconv.Itoa(code/100) + "xx" }

// DataConnection implements gateway.Observer.
func (m *Metrics) DataConnection(mode gateway.DataMode, result gateway.DataResult) {
	m.dataConnections.WithLabelValues(string(mode), string(result)).Inc()
}

// Relay implements gateway.Observer.
func (m *Metrics) Relay(result gateway.RelayResult) { m.relays.WithLabelValues(string(result)).Inc() }

// Panicked implements gateway.Observer.
func (m *Metrics) Panicked() { m.panics.Inc() }

// noBackend is for transfers that failed before it was known where to.
const noBackend = "none"

// Transfer implements gateway.Observer.
func (m *Metrics) Transfer(direction gateway.Direction, backend, user string) gateway.TransferObserver {
	if backend == "" {
		backend = noBackend
	}
	t := &transfer{
		metrics: m, direction: direction, backend: backend, user: user,
		bytes: m.transferBytes.WithLabelValues(string(direction), backend),
	}
	if m.users != nil {
		t.userBytes = m.users.bytesOf(user, direction)
	}
	m.inFlight.WithLabelValues(string(direction)).Inc()
	return t
}

// transfer counts one transfer.
type transfer struct {
	metrics       *Metrics
	direction     gateway.Direction
	backend, user string
	bytes         prometheus.Counter
	userBytes     prometheus.Counter // nil: users have no series
}

// Moved implements gateway.TransferObserver.
func (t *transfer) Moved(n int) {
	t.bytes.Add(float64(n))
	if t.userBytes != nil {
		t.userBytes.Add(float64(n))
	}
}

// Done implements gateway.TransferObserver.
func (t *transfer) Done(end gateway.TransferEnd) {
	m, direction := t.metrics, string(t.direction)
	m.inFlight.WithLabelValues(direction).Dec()
	m.transfers.WithLabelValues(direction, t.backend, string(end.Result)).Inc()
	if m.users != nil {
		m.users.done(t.user, t.direction, end.Result)
	}
	if end.Result != gateway.TransferOK {
		return
	}
	m.transferDuration.WithLabelValues(direction).Observe(end.Took.Seconds())
	m.transferSize.WithLabelValues(direction).Observe(float64(end.Bytes))
	if end.Commit > 0 {
		m.commitDuration.WithLabelValues(t.backend).Observe(end.Commit.Seconds())
	}
}
