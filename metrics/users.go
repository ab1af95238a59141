package metrics

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-ftp/sluice/gateway"
)

// otherUsers stands for all that came when the places were taken.
const otherUsers = "_other"

// users are the series of those users that came first.
type users struct {
	most int

	mu    sync.Mutex
	known map[string]struct{}

	bytes      *prometheus.CounterVec
	transfers  *prometheus.CounterVec
	lastUpload *prometheus.GaugeVec
}

func newUsers(reg maker, most int) *users {
	return &users{
		most: most, known: map[string]struct{}{},
		bytes:      reg.counter("user_transfer_bytes_total", "Bytes of payload of one user, counted while they move.", "user", "direction"),
		transfers:  reg.counter("user_transfers_total", "Transfers of one user.", "user", "direction", "result"),
		lastUpload: reg.gauge("user_last_upload_timestamp_seconds", "When a user's last upload was published.", "user"),
	}
}

// label is the name of a user, or otherUsers if there is no place.
func (u *users) label(name string) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, ok := u.known[name]; ok {
		return name
	}
	if len(u.known) >= u.most {
		return otherUsers
	}
	u.known[name] = struct{}{}
	return name
}

func (u *users) bytesOf(name string, d gateway.Direction) prometheus.Counter {
	return u.bytes.WithLabelValues(u.label(name), string(d))
}

func (u *users) done(name string, d gateway.Direction, result gateway.TransferResult) {
	name = u.label(name)
	u.transfers.WithLabelValues(name, string(d), string(result)).Inc()
	if d == gateway.Upload && result == gateway.TransferOK {
		u.lastUpload.WithLabelValues(name).SetToCurrentTime()
	}
}
