package gcs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
)

// Doctor probes a bucket, below Prefix + ".sluice/doctor/", and removes what it wrote, also when ctx
// ends. seen gets each result as soon as it is there; it may be nil. About 2 MiB are sent.
func Doctor(ctx context.Context, c Config, seen func(bucket.Result)) bucket.Examination {
	d := &doctor{}
	d.Seen, d.Brief, d.Remedy = seen, brief, d.remedy
	c.SweepEvery = -1
	a, err := Open(ctx, c)
	if err != nil {
		setting, todo := c.advice(err)
		if todo == "" {
			setting, todo = "configuration", "correct it"
		}
		d.Conclude(bucket.Result{Probe: "credentials", Outcome: bucket.OutcomeFailed, Found: brief(err), Todo: setting + ": " + todo})
		return d.Examination
	}
	d.a, d.s, d.token = a, a.store, rand.Text()
	d.Store = d.s
	d.root = a.Prefix + backends.Private + "/doctor/"
	d.Folder = d.root + d.token + "/"

	probing, cancel := context.WithTimeout(ctx, bucket.ExaminationTime)
	for _, p := range probes {
		d.Conclude(d.Perform(probing, p.name, p.needs, func(ctx context.Context, dir string) (bucket.Result, error) {
			return p.run(d, ctx, dir)
		}))
	}
	cancel()
	d.Conclude(d.tidy(ctx))
	_ = a.Close() // which never fails
	return d.Examination
}

// doctor is one examination on its way.
type doctor struct {
	bucket.Examination
	a *Adapter
	s *store
	// root holds the folders of all doctors, token is the last element of this one's.
	root, token string

	date time.Time // of the store's first answer, if it had one
	skew time.Duration
	err  error // of it
	// object is what the probe of put stored.
	object *bucket.Info
}

// probe is one thing to find out.
type probe struct {
	name  string
	needs []string // the probes that must have gone well
	run   func(d *doctor, ctx context.Context, dir string) (bucket.Result, error)
}

// probes are all of them, in order: who can reach the bucket, what the credentials may do, what the
// store does. Nothing is written before it is known that it can be removed.
var probes = []probe{
	{"credentials", nil, (*doctor).credentials},
	{"endpoint", []string{"credentials"}, (*doctor).endpoint},
	{"clock", []string{"endpoint"}, (*doctor).clock},
	{"access", []string{"endpoint"}, (*doctor).access},
	{"kind of bucket", []string{"access"}, (*doctor).kind},

	{"put", []string{"access"}, (*doctor).put},
	{"delete", []string{"put"}, (*doctor).remove},
	{"get", []string{"put"}, (*doctor).get},
	{"get a range", []string{"get"}, (*doctor).getRange},
	{"copy", []string{"get", "delete"}, (*doctor).copy},
	{"rename", []string{"copy"}, (*doctor).rename},
	{"set the time", []string{"get"}, (*doctor).setTime},
	{"compose", []string{"get", "delete"}, (*doctor).compose},
	{"session", []string{"put", "delete"}, (*doctor).session},
	{"cancel a session", []string{"session"}, (*doctor).cancel},
	{"resume", []string{"session"}, (*doctor).resume},

	{"put if absent", []string{"get", "delete"}, (*doctor).putIfAbsent},
	{"put if unchanged", []string{"get", "delete"}, (*doctor).putIfUnchanged},
	{"delete if unchanged", []string{"get", "delete"}, (*doctor).deleteIfUnchanged},
	{"checksum of an object", []string{"get", "delete"}, (*doctor).checksumOfObject},
	{"checksum of a session", []string{"session"}, (*doctor).checksumOfSession},

	{"folders", []string{"kind of bucket", "delete"}, (*doctor).folders},
	{"names", []string{"access", "delete"}, (*doctor).names},
}

// once sends one request. None that writes is given up when the operator gives up, because it may take
// effect after everything was cleaned up.
func (d *doctor) once(ctx context.Context, do func(ctx context.Context) error) error {
	if err := backends.Alive(ctx); err != nil {
		return err
	}
	return bucket.Once(context.WithoutCancel(ctx), bucket.Asking.Attempt, do)
}

// brief is an error of a request without what only a developer wants to know.
func brief(err error) string {
	var r *refused
	if errors.As(err, &r) {
		return bucket.Plain(r.Error())
	}
	return bucket.Plain(err.Error())
}

// permission is what Google calls a right in its messages.
var permission = regexp.MustCompile(`\bstorage\.[a-z]+\.[a-zA-Z]+\b`)

// remedy is what to do about a request that failed.
func (d *doctor) remedy(err error) string {
	var r *refused
	if errors.As(err, &r) && r.kind() == backends.Permission {
		what := permission.FindString(r.message)
		if what == "" {
			what = "the permissions of the role Storage Object User (roles/storage.objectUser)"
		}
		return fmt.Sprintf("give the credentials %s on the bucket %q; docs/backends.md has the role", what, d.s.Bucket)
	}
	setting, todo := d.s.advice(bucket.Translate(failure, "probe", "", err))
	if todo == "" {
		return "Sluice needs this; docs/backends.md says what a store has to do"
	}
	return setting + ": " + todo
}

const (
	// tidyTime bounds the cleaning up, leftoverAge is the age of what a doctor left behind that was
	// killed. A living one is younger.
	tidyTime    = 2 * time.Minute
	leftoverAge = 24 * time.Hour
)

// tidy removes what this doctor wrote, and what others left behind. It has its own time, because the
// caller's may be up. Sessions need nothing: the store forgets them.
func (d *doctor) tidy(ctx context.Context) bucket.Result {
	r := bucket.Result{Probe: "clean up"}
	if d.Outcome("access") != bucket.OutcomeOK {
		r.Outcome, r.Found = bucket.OutcomeSkipped, "nothing was written"
		return r
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTime)
	defer cancel()
	now := time.Now().Add(d.skew)
	old := 0
	err := d.a.EachPage(ctx, d.root, func(page *bucket.Page) error {
		for _, o := range page.Objects {
			ours := len(o.Key) >= len(d.Folder) && o.Key[:len(d.Folder)] == d.Folder
			if !ours && now.Sub(o.ModTime) < leftoverAge {
				continue
			}
			if err := d.delete(ctx, o.Key); err != nil {
				return err
			}
			if !ours {
				old++
			}
		}
		return nil
	})
	if err == nil && d.s.Hierarchical {
		err = d.tidyFolders(ctx)
	}
	switch {
	case err != nil:
		r.Outcome, r.Found = bucket.OutcomeFailed, brief(err)
		r.Todo = "remove what is below " + d.Folder + " by other means"
	case old > 0:
		r.Found = "also of what an earlier run left behind"
	}
	return r
}

// delete removes an object; one that has gone is no error.
func (d *doctor) delete(ctx context.Context, name string) error {
	return d.a.Retry(ctx, bucket.Cleaning, func(ctx context.Context) error {
		err := d.s.Delete(ctx, name, "")
		if failure(err).Kind == backends.NotExist {
			return nil
		}
		return err
	})
}
