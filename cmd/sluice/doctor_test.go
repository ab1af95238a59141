package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-ftp/sluice/backends/s3fake"
)

// patientConfig writes a configuration with backends of type s3, each with a server, and returns its path.
func patientConfig(t *testing.T, profile string, servers map[string]*s3fake.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sluice.yaml")
	var b strings.Builder
	b.WriteString("tls: {mode: off}\nusers_file: users.yaml\nbackends:\n")
	for name, f := range servers {
		fmt.Fprintf(&b, "  %s: {type: s3, bucket: bucket, prefix: in, endpoint: %q, path_style: true, allow_http: true,\n"+
			"    access_key_id: testkey, secret_access_key: testsecret, profile: %s}\n", name, f.URL(), profile)
	}
	write(t, path, b.String())
	return path
}

func sluice(ctx context.Context, args ...string) (code int, out, log string) {
	var stdout, stderr bytes.Buffer
	code = run(ctx, args, strings.NewReader(""), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	lake := s3fake.Start(t, s3fake.Options{})
	lake.SetLifecycle(7)
	pond := s3fake.Start(t, s3fake.Options{Quirks: s3fake.Quirks{IgnoreConditionalCopy: true}})
	path := patientConfig(t, "aws", map[string]*s3fake.Server{"lake": lake, "pond": pond})

	code, out, log := sluice(t.Context(), "doctor", "--config", path, "--backend", "lake")
	if code != exitOK || log != "" {
		t.Fatalf("%d %s", code, log)
	}
	lines := strings.Split(out, "\n")
	if lines[0] != "lake: s3://bucket/in/" || lines[1] != "" || lines[2] != "ok       credentials            from StaticCredentials" {
		t.Errorf("%q", lines[:3])
	}
	if !strings.HasSuffix(out, "\nok       profile                \"aws\" fits\n\nprofile that fits: aws; configured: aws\n") {
		t.Errorf("%s", out)
	}
	if strings.Contains(out, "pond") || pond.Count("") > 0 {
		t.Error("it was not asked about the other one")
	}

	code, out, log = sluice(t.Context(), "doctor", "--config", path)
	if code != exitFailure || log != "sluice: doctor: backend \"pond\": 1 of 37 probes failed\n" {
		t.Errorf("%d %q", code, log)
	}
	for _, want := range []string{
		"lake: s3://bucket/in/\n\n",
		"\n\npond: s3://bucket/in/\n\n",
		"\nok       copy if absent         ignored: the copy replaced what was there\n",
		"\nwarning  lifecycle rule         there is none that aborts stale uploads\n",
		"\nprofile that fits: versity; configured: aws\n\n" +
			"failed: profile: \"aws\" promises what this store does not do: conditional copies\n" +
			"  set profile: versity; else users without the permission overwrite could replace files by renaming others\n\n" +
			"warning: lifecycle rule: there is none that aborts stale uploads\n" +
			"  set the one of docs/backends.md",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
	// The columns begin where they begin, so none is too narrow.
	for line := range strings.Lines(out) {
		outcome, _, _ := strings.Cut(line, " ")
		if slices.Contains([]string{"ok", "warning", "failed", "skipped"}, outcome) && !aligned.MatchString(line) {
			t.Errorf("%q", line)
		}
	}
	if keys := append(lake.Keys(), pond.Keys()...); len(keys) > 0 || len(lake.Uploads())+len(pond.Uploads()) > 0 {
		t.Errorf("left %q", keys)
	}
}

// aligned is a line of the table: nothing in a column is as wide as it.
var aligned = regexp.MustCompile(`^(ok     |warning|failed |skipped)  [a-z](.{20}  \S|[a-z0-9, ]{0,20}\n$)`)

// screen may be read while it is written.
type screen struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// Each row is there as soon as it is known, and whoever gives up is told so.
func TestDoctorInterrupted(t *testing.T) {
	t.Parallel()
	f := s3fake.Start(t, s3fake.Options{})
	path := patientConfig(t, "aws", map[string]*s3fake.Server{"lake": f, "pond": f})
	ctx, cancel := context.WithCancel(t.Context())
	var out screen
	f.OnRequest(func(r s3fake.Request) s3fake.Fault {
		if r.Op == "CopyObject" {
			if !strings.Contains(out.String(), "\nok       get a range\n") {
				t.Errorf("it prints nothing while it works: %q", out.String())
			}
			cancel()
		}
		return s3fake.Fault{}
	})
	var log bytes.Buffer
	code := run(ctx, []string{"doctor", "--config", path}, strings.NewReader(""), &out, &log)
	if code != exitFailure || !strings.Contains(log.String(), "sluice: doctor: backend \"lake\": interrupted\n") {
		t.Errorf("%d %q", code, &log)
	}
	if text := out.String(); !strings.Contains(text, "\nskipped  put if absent          interrupted\n") ||
		!strings.Contains(text, "\nok       clean up\n") || strings.Contains(text, "pond") {
		t.Errorf("%s", text)
	}
	if left := f.Keys(); len(left) > 0 || len(f.Uploads()) > 0 {
		t.Errorf("left %q", left)
	}
}
