package s3_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/backends/bucket"
	"github.com/sluice-ftp/sluice/backends/s3"
	"github.com/sluice-ftp/sluice/backends/s3fake"
)

// everyNth request is spoilt in a run of the tests, from a random one on: a doctor makes 150 of them.
const everyNth = 5

// someRequests returns the numbers of some requests of a doctor.
func someRequests(t testing.TB) (numbers []int, all int) {
	t.Helper()
	f, c := doctored(t, s3fake.Options{})
	examine(t, f, c)
	all = f.Count("")
	for i := 1 + rand.N(everyNth); i <= all; i += everyNth {
		numbers = append(numbers, i)
	}
	return numbers, all
}

// What goes wrong once is asked again, and whatever goes wrong, nothing stays in the bucket.
func TestDoctorFaults(t *testing.T) {
	t.Parallel()
	// Of the last two a doctor cannot know that they mean nothing.
	faults := []s3fake.Fault{
		{After: true},
		{Status: http.StatusInternalServerError},
		{Before: true},
		{Code: "SlowDown"},
		{Code: "AccessDenied"},
		{BodyError: "InternalError"},
	}
	numbers, _ := someRequests(t)
	for _, number := range numbers {
		kind := rand.N(len(faults))
		t.Run(fmt.Sprintf("%d-%d", number, kind), func(t *testing.T) {
			t.Parallel()
			f, c := doctored(t, s3fake.Options{})
			f.OnRequest(func(r s3fake.Request) s3fake.Fault {
				if r.Index == number {
					return faults[kind]
				}
				return s3fake.Fault{}
			})
			d := examine(t, f, c)
			if r := result(t, d, "clean up"); r.Outcome == bucket.OutcomeFailed {
				t.Errorf("%+v", r)
			}
			if kind < len(faults)-2 && d.Failed() > 0 {
				t.Errorf("%v", d.Results)
			}
		})
	}
}

// Whoever gives up in the middle leaves nothing behind, and is told what was not looked at.
func TestDoctorCancelled(t *testing.T) {
	t.Parallel()
	numbers, all := someRequests(t)
	for _, number := range numbers {
		t.Run(strconv.Itoa(number), func(t *testing.T) {
			t.Parallel()
			f, c := doctored(t, s3fake.Options{})
			before := f.Keys()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			f.OnRequest(func(r s3fake.Request) s3fake.Fault {
				if r.Index == number {
					cancel()
				}
				return s3fake.Fault{}
			})
			d := s3.DoctorWith(ctx, c, doctorPart, nil)
			if diff := cmp.Diff(before, f.Keys()); diff != "" || len(f.Uploads()) > 0 {
				t.Errorf("%s %v", diff, f.Uploads())
			}
			if len(d.Results) != len(s3.Probes())+2 || d.Failed() > 0 {
				t.Errorf("%v", d.Results)
			}
			if number < all/2 && result(t, d, "lifecycle rule").Outcome != bucket.OutcomeSkipped {
				t.Error("not interrupted")
			}
		})
	}
}

// What cannot be listed is known, also what was stored by a request without an answer.
func TestDoctorUnlisted(t *testing.T) {
	t.Parallel()
	for op, quirks := range map[string]s3fake.Quirks{
		"PutObject": {}, "CopyObject": {}, "CompleteMultipartUpload": {}, "CreateMultipartUpload": {ExactUploadPrefix: true},
	} {
		f, c := doctored(t, s3fake.Options{Quirks: quirks})
		f.OnRequest(func(r s3fake.Request) s3fake.Fault {
			switch {
			case r.Op == op && f.Count(op) == 3:
				return s3fake.Fault{After: true}
			case r.Op == "ListObjectsV2":
				return s3fake.Fault{Code: "AccessDenied"}
			}
			return s3fake.Fault{}
		})
		if r := result(t, examine(t, f, c), "clean up"); r.Outcome != bucket.OutcomeOK {
			t.Errorf("%s: %+v", op, r)
		}
	}
}

