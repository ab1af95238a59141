package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/backends/gcsfake"
	"github.com/sluice-ftp/sluice/yamlfile"
)

const testSessionKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

// Whatever is wrong with a backend of type gcs is told at once, and never a key.
func TestGCSProblems(t *testing.T) {
	for name, test := range map[string]struct{ keys, want string }{
		"bucket": {"prefix: in", "bucket: missing; name the bucket"},
		"prefix": {"bucket: b, prefix: a//b", `prefix: "a//b" cannot be the beginning of a key; write it like in/ or partners/in/`},
		"clear":  {"bucket: b, endpoint: 'http://e'", `endpoint: "http://e" is not encrypted; write https, or set allow_http: true`},
		"nobody": {"bucket: b, anonymous: true", "anonymous: is for emulators only; set allow_http: true with it, or leave it out"},
		"nobody and somebody": {
			"bucket: b, anonymous: true, allow_http: true, credentials_file: k", "anonymous: there are credentials too; leave out one of them",
		},
		"account": {
			"bucket: b, impersonate_service_account: sluice",
			`impersonate_service_account: "sluice" is not the address of an account; write it like name@project.iam.gserviceaccount.com`,
		},
		"key": {
			"bucket: b, kms_key_name: k", `kms_key_name: "k" is not the name of a key; write it like projects/P/locations/L/keyRings/R/cryptoKeys/K`,
		},
		"a week":            {"bucket: b, resumable: {ttl: 168h}", "resumable.ttl: 168h is too long: Google forgets uploads after a week; give 144h or less"},
		"short session key": {"bucket: b, session_key: U2VjcmV0", "session_key: not 32 bytes in base64; make one with: openssl rand -base64 32"},
		"two session keys":  {"bucket: b, session_key: " + testSessionKey + ", session_key_file: f", "session_key_file: there is session_key too; give one of them"},
		"of another store":  {"bucket: b, region: r", "region: unknown key; known here are"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseConfig("F", []byte("tls: {mode: off}\nusers_file: u\nbackends:\n  lake: {type: gcs, "+test.keys+"}\n"), nil)
			var ps yamlfile.Problems
			if !errors.As(err, &ps) || !strings.Contains(ps.Error(), ": backends.lake."+test.want) || strings.Count(ps.Error(), "\n") > 0 {
				t.Errorf("%v, want %s", err, test.want)
			}
			if strings.Contains(fmt.Sprint(err), "U2VjcmV0") || strings.Contains(fmt.Sprint(err), testSessionKey) {
				t.Error("a key is told:", err)
			}
		})
	}
}

// lakeConfig writes a configuration with a backend of type gcs at a server.
func lakeConfig(t *testing.T, f *gcsfake.Server, keys string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "users.yaml"), "users:\n  - name: acme\n    password_hash: "+aHash+"\n    mounts: [{path: /, backend: lake, permissions: [list]}]\n")
	path := filepath.Join(dir, "sluice.yaml")
	write(t, path, fmt.Sprintf("tls: {mode: off}\nlisten: {ftp: \"127.0.0.1:0\", http: \"\"}\nusers_file: users.yaml\nbackends:\n"+
		"  lake: {type: gcs, prefix: in, endpoint: %q, allow_http: true%s}\n", f.URL(), keys))
	return path
}

// What the bucket says of the configuration is told by check, with the key to correct.
func TestGCSFindings(t *testing.T) {
	t.Parallel()
	const anyone = ", bucket: bucket, anonymous: true"
	for name, test := range map[string]struct {
		options gcsfake.Options
		keys    string
		want    string
	}{
		"right":             {gcsfake.Options{NoAuth: true}, anyone, ""},
		"no such bucket":    {gcsfake.Options{NoAuth: true}, ", bucket: pond, anonymous: true", `backends.lake.bucket: list "in/": store misconfigured`},
		"no credentials":    {gcsfake.Options{}, anyone, "backends.lake.credentials_file: "},
		"no file":           {gcsfake.Options{}, ", bucket: bucket, credentials_file: nowhere.json", "backends.lake.credentials_file: "},
		"requester pays":    {gcsfake.Options{NoAuth: true, RequesterPays: true}, anyone, "backends.lake.user_project: "},
		"pays":              {gcsfake.Options{NoAuth: true, RequesterPays: true}, anyone + ", user_project: p", ""},
		"flat":              {gcsfake.Options{NoAuth: true}, anyone + ", hierarchical_namespace: true", "backends.lake.hierarchical_namespace: "},
		"hierarchical":      {gcsfake.Options{NoAuth: true, Hierarchical: true}, anyone + ", hierarchical_namespace: true", ""},
		"no session key":    {gcsfake.Options{NoAuth: true}, anyone + ", session_key_file: nowhere", "backends.lake.session_key_file: "},
		"wrong session key": {gcsfake.Options{NoAuth: true}, anyone + ", session_key_file: users.yaml", "backends.lake.session_key_file: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := gcsfake.Start(t, test.options)
			code, _, log := sluice(t.Context(), "check", "--config", lakeConfig(t, f, test.keys))
			if (code == exitOK) != (test.want == "") || !strings.Contains(log, test.want) {
				t.Errorf("%d %q, want %q", code, log, test.want)
			}
		})
	}
}

