package s3_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/backends/bucket"
	"github.com/sluice-ftp/sluice/backends/s3"
	"github.com/sluice-ftp/sluice/backends/s3fake"
)

// doctorPart is the smallest part of the servers that doctors look at here.
const doctorPart = 64 << 10

// doctored starts a server with a good lifecycle rule and returns what a doctor is told about it.
func doctored(t testing.TB, o s3fake.Options) (*s3fake.Server, s3.Config) {
	t.Helper()
	if o.Quirks.MinPartSize == 0 {
		o.Quirks.MinPartSize = doctorPart
	}
	f := s3fake.Start(t, o)
	f.SetLifecycle(7)
	f.Put("not/ours", []byte("x"), nil)
	c := config(t, f)
	c.Prefix = "a prefix/"
	c.Profile, _ = s3.ProfileByName("aws")
	return f, c
}

// behind puts something between the doctor and a server.
func behind(t testing.TB, c *s3.Config, h http.HandlerFunc) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	c.Endpoint = server.URL
}

// examine runs a doctor and sees to it that nothing is left but what was there.
func examine(t testing.TB, f *s3fake.Server, c s3.Config) s3.Diagnosis {
	t.Helper()
	before := f.Keys()
	d := s3.DoctorWith(t.Context(), c, doctorPart, nil)
	if diff := cmp.Diff(before, f.Keys()); diff != "" {
		t.Errorf("objects: %s", diff)
	}
	if left := f.Uploads(); len(left) > 0 {
		t.Errorf("uploads: %v", left)
	}
	return d
}

// remarks are the outcomes of the probes that were not simply ok.
func remarks(d s3.Diagnosis) map[string]bucket.Outcome {
	all := map[string]bucket.Outcome{}
	for _, r := range d.Results {
		if r.Outcome != bucket.OutcomeOK {
			all[r.Probe] = r.Outcome
		}
	}
	return all
}

// result is that of one probe.
func result(t testing.TB, d s3.Diagnosis, probe string) bucket.Result {
	t.Helper()
	i := slices.IndexFunc(d.Results, func(r bucket.Result) bool { return r.Probe == probe })
	if i < 0 {
		t.Fatalf("no result of %q", probe)
	}
	return d.Results[i]
}

func TestDoctorHealthy(t *testing.T) {
	t.Parallel()
	f, c := doctored(t, s3fake.Options{Quirks: s3fake.Quirks{MinPartSize: 5 << 20}})
	c.Tags, c.StorageClass, c.SSE, c.KMSKeyID = map[string]string{"a": "b c"}, "STANDARD_IA", "aws:kms", "key"
	var seen []bucket.Result
	d := s3.Doctor(t.Context(), c, func(r bucket.Result) { seen = append(seen, r) })
	if diff := cmp.Diff(map[string]bucket.Outcome{}, remarks(d)); diff != "" {
		t.Errorf("%s\n%v", diff, d.Results)
	}
	want, _ := s3.ProfileByName("aws")
	want.Name = ""
	if d.Measured != want || len(d.Unmeasured) > 0 || !slices.Equal(d.Fits, []string{"aws"}) || d.Failed() != 0 {
		t.Errorf("%+v, unmeasured %q, fits %q", d.Measured, d.Unmeasured, d.Fits)
	}
	if diff := cmp.Diff(seen, d.Results); diff != "" {
		t.Error(diff)
	}
	var names []string
	for _, r := range d.Results {
		names = append(names, r.Probe)
	}
	if diff := cmp.Diff(append(s3.Probes(), "clean up", "profile"), names); diff != "" {
		t.Error(diff)
	}
	if left := f.Keys(); len(left) != 1 {
		t.Errorf("left %q", left)
	}
	for _, r := range f.Requests() {
		below := r.Key == "" || strings.HasPrefix(r.Key, "a prefix/.sluice/doctor/")
		prefix := r.Query.Get("prefix")
		if !below || prefix != "" && !strings.HasPrefix(prefix, "a prefix/.sluice/doctor/") {
			t.Errorf("%s %q %q is none of its business", r.Op, r.Key, prefix)
		}
	}
}

