package s3_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/backends/bucket"
	"github.com/sluice-ftp/sluice/backends/s3"
	"github.com/sluice-ftp/sluice/backends/s3fake"
)

func TestDoctorAccess(t *testing.T) {
	t.Parallel()
	stranger := httptest.NewUnstartedServer(http.NotFoundHandler())
	stranger.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of those who do not trust it
	stranger.StartTLS()
	t.Cleanup(stranger.Close)
	for name, test := range map[string]struct {
		o     s3fake.Options
		spoil func(*s3.Config)
		probe string
		found string
		todo  string
	}{
		"region": {
			o: s3fake.Options{Region: "eu-central-1"}, probe: "region",
			found: "us-east-1 is not the bucket's", todo: "region: the bucket is in another one: set it to eu-central-1",
		},
		"key": {
			spoil: func(c *s3.Config) { c.AccessKeyID = "other" }, probe: "access",
			found: "ListObjectsV2: InvalidAccessKeyId: ", todo: "access_key_id: the store does not know this access key",
		},
		"secret": {
			spoil: func(c *s3.Config) { c.SecretAccessKey = "other" }, probe: "access",
			found: "ListObjectsV2: SignatureDoesNotMatch: ", todo: "secret_access_key: it does not belong to the access key",
		},
		"bucket": {
			spoil: func(c *s3.Config) { c.Bucket = "other" }, probe: "access",
			found: "ListObjectsV2: NoSuchBucket: ", todo: `bucket: there is no bucket "other" there`,
		},
		"no credentials": {
			spoil: func(c *s3.Config) { c.SecretAccessKey = "" }, probe: "credentials",
			found: "no credentials: ", todo: "access_key_id: give it and secret_access_key",
		},
		"authority": {
			spoil: func(c *s3.Config) { c.CAFile = "gone.pem" }, probe: "credentials",
			found: "s3: ca_file: open gone.pem", todo: "correct it in the configuration",
		},
		"no server": {
			spoil: func(c *s3.Config) { c.Endpoint = "http://127.0.0.1:1" }, probe: "endpoint",
			found: "ListObjectsV2: dial tcp 127.0.0.1:1: connect: connection refused", todo: "endpoint: the store does not answer",
		},
		"certificate": {
			spoil: func(c *s3.Config) { c.Endpoint = stranger.URL }, probe: "endpoint",
			found: "ListObjectsV2: tls: failed to verify certificate: ", todo: "endpoint: its certificate is not trusted",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, c := doctored(t, test.o)
			if test.spoil != nil {
				test.spoil(&c)
			}
			d := examine(t, f, c)
			r := result(t, d, test.probe)
			if r.Outcome != bucket.OutcomeFailed || !strings.HasPrefix(r.Found, test.found) || !strings.HasPrefix(r.Todo, test.todo) {
				t.Errorf("%+v", r)
			}
			if d.Failed() != 1 || len(d.Fits) > 0 {
				t.Errorf("%d failed, fits %q", d.Failed(), d.Fits)
			}
			for _, r := range d.Results {
				if r.Probe == "put" && r.Outcome != bucket.OutcomeSkipped {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

// What speaks HTTP, and is no S3.
func TestDoctorStranger(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"it answers 404, but not as S3 does": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, "<html><p>no</html>")
		},
		"it answers 403, but not as S3 does": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"it answers 302, but not as S3 does": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/login", http.StatusFound)
		},
		"it answers 200, but not as S3 does": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html><p>hello</html>") },
		"it answers, but with no listing":    func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(h)
			t.Cleanup(server.Close)
			_, c := doctored(t, s3fake.Options{})
			c.Endpoint = server.URL
			r := result(t, s3.DoctorWith(t.Context(), c, doctorPart, nil), "endpoint")
			if r.Outcome != bucket.OutcomeFailed || r.Found != name || r.Todo != "endpoint: correct it; this is another kind of server" {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestDoctorClock(t *testing.T) {
	t.Parallel()
	for ahead, want := range map[time.Duration]bucket.Outcome{
		0:                 bucket.OutcomeOK,
		30 * time.Second:  bucket.OutcomeOK,
		3 * time.Minute:   bucket.OutcomeWarning,
		-3 * time.Minute:  bucket.OutcomeWarning,
		20 * time.Minute:  bucket.OutcomeFailed,
		-20 * time.Minute: bucket.OutcomeFailed,
	} {
		t.Run(ahead.String(), func(t *testing.T) {
			t.Parallel()
			now := func() time.Time { return time.Now().Add(ahead) }
			f, c := doctored(t, s3fake.Options{Now: now})
			d := examine(t, f, c)
			r := result(t, d, "clock")
			if off := skew(t, r.Found) - ahead; r.Outcome != want || off.Abs() > 20*time.Second {
				t.Errorf("%+v", r)
			}
			// The SDK corrects its clock, so all the rest can be looked at.
			if r := result(t, d, "profile"); r.Outcome != bucket.OutcomeOK {
				t.Errorf("%+v", r)
			}
		})
	}
}

// skew is how far the store's clock is said to be ahead.
func skew(t testing.TB, found string) time.Duration {
	t.Helper()
	if found == "as ours" {
		return 0
	}
	words := strings.Fields(found) // the store's is 30s ahead of ours
	d, err := time.ParseDuration(words[3])
	if err != nil {
		t.Fatal(err)
	}
	if words[4] == "behind" {
		return -d
	}
	return d
}

// A store that does not tell its time leaves the SDK without a way to correct its own.
func TestDoctorClockUnknown(t *testing.T) {
	t.Parallel()
	f, c := doctored(t, s3fake.Options{Now: func() time.Time { return time.Now().Add(time.Hour) }})
	behind(t, &c, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		f.ServeHTTP(w, r)
	})
	d := examine(t, f, c)
	if r := result(t, d, "clock"); r.Outcome != bucket.OutcomeWarning || r.Found != "the store does not tell its time" {
		t.Errorf("%+v", r)
	}
	if r := result(t, d, "access"); r.Outcome != bucket.OutcomeFailed || !strings.Contains(r.Todo, "set this one's by NTP") {
		t.Errorf("%+v", r)
	}
}

func TestDoctorLifecycle(t *testing.T) {
	t.Parallel()
	const one = "<Rule><Status>%s</Status>%s<AbortIncompleteMultipartUpload><DaysAfterInitiation>%d</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>"
	prefix := func(p string) string { return "<Filter><Prefix>" + p + "</Prefix></Filter>" }
	for name, test := range map[string]struct {
		rules   []string
		code    string
		outcome bucket.Outcome
		found   string
	}{
		"all":           {[]string{fmt.Sprintf(one, "Enabled", prefix(""), 7)}, "", bucket.OutcomeOK, "aborts uploads after 7 days"},
		"two days":      {[]string{fmt.Sprintf(one, "Enabled", prefix("a "), 2)}, "", bucket.OutcomeOK, "aborts uploads after 2 days"},
		"old":           {[]string{fmt.Sprintf(one, "Enabled", "<Prefix></Prefix>", 3)}, "", bucket.OutcomeOK, "aborts uploads after 3 days"},
		"and":           {[]string{fmt.Sprintf(one, "Enabled", "<Filter><And><Prefix>a prefix/</Prefix></And></Filter>", 3)}, "", bucket.OutcomeOK, "aborts uploads after 3 days"},
		"shorter":       {[]string{fmt.Sprintf(one, "Enabled", prefix(""), 7), fmt.Sprintf(one, "Enabled", prefix(""), 1)}, "", bucket.OutcomeWarning, "one aborts uploads after 1 day"},
		"shorter below": {[]string{fmt.Sprintf(one, "Enabled", prefix(""), 7), fmt.Sprintf(one, "Enabled", prefix("a prefix/b/"), 1)}, "", bucket.OutcomeWarning, "one aborts uploads after 1 day"},
		"elsewhere":     {[]string{fmt.Sprintf(one, "Enabled", prefix("b"), 1)}, "", bucket.OutcomeWarning, "there is none that aborts stale uploads below all of the prefix"},
		"below":         {[]string{fmt.Sprintf(one, "Enabled", prefix("a prefix/b/"), 7)}, "", bucket.OutcomeWarning, "there is none that aborts stale uploads below all of the prefix"},
		"disabled":      {[]string{fmt.Sprintf(one, "Disabled", prefix(""), 7)}, "", bucket.OutcomeWarning, "there is none that aborts stale uploads below all of the prefix"},
		"another":       {[]string{"<Rule><Status>Enabled</Status><Filter><Prefix></Prefix></Filter><Expiration><Days>1</Days></Expiration></Rule>"}, "", bucket.OutcomeWarning, "there is none that aborts stale uploads below all of the prefix"},
		"none":          {nil, "NoSuchLifecycleConfiguration", bucket.OutcomeWarning, "there is none that aborts stale uploads"},
		"denied":        {nil, "AccessDenied", bucket.OutcomeWarning, "unknown: GetBucketLifecycleConfiguration: AccessDenied: injected by the test"},
		"unknown":       {nil, "NotImplemented", bucket.OutcomeWarning, "this store has none: GetBucketLifecycleConfiguration: NotImplemented: injected by the test"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, c := doctored(t, s3fake.Options{})
			f.OnRequest(func(r s3fake.Request) s3fake.Fault {
				if r.Op == "GetBucketLifecycleConfiguration" {
					return s3fake.Fault{Code: test.code}
				}
				return s3fake.Fault{}
			})
			behind(t, &c, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Has("lifecycle") && test.code == "" {
					fmt.Fprintf(w, "<LifecycleConfiguration>%s</LifecycleConfiguration>", strings.Join(test.rules, ""))
					return
				}
				f.ServeHTTP(w, r)
			})
			d := examine(t, f, c)
			r := result(t, d, "lifecycle rule")
			if r.Outcome != test.outcome || r.Found != test.found || (r.Todo == "") != (r.Outcome == bucket.OutcomeOK) {
				t.Errorf("%+v", r)
			}
			if d.Failed() > 0 {
				t.Errorf("failed: %v", d.Results)
			}
			wantUnmeasured := test.outcome == bucket.OutcomeWarning && name != "unknown" && !strings.HasPrefix(name, "shorter")
			if got := slices.Contains(d.Unmeasured, "rules for stale uploads"); got != wantUnmeasured {
				t.Errorf("unmeasured %q", d.Unmeasured)
			}
		})
	}
}
