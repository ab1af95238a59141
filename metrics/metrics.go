// Package metrics has every name that Prometheus sees. It observes the gateway, wraps an adapter, and
// reads at each scrape what is there to be counted then. No label is made of what a client sends: the
// number of series does not depend on users, files or addresses.
package metrics

import (
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sluice-ftp/sluice/gateway"
)

const namespace = "sluice"

// Options are what a Metrics is made with.
type Options struct {
	// Version and Revision are of the build.
	Version, Revision string
	// Backends are the names of all.
	Backends []string
	// Users is how many users have series of their own; whoever comes later shares one. 0 is none.
	Users int
}

// Metrics holds what is counted as it happens. It is a gateway.Observer.
type Metrics struct {
	registry *prometheus.Registry

	connections      *prometheus.CounterVec
	addresses        *addresses
	sessionDuration  *prometheus.HistogramVec
	logins           *prometheus.CounterVec
	commands         *prometheus.CounterVec
	replies          *prometheus.CounterVec
	commandDuration  *prometheus.HistogramVec
	faults           *prometheus.CounterVec
	panics           prometheus.Counter
	transfers        *prometheus.CounterVec
	transferBytes    *prometheus.CounterVec
	inFlight         *prometheus.GaugeVec
	transferDuration *prometheus.HistogramVec
	transferSize     *prometheus.HistogramVec
	commitDuration   *prometheus.HistogramVec
	dataConnections  *prometheus.CounterVec
	relays           *prometheus.CounterVec
	handshakes       *prometheus.CounterVec
	handshakeTime    *prometheus.HistogramVec

	operations        *prometheus.CounterVec
	operationDuration *prometheus.HistogramVec
	requests          *prometheus.CounterVec
	requestDuration   *prometheus.HistogramVec
	retries           *prometheus.CounterVec
	backendUp         *prometheus.GaugeVec
	keptUploads       *prometheus.GaugeVec
	keptOldest        *prometheus.GaugeVec

	reloads      *prometheus.CounterVec
	reloadOK     *prometheus.GaugeVec
	reloadedLast *prometheus.GaugeVec

	users *users // nil: no series of their own
}

// maker declares metrics in a registry.
type maker struct{ registry *prometheus.Registry }

func (m maker) counter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.registry.MustRegister(c)
	return c
}

func (m maker) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.registry.MustRegister(g)
	return g
}

// histogram has buckets of its own, for servers that do not take native histograms, and a native one.
func (m maker) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160, NativeHistogramMinResetDuration: time.Hour,
	}, labels)
	m.registry.MustRegister(h)
	return h
}

// The buckets, in seconds and bytes.
var (
	quick  = []float64{.001, .005, .025, .1, .5, 2.5, 10}
	slow   = []float64{.01, .1, 1, 5, 30, 120, 600, 3600}
	hours  = []float64{1, 10, 60, 600, 3600, 14400, 86400}
	volume = []float64{1 << 10, 1 << 16, 1 << 20, 1 << 24, 1 << 28, 1 << 32, 1 << 36}
)

