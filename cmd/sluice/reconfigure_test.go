package main

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/gateway"
)

// policyServer notes what it was told.
type policyServer struct {
	fakeServer
	policies []gateway.Policy
}

func (s *policyServer) SetPolicy(p gateway.Policy) { s.policies = append(s.policies, p) }

func TestReconfigure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sluice.yaml")
	load := func(text string) *config {
		t.Helper()
		write(t, path, "tls: {"+certs+"}\n"+text+rest)
		c, err := loadConfig(path, environ(nil))
		check0(t, err)
		return c
	}
	c := load("limits: {connections: 1}\nlog: {level: info}\n")
	server := &policyServer{}
	var log lockedBuffer
	logger, level := newLogger(&log, logConfig{Format: "text", Level: "info"})
	a := &app{server: server}
	a.ending.Store(&ending{})
	s := a.configuration(c, level)

	load("limits: {connections: 7, idle_timeout: 9m, quota_recount: 3h}\nlog: {level: debug}\nshutdown_grace: 3s\ndrain_delay: 2s\n" +
		"deny_from: [192.0.2.1]\nascii: binary\nlisten: {ftp: ':2122'}\n")
	check0(t, s.reload())
	s.report(logger)
	if len(server.policies) != 1 || server.policies[0].Limits.Connections != 7 || server.policies[0].Limits.IdleTimeout != 9*time.Minute ||
		len(server.policies[0].DenyFrom) != 1 {
		t.Errorf("the gateway was told %+v", server.policies)
	}
	if level.Level() != slog.LevelDebug {
		t.Errorf("the log's level is %v", level)
	}
	if diff := cmp.Diff(ending{delay: 2 * time.Second, grace: 3 * time.Second}, *a.ending.Load(), cmp.AllowUnexported(ending{})); diff != "" {
		t.Error(diff)
	}
	if want := `keys="ascii, limits.quota_recount, listen.ftp"`; !strings.Contains(log.String(), want) {
		t.Errorf("the log is %s, want %s", log.String(), want)
	}

	// What is wrong changes nothing.
	write(t, path, "tls: {"+certs+"}\nlimits: {connections: 9}\nlog: {level: loud}"+rest)
	if err := s.reload(); err == nil || !strings.Contains(err.Error(), "log.level") {
		t.Errorf("the error is %v", err)
	}
	if len(server.policies) != 1 || level.Level() != slog.LevelDebug {
		t.Error("something has changed")
	}
}

// Every key is compared: one that nobody looks at would be told to nobody.
func TestDifferences(t *testing.T) {
	const text = "tls: {" + certs + "}\nmemory_budget: 32MiB\nsite: {chmod: refuse}\nhttp: {pprof: true}\nauth: {type: http, url: 'https://h/'}\n" +
		"listen: {http: ':1'}\nusers_file: other.yaml\nbackends:\n  new: {type: local, root: /x}\n  disk: {type: local, root: /y}\n"
	a, err := parseConfig("s.yaml", []byte("tls: {"+certs+"}"+rest), nil)
	check0(t, err)
	b, err := parseConfig("s.yaml", []byte(text), nil)
	check0(t, err)
	want := []string{
		"auth.type", "auth.url", "backends.disk", "backends.new", "http.pprof", "listen.http", "memory_budget", "site.chmod", "users_file",
	}
	if diff := cmp.Diff(want, differences(a, b)); diff != "" {
		t.Error(diff)
	}
	if same := differences(a, a); len(same) > 0 {
		t.Error(same)
	}
}