// What could not be removed is named, and nothing else.
func TestDoctorLeft(t *testing.T) {
	t.Parallel()
	f, c := doctored(t, s3fake.Options{})
	f.OnRequest(func(r s3fake.Request) s3fake.Fault {
		switch {
		case r.Op == "PutObject" && f.Count(r.Op) == 1:
			return s3fake.Fault{Before: true} // which may have been stored, for all that is known
		case r.Op == "DeleteObject":
			return s3fake.Fault{Code: "AccessDenied"}
		}
		return s3fake.Fault{}
	})
	d := s3.DoctorWith(t.Context(), c, doctorPart, nil)
	left := leftovers(f, c.Prefix)
	if r := result(t, d, "clean up"); len(left) != 2 || r.Found != "left behind: "+strings.Join(left, ", ") {
		t.Errorf("%+v, left %q", r, left)
	}
}

// A request that writes is waited for, because it may take effect after the last look at the bucket.
func TestDoctorWaits(t *testing.T) {
	t.Parallel()
	f, c := doctored(t, s3fake.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	behind(t, &c, func(w http.ResponseWriter, r *http.Request) {
		content, err := io.ReadAll(r.Body) // or nobody would notice that the client has gone
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(content))
		if r.Method == http.MethodPut && ctx.Err() == nil {
			cancel()
			select {
			case <-r.Context().Done():
				t.Error("it did not wait")
			case <-time.After(100 * time.Millisecond):
			}
		}
		f.ServeHTTP(w, r)
	})
	d := s3.DoctorWith(ctx, c, doctorPart, nil)
	if r := result(t, d, "delete"); r.Outcome != bucket.OutcomeSkipped {
		t.Errorf("%+v", r)
	}
	if left := leftovers(f, c.Prefix); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

// late is a context whose deadline is when done is closed.
type late struct {
	context.Context
	done chan struct{}
}

func (l late) Done() <-chan struct{} { return l.done }

func (l late) Err() error {
	select {
	case <-l.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// A store that is too slow to be examined is not one of which nothing failed.
func TestDoctorTimeout(t *testing.T) {
	t.Parallel()
	f, c := doctored(t, s3fake.Options{})
	before := f.Keys()
	ctx := late{t.Context(), make(chan struct{})}
	f.OnRequest(func(r s3fake.Request) s3fake.Fault {
		if r.Op == "CopyObject" && f.Count("CopyObject") == 1 {
			close(ctx.done)
		}
		return s3fake.Fault{}
	})
	d := s3.DoctorWith(ctx, c, doctorPart, nil)
	late := map[bucket.Outcome]int{}
	for _, r := range d.Results {
		if r.Found == "time is up" {
			late[r.Outcome]++
		}
	}
	if d.Failed() != 1 || late[bucket.OutcomeFailed] != 1 || late[bucket.OutcomeSkipped] == 0 {
		t.Errorf("%v", d.Results)
	}
	if diff := cmp.Diff(before, f.Keys()); diff != "" {
		t.Error(diff)
	}
}

// What doctors left behind that were killed goes, and what may be of a living one stays.
func TestDoctorLeftovers(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	f, c := doctored(t, s3fake.Options{Now: now})
	behind(t, &c, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", now().UTC().Format(http.TimeFormat))
		f.ServeHTTP(w, r)
	})
	a := open(t, c)
	leave := func(at time.Duration, names ...string) {
		ahead.Store(int64(at))
		for _, name := range names {
			f.Put(c.Prefix+".sluice/"+name+"/object", nil, nil)
			err := s3.BeginUpload(t.Context(), a, c.Prefix+".sluice/"+name+"/upload")
			if err != nil { // the SDK has corrected its clock
				err = s3.BeginUpload(t.Context(), a, c.Prefix+".sluice/"+name+"/upload")
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	leave(0, "doctor/dead", "v1/uploads") // the second is not a doctor's
	leave(2*time.Hour, "doctor/alive")
	ahead.Store(int64(25 * time.Hour))
	d := s3.DoctorWith(t.Context(), c, doctorPart, nil)
	own := c.Prefix + ".sluice/"
	if diff := cmp.Diff([]string{own + "doctor/alive/object", own + "v1/uploads/object", "not/ours"}, f.Keys()); diff != "" {
		t.Error(diff)
	}
	var uploads []string
	for _, u := range f.Uploads() {
		uploads = append(uploads, u.Key)
	}
	if diff := cmp.Diff([]string{own + "doctor/alive/upload", own + "v1/uploads/upload"}, uploads); diff != "" {
		t.Error(diff)
	}
	if r := result(t, d, "clean up"); r.Found != "also of what an earlier run left behind" {
		t.Errorf("%+v", r)
	}
}