// Who has no session key is told what is missed.
func TestGCSKeyless(t *testing.T) {
	t.Parallel()
	const warning = "warning: backends.lake: uploads that break off are not kept: there is no session_key"
	f := gcsfake.Start(t, gcsfake.Options{NoAuth: true})
	for keys, want := range map[string]bool{
		"": true, ", session_key: " + testSessionKey: false, ", resumable: {enabled: false}": false,
	} {
		code, _, log := sluice(t.Context(), "check", "--config", lakeConfig(t, f, ", bucket: bucket, anonymous: true"+keys))
		if code != exitOK || strings.Contains(log, warning) != want || strings.Contains(log, testSessionKey) {
			t.Errorf("%q: %d %s", keys, code, log)
		}
	}
}

// The doctor finds nothing wrong with a good store, says what a session key is for, and leaves nothing.
func TestGCSDoctor(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		options  gcsfake.Options
		keys     string
		warnings []string
	}{
		"flat":         {gcsfake.Options{}, "", nil},
		"hierarchical": {gcsfake.Options{Hierarchical: true}, ", hierarchical_namespace: true", nil},
		"unknown kind": {gcsfake.Options{Hierarchical: true}, "", []string{"kind of bucket"}},
		"no moving":    {gcsfake.Options{Quirks: gcsfake.Quirks{NoMove: true}}, "", []string{"rename"}},
		"keyless":      {gcsfake.Options{}, ", session_key: ''", []string{"resume"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.options.NoAuth = true
			f := gcsfake.Start(t, test.options)
			f.Put("in/of others", []byte("content"), nil)
			if !strings.Contains(test.keys, "session_key") {
				test.keys += ", session_key: " + testSessionKey
			}
			code, out, log := sluice(t.Context(), "doctor", "--config", lakeConfig(t, f, ", bucket: bucket, anonymous: true"+test.keys))
			if code != exitOK || log != "" || !strings.HasPrefix(out, "lake: gs://bucket/in/\n\nok       credentials            anonymous\n") {
				t.Errorf("%d %s\n%s", code, log, out)
			}
			var warnings []string
			for line := range strings.Lines(out) {
				if probe, ok := strings.CutPrefix(line, "warning  "); ok {
					warnings = append(warnings, strings.TrimSpace(probe[:21]))
				}
				outcome, _, _ := strings.Cut(line, " ")
				if slices.Contains([]string{"ok", "warning", "failed", "skipped"}, outcome) && !aligned.MatchString(line) {
					t.Errorf("%q", line)
				}
			}
			if diff := cmp.Diff(test.warnings, warnings); diff != "" {
				t.Errorf("%s\n%s", diff, out)
			}
			if diff := cmp.Diff([]string{"in/of others"}, f.Keys()); diff != "" {
				t.Error("left behind:", diff)
			}
			for _, folder := range f.Folders() {
				if name == "hierarchical" && strings.HasPrefix(folder, "in/.sluice/doctor/") && folder != "in/.sluice/doctor/" {
					t.Error("left behind:", folder)
				}
			}
		})
	}
}

// A store that does not keep what Google promises is found out.
func TestGCSDoctorFindsLiars(t *testing.T) {
	t.Parallel()
	for op, want := range map[string]string{
		"objects.insert":  "put",
		"objects.delete":  "delete",
		"objects.compose": "compose",
		"session.start":   "session",
		"objects.patch":   "set the time",
	} {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			f := gcsfake.Start(t, gcsfake.Options{NoAuth: true})
			f.OnRequest(func(r gcsfake.Request) gcsfake.Fault {
				return map[bool]gcsfake.Fault{true: {Status: 403, Reason: "forbidden"}}[r.Op == op]
			})
			code, out, _ := sluice(t.Context(), "doctor", "--config", lakeConfig(t, f, ", bucket: bucket, anonymous: true"))
			if code != exitFailure || !strings.Contains(out, "\nfailed: "+want+": 403 forbidden") || !strings.Contains(out, "roles/storage.objectUser") {
				t.Errorf("%d\n%s", code, out)
			}
		})
	}
}
