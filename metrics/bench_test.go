package metrics_test

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/backendtest"
	"github.com/sluice-ftp/sluice/gateway"
	"github.com/sluice-ftp/sluice/metrics"
)

// BenchmarkSmallFile is what all counting costs for one upload of a small file, of the millisecond or so
// that the whole takes: two commands, a data connection, a transfer, two calls of the store.
func BenchmarkSmallFile(b *testing.B) {
	m := metrics.New(metrics.Options{Backends: []string{"disk"}})
	ctx := b.Context()
	for b.Loop() {
		m.Reply(ctx, "EPSV", 229, gateway.FaultNone, 50*time.Microsecond)
		t := m.Transfer(gateway.Upload, "disk", "acme")
		m.DataConnection(gateway.DataPassive, gateway.DataOK)
		m.Handshake(gateway.Handshake{Data: true, Version: tls.VersionTLS13, Resumed: true, OK: true, Took: time.Millisecond})
		t.Moved(4096)
		t.Done(gateway.TransferEnd{Result: gateway.TransferOK, Took: 2 * time.Millisecond, Bytes: 4096, Commit: time.Millisecond})
		m.Reply(ctx, "STOR", 226, gateway.FaultNone, 2*time.Millisecond)
	}
}

// BenchmarkWrap is what counting a call of a store costs, beside the call: stat of nothing in memory.
func BenchmarkWrap(b *testing.B) {
	bare := backendtest.Memory()
	for name, a := range map[string]backends.CloudStorageAdapter{
		"bare": bare, "counted": metrics.New(metrics.Options{}).Backend("disk").Wrap(bare),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := a.Stat(b.Context(), strings.Repeat("k", 8)); backends.KindOf(err) != backends.NotExist {
					b.Fatal(err)
				}
			}
		})
	}
}
