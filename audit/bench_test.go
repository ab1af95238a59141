package audit_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/audit"
)

// transfer is an event as most of a busy gateway's are.
func transfer() audit.Event {
	return audit.Event{
		Event: audit.Transfer, Session: "7f3a9c2e", User: "acme", Remote: "192.0.2.7:51234", TLS: "1.3",
		Command: "STOR", Path: "/in/2026-11/invoice-000123.xml", Code: 226, Direction: audit.Up,
		Bytes: 48_213, Seconds: 0.0213, SHA256: strings.Repeat("0123456789abcdef", 4),
		Version: "3sL4kqtJlcpXroDTDmJ", Backend: "archive",
	}
}

// What Write costs its caller. Events that are lost cost less, so their share is told.
func BenchmarkWrite(b *testing.B) {
	odd := transfer()
	odd.Path = strings.Repeat("\u0085\xff", 2000)
	for name, e := range map[string]audit.Event{
		"command":  {Event: audit.Command, Session: "7f3a9c2e", User: "acme", Remote: "192.0.2.7:51234", Command: "CWD", Path: "/in", Code: 250},
		"transfer": transfer(),
		"hostile":  odd,
	} {
		b.Run(name, func(b *testing.B) {
			l := open(b, audit.Options{Path: filepath.Join(b.TempDir(), "audit.log")})
			b.ReportAllocs()
			for b.Loop() {
				l.Write(e)
			}
			b.ReportMetric(float64(l.Lost())/float64(b.N), "lost/op")
		})
	}
}

func BenchmarkWriteParallel(b *testing.B) {
	l := open(b, audit.Options{Path: filepath.Join(b.TempDir(), "audit.log")})
	e := transfer()
	e.Time = time.Date(2026, 11, 22, 17, 50, 43, 0, time.UTC)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l.Write(e)
		}
	})
	b.ReportMetric(float64(l.Lost())/float64(b.N), "lost/op")
}
