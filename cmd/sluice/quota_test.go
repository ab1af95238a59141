package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/gateway"
)

// countingServer notes of which users it was asked to count.
type countingServer struct {
	fakeServer
	mu     sync.Mutex
	counts []string
	fail   error
}

func (s *countingServer) CountQuotas(_ context.Context, users []*auth.User) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, u := range users {
		names = append(names, u.Name)
	}
	s.counts = append(s.counts, strings.Join(names, " "))
	return s.fail
}

func (s *countingServer) taken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.counts = nil }()
	return s.counts
}

func (s *countingServer) Usage(users []*auth.User) []gateway.Usage {
	var all []gateway.Usage
	for i, u := range users {
		one := gateway.Usage{User: u.Name, Bytes: 70, Files: 7, MaxBytes: u.Limits.Bytes}
		if i == 0 {
			one.Counted = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		}
		all = append(all, one)
	}
	return all
}

func quotaUsers() []*auth.User {
	return []*auth.User{{Name: "ann", Limits: auth.Limits{Bytes: 100}}, {Name: "ben", Limits: auth.Limits{Files: 1}}, {Name: "eve"}}
}

func TestRecount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &countingServer{fail: errors.New("the store is down")}
		var log lockedBuffer
		r := newRecounter(s, quotaUsers, time.Hour, slog.New(slog.NewTextHandler(&log, nil)))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { r.keep(ctx); close(done) }()
		want := func(when string, counts ...string) {
			t.Helper()
			synctest.Wait()
			if diff := cmp.Diff(counts, s.taken()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", when, diff)
			}
		}
		want("at the start", "ann ben eve")
		if !strings.Contains(log.String(), "the store is down") {
			t.Errorf("the log is %q", log.String())
		}
		if err := r.source().reload(); err != nil {
			t.Error(err)
		}
		want("after SIGHUP", "ann ben eve")
		<-time.After(time.Hour)
		want("after an hour", "ann ben eve")
		cancel()
		<-done
		want("after the end")
	})
}

func TestQuotaCommands(t *testing.T) {
	s := &countingServer{}
	socket := filepath.Join(t.TempDir(), "admin.sock")
	a, err := listenAdmin(t.Context(), socket, newRecounter(s, quotaUsers, 0, slog.New(slog.DiscardHandler)), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	want := func(code int, text string, args ...string) {
		t.Helper()
		var out bytes.Buffer
		if got := run(t.Context(), append(append([]string{"quota"}, args...), "--socket", socket), nil, &out, &out); got != code || !strings.Contains(out.String(), text) {
			t.Errorf("quota %q: %d %q, want %d %q", args, got, out.String(), code, text)
		}
	}
	want(0, "USER  BYTES  OF   FILES  OF  COUNTED\nann   70     100  7      -   2026-01-02T03:04:05Z\nben   ?      -    ?      -   not yet\n", "list")
	if counts := s.taken(); len(counts) > 0 {
		t.Errorf("a list counts %q", counts)
	}
	want(0, "COUNTED\nann   70     100  7      -   2026-01-02T03:04:05Z\n", "count", "ann")
	want(0, "ben", "count")
	if diff := cmp.Diff([]string{"ann", "ann ben eve"}, s.taken()); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
	want(1, `\"eve\" is not a user with a quota`, "count", "eve")
	want(1, "not a user", "count", "ann", "nobody")
	if counts := s.taken(); len(counts) > 0 {
		t.Errorf("counted %q", counts)
	}
	s.fail = errors.New("the store is down")
	want(1, "the store is down", "count")
	want(2, "unknown command", "lst")
}