func TestDoctorQuirks(t *testing.T) {
	t.Parallel()
	const warning, failed = bucket.OutcomeWarning, bucket.OutcomeFailed
	for name, test := range map[string]struct {
		quirks  s3fake.Quirks
		profile string // else aws
		// remarks are those beside the one on the profile, which is about promises of it.
		remarks map[string]bucket.Outcome
		judged  bucket.Outcome
		broken  string
		fits    []string
	}{
		"UniformParts": {
			quirks:  s3fake.Quirks{UniformParts: true},
			remarks: map[string]bucket.Outcome{"parts of any size": warning},
			judged:  failed, broken: "parts of any size", fits: []string{"r2"},
		},
		"NoConditionalPut": {
			quirks:  s3fake.Quirks{NoConditionalPut: true},
			remarks: map[string]bucket.Outcome{"put if absent": warning, "put if unchanged": warning},
			judged:  failed, broken: "conditional puts", fits: []string{"ceph", "wasabi"},
		},
		"IgnoreConditionalComplete": {
			quirks:  s3fake.Quirks{IgnoreConditionalComplete: true},
			remarks: map[string]bucket.Outcome{"complete if absent": warning, "complete if unchanged": warning},
			judged:  failed, broken: "conditional completes", fits: []string{"ceph", "wasabi"},
		},
		"NoConditionalComplete": {
			quirks:  s3fake.Quirks{NoConditionalComplete: true},
			remarks: map[string]bucket.Outcome{"complete if absent": warning, "complete if unchanged": warning},
			judged:  failed, broken: "conditional completes", fits: []string{"ceph", "wasabi"},
		},
		"IgnoreConditionalCopy": {
			quirks: s3fake.Quirks{IgnoreConditionalCopy: true},
			judged: failed, broken: "conditional copies", fits: []string{"versity"},
		},
		"IgnoreConditionalDelete": {
			quirks:  s3fake.Quirks{IgnoreConditionalDelete: true},
			remarks: map[string]bucket.Outcome{"delete if unchanged": warning},
			judged:  failed, broken: "conditional deletes", fits: []string{"minio"},
		},
		"CompleteOnce": {
			quirks: s3fake.Quirks{CompleteOnce: true},
			judged: warning, broken: "a repeated complete", fits: []string{"minio"},
		},
		"CompleteAfterAbort": {
			quirks:  s3fake.Quirks{CompleteAfterAbort: true},
			remarks: map[string]bucket.Outcome{"complete after abort": warning}, fits: []string{"aws"},
		},
		"NoChecksums": {
			quirks: s3fake.Quirks{NoChecksums: true},
			remarks: map[string]bucket.Outcome{
				"checksum of an object": warning, "checksum of a part": warning,
				"checksum of a whole": warning,
			},
			judged: failed, broken: "checksums", fits: []string{"r2"},
		},
		"NoPartCopy": {
			quirks:  s3fake.Quirks{NoPartCopy: true},
			remarks: map[string]bucket.Outcome{"copy in parts": warning},
			judged:  failed, broken: "copies in parts", fits: []string{"gcs"},
		},
		"NoEncodingType": {
			quirks:  s3fake.Quirks{NoEncodingType: true},
			remarks: map[string]bucket.Outcome{"names": warning}, fits: []string{"aws"},
		},
		// The adapter leaves out what comes twice.
		"RepeatPrefixes":    {quirks: s3fake.Quirks{RepeatPrefixes: true}, fits: []string{"aws"}},
		"ExactUploadPrefix": {quirks: s3fake.Quirks{ExactUploadPrefix: true}, fits: []string{"aws"}},
		"NoKeyBelowObject": {
			quirks:  s3fake.Quirks{NoKeyBelowObject: true},
			remarks: map[string]bucket.Outcome{"folder beside file": warning}, fits: []string{"aws"},
		},
		"NoLifecycle": {
			quirks:  s3fake.Quirks{NoLifecycle: true},
			remarks: map[string]bucket.Outcome{"lifecycle rule": warning},
			judged:  warning, broken: "rules for stale uploads", fits: []string{"versity"},
		},
		"MaxParts": {
			quirks:  s3fake.Quirks{MaxParts: 1000},
			remarks: map[string]bucket.Outcome{"part 10,000": warning}, fits: []string{"aws"},
		},
		"MinPartSize": {
			quirks: s3fake.Quirks{MinPartSize: doctorPart + 1},
			remarks: map[string]bucket.Outcome{
				"parts of any size": failed, "copy in parts": bucket.OutcomeSkipped,
			},
			judged: bucket.OutcomeSkipped, broken: "copies in parts, parts of any size",
		},
		"nothing at all": {
			quirks: s3fake.Quirks{
				UniformParts: true, NoConditionalPut: true, NoConditionalComplete: true, IgnoreConditionalCopy: true,
				CompleteOnce: true, NoChecksums: true, NoPartCopy: true, NoLifecycle: true,
			},
			profile: "gcs",
			remarks: map[string]bucket.Outcome{
				"parts of any size": warning, "put if absent": warning, "put if unchanged": warning,
				"complete if absent": warning, "complete if unchanged": warning, "checksum of an object": warning,
				"checksum of a part": warning, "checksum of a whole": warning,
				"copy in parts": warning, "lifecycle rule": warning,
			},
			judged: failed, broken: "parts of any size, rules for stale uploads",
		},
		"no copy in parts and no rule": {
			quirks:  s3fake.Quirks{NoPartCopy: true, NoLifecycle: true},
			profile: "gcs",
			remarks: map[string]bucket.Outcome{"copy in parts": warning, "lifecycle rule": warning},
			fits:    []string{"gcs"},
		},
		"versitygw": {
			quirks: s3fake.Quirks{
				IgnoreConditionalCopy: true, CompleteAfterAbort: true, NoEncodingType: true, NoKeyBelowObject: true, NoLifecycle: true,
			},
			profile: "versity",
			remarks: map[string]bucket.Outcome{
				"complete after abort": warning, "names": warning, "folder beside file": warning, "lifecycle rule": warning,
			},
			fits: []string{"versity"},
		},
		"b2": {
			quirks: s3fake.Quirks{
				NoConditionalPut: true, NoConditionalComplete: true, IgnoreConditionalCopy: true, NoChecksums: true,
				CompleteOnce: true, NoLifecycle: true,
			},
			profile: "b2",
			remarks: map[string]bucket.Outcome{
				"put if absent": warning, "put if unchanged": warning, "complete if absent": warning,
				"complete if unchanged": warning, "checksum of an object": warning, "checksum of a part": warning,
				"checksum of a whole": warning, "lifecycle rule": warning,
			},
			fits: []string{"b2", "generic"},
		},
		"more than generic promises": {profile: "generic", judged: warning, broken: "checksums", fits: []string{"aws"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, c := doctored(t, s3fake.Options{Quirks: test.quirks})
			if test.profile != "" {
				c.Profile, _ = s3.ProfileByName(test.profile)
			}
			d := examine(t, f, c)
			got := remarks(d)
			judged := result(t, d, "profile")
			if test.judged == "" {
				test.judged = bucket.OutcomeOK
			}
			if said := judged.Found + judged.Todo; judged.Outcome != test.judged || !strings.Contains(said, test.broken) {
				t.Errorf("profile: %+v", judged)
			}
			delete(got, "profile")
			if test.remarks == nil {
				test.remarks = map[string]bucket.Outcome{}
			}
			if c.Profile != (s3.Profile{}) && !c.Profile.IfAbsent() {
				test.remarks["resume"] = warning
			}
			if diff := cmp.Diff(test.remarks, got); diff != "" {
				t.Errorf("%s\n%v", diff, d.Results)
			}
			if !slices.Equal(d.Fits, test.fits) {
				t.Errorf("fits %q, want %q", d.Fits, test.fits)
			}
			if said := result(t, d, "list uploads").Found; test.quirks.ExactUploadPrefix != (said != "") {
				t.Errorf("list uploads: %q", said)
			}
		})
	}
}