// New returns metrics with a registry of their own.
func New(o Options) *Metrics {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	reg := maker{r}
	m := &Metrics{
		registry: r,

		connections:      reg.counter("connections_total", "Control connections, by what became of them.", "listener", "result"),
		addresses:        newAddresses(reg),
		sessionDuration:  reg.histogram("session_duration_seconds", "How long sessions were there.", hours, "listener"),
		logins:           reg.counter("logins_total", "Attempts to log in.", "method", "result"),
		commands:         reg.counter("commands_total", "Commands, by the class of their final reply.", "command", "code_class"),
		replies:          reg.counter("replies_total", "Final replies.", "code"),
		commandDuration:  reg.histogram("command_duration_seconds", "From a command to its final reply, transfers left out.", quick, "command"),
		faults:           reg.counter("faults_total", "Commands that did not work, by whose fault it was.", "fault", "command"),
		panics:           reg.counter("panics_total", "Mistakes of the gateway that cost a command.").WithLabelValues(),
		transfers:        reg.counter("transfers_total", "Transfers that have ended.", "direction", "backend", "result"),
		transferBytes:    reg.counter("transfer_bytes_total", "Bytes of payload, counted while they move.", "direction", "backend"),
		inFlight:         reg.gauge("transfers_in_flight", "Transfers that run now.", "direction"),
		transferDuration: reg.histogram("transfer_duration_seconds", "How long transfers took that went well.", slow, "direction"),
		transferSize:     reg.histogram("transfer_size_bytes", "Size of transfers that went well.", volume, "direction"),
		commitDuration:   reg.histogram("upload_commit_duration_seconds", "From the last byte of an upload until it was published.", quick, "backend"),
		dataConnections:  reg.counter("data_connections_total", "Data connections that clients asked for.", "mode", "result"),
		relays:           reg.counter("data_relays_total", "Data connections that belong to another replica, and were led there.", "result"),
		handshakes:       reg.counter("tls_handshakes_total", "TLS handshakes.", "channel", "version", "resumed", "result"),
		handshakeTime:    reg.histogram("tls_handshake_duration_seconds", "How long TLS handshakes took that went well.", quick, "channel"),

		operations:        reg.counter("backend_operations_total", "Calls of the stores' adapters.", "backend", "operation", "result"),
		operationDuration: reg.histogram("backend_operation_duration_seconds", "How long calls took; of list and open, until there was something to read. What waits for clients is left out.", quick, "backend", "operation"),
		requests:          reg.counter("backend_requests_total", "HTTP requests to stores, each attempt for itself.", "backend", "method", "result"),
		requestDuration:   reg.histogram("backend_request_duration_seconds", "From an HTTP request to the heading of its answer.", quick, "backend", "method"),
		retries:           reg.counter("backend_retries_total", "HTTP requests that were sent again.", "backend"),
		backendUp:         reg.gauge("backend_up", "Whether the store answered when it was last asked.", "backend"),
		keptUploads:       reg.gauge("kept_uploads", "Uploads of which a part is in the store, running or broken off, when it was last looked at.", "backend"),
		keptOldest:        reg.gauge("kept_upload_oldest_timestamp_seconds", "When the oldest of them was last written to; 0 without one.", "backend"),

		reloads:      reg.counter("reloads_total", "Files that were read again.", "what", "result"),
		reloadOK:     reg.gauge("reload_success", "Whether the last reading went well.", "what"),
		reloadedLast: reg.gauge("reload_last_success_timestamp_seconds", "When it last went well.", "what"),
	}
	reg.gauge("build_info", "The build; always 1.", "version", "revision", "goversion").
		WithLabelValues(o.Version, o.Revision, runtime.Version()).Set(1)
	if o.Users > 0 {
		m.users = newUsers(reg, o.Users)
	}
	m.zero(o.Backends)
	return m
}

// zero makes the series of closed sets, so that a rate has a first value to begin with.
func (m *Metrics) zero(backends []string) {
	for _, l := range []string{gateway.ListenerExplicit, gateway.ListenerImplicit} {
		for _, r := range gateway.ConnectionResults() {
			m.connections.WithLabelValues(l, string(r))
		}
	}
	for _, method := range gateway.LoginMethods() {
		for _, r := range gateway.LoginResults() {
			m.logins.WithLabelValues(string(method), string(r))
		}
	}
	for _, verb := range append(gateway.Verbs(), gateway.VerbOther) {
		for class := 2; class <= 5; class++ {
			m.commands.WithLabelValues(verb, classOf(100*class))
		}
		for _, f := range gateway.Faults() {
			m.faults.WithLabelValues(string(f), verb)
		}
	}
	for _, code := range gateway.Codes() {
		m.replies.WithLabelValues(strconv.Itoa(code))
	}
	for _, mode := range gateway.DataModes() {
		for _, r := range gateway.DataResults() {
			m.dataConnections.WithLabelValues(string(mode), string(r))
		}
	}
	for _, r := range gateway.RelayResults() {
		m.relays.WithLabelValues(string(r))
	}
	for _, d := range gateway.Directions() {
		m.inFlight.WithLabelValues(string(d))
		for _, b := range backends {
			m.transferBytes.WithLabelValues(string(d), b)
			for _, r := range gateway.TransferResults() {
				m.transfers.WithLabelValues(string(d), b, string(r))
			}
		}
	}
	for _, b := range backends {
		m.retries.WithLabelValues(b)
		m.requests.WithLabelValues(b, http.MethodPut, throttled)
		for _, op := range operations {
			for _, result := range results {
				m.operations.WithLabelValues(b, op, result)
			}
		}
	}
	for _, channel := range []string{"control", "data"} {
		for _, version := range []string{"1.2", "1.3"} {
			for _, resumed := range []string{"false", "true"} {
				m.handshakes.WithLabelValues(channel, version, resumed, "ok")
			}
		}
		m.handshakes.WithLabelValues(channel, "none", "false", "error")
	}
}

// Handler answers scrapes.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: 4})
}
