package gateway_test

import (
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/sluice-ftp/sluice/gateway"
)

// A range that somebody else has is refused in one line, and nothing of it is kept.
func TestPassivePortsTaken(t *testing.T) {
	_, first := ports(3)
	taken, err := net.Listen("tcp", fmt.Sprintf(":%d", first+1))
	if err != nil {
		t.Fatal(err)
	}
	f := start(t)
	o := gateway.Options{
		Backends: f.backends, Auth: users{}, Log: slog.New(slog.DiscardHandler), TLS: gateway.TLSOptions{Mode: gateway.TLSOff},
		Passive: gateway.PassiveOptions{FirstPort: first, LastPort: first + 2},
	}
	_, err = gateway.New(o)
	if want := fmt.Sprintf("1 of the passive ports %d-%d", first, first+2); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v, want %s", err, want)
	}
	_ = taken.Close()
	s, err := gateway.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
