package s3

import (
	"context"
	"crypto/rand"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
)

// Diagnosis is all that Doctor found.
type Diagnosis struct {
	bucket.Examination
	// Measured is what the server was seen to do. A capability that was not seen is not in it.
	Measured Profile
	// Unmeasured names what could not be found out.
	Unmeasured []string
	// Fits are the names of the profiles that promise nothing that the server does not do and lose
	// the fewest of what it does. They are equally good, the best known first. There is none if
	// too little could be measured, or if no profile is so.
	Fits []string
}

// Doctor probes a bucket, below Prefix + ".sluice/doctor/", and removes what it wrote, also when ctx
// ends. seen gets each result as soon as it is there; it may be nil. About 16 MiB are sent.
func Doctor(ctx context.Context, c Config, seen func(bucket.Result)) Diagnosis {
	return diagnose(ctx, c, smallestPart, seen)
}

// diagnose is Doctor with the size of the smallest part.
func diagnose(ctx context.Context, c Config, part int64, seen func(bucket.Result)) Diagnosis {
	d := &doctor{part: part, verdicts: map[string]able{}}
	d.Seen, d.Brief, d.Remedy = seen, brief, d.remedy
	d.keys, d.uploads, d.strays = map[string]bool{}, map[string]string{}, map[string]bool{}
	if c.SweepEvery = -1; c.Profile == (Profile{}) {
		c.Profile, _ = ProfileByName("aws")
	}
	a, err := Open(ctx, c)
	if err != nil {
		d.Conclude(bucket.Result{
			Probe: "credentials", Outcome: bucket.OutcomeFailed, Found: bucket.Plain(err.Error()), Todo: "correct it in the configuration",
		})
		return d.Diagnosis
	}
	d.a, d.s, d.configured = a, a.store, a.store.Profile
	d.s.Profile = Profile{} // nothing is promised: each probe asks for what it is about
	d.root = a.Prefix + backends.Private + "/doctor/"
	d.token = rand.Text()
	d.Folder, d.Store = d.root+d.token+"/", d.s

	probing, cancel := context.WithTimeout(ctx, bucket.ExaminationTime)
	for i := range probes {
		d.perform(probing, &probes[i])
	}
	cancel()
	d.tidy(ctx)
	d.compare()
	_ = a.Close() // which never fails
	return d.Diagnosis
}

// doctor is one examination on its way.
type doctor struct {
	Diagnosis
	a          *Adapter
	s          *store
	configured Profile
	part       int64 // the smallest size of a part that is not the last
	// root holds the folders of all doctors, token is the last element of this one's.
	root, token string
	verdicts    map[string]able // by probe

	// What may be in the bucket because of us: objects, uploads by their names with their keys, and
	// the keys of uploads whose names we never heard.
	keys    map[string]bool
	uploads map[string]string
	strays  map[string]bool

	greeting greeting
	object   stored // what the probe of put stored
	whole    stored // an object of more than one part
	open     opened // an upload that was begun and not ended
}

// stored is an object that a probe wrote and others use.
type stored struct {
	key, etag string
	size      int64
}

// opened is an upload in parts.
type opened struct{ key, id string }

// able says whether a server can do something.
type able int

const (
	unmeasured able = iota
	yes
	no
)

// answer is what a probe found.
type answer struct {
	outcome     bucket.Outcome // "" is ok
	found, todo string
	can         able // of the capability that the probe is about, if it is about one
}

// probe is one thing to find out.
type probe struct {
	name  string
	needs []string // the probes that must have gone well
	// run does it below dir, which nobody used before. An error is a failure; after one that may go
	// away by itself it is called again.
	run func(d *doctor, ctx context.Context, dir string) (answer, error)
}

// perform runs a probe, unless what it needs is missing.
func (d *doctor) perform(ctx context.Context, p *probe) {
	var can able
	found := d.Perform(ctx, p.name, p.needs, func(ctx context.Context, dir string) (bucket.Result, error) {
		a, err := p.run(d, ctx, dir)
		if err == nil {
			can = a.can
		}
		return bucket.Result{Outcome: a.outcome, Found: a.found, Todo: a.todo}, err
	})
	d.conclude(p.name, answer{found.Outcome, found.Found, found.Todo, can})
}

// conclude keeps what a probe found. What a server cannot do is worth a warning if something is
// missed without it.
func (d *doctor) conclude(name string, found answer) {
	if c := capabilityOf(name); found.can == no && (found.outcome == "" || found.outcome == bucket.OutcomeOK) && c != nil && c.without != "" {
		found.outcome, found.todo = bucket.OutcomeWarning, c.without
	}
	d.verdicts[name] = found.can
	d.Conclude(bucket.Result{Probe: name, Outcome: found.outcome, Found: found.found, Todo: found.todo})
}
