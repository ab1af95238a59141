package s3

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
)

// Outcome is how a probe of Doctor ended.
type Outcome string

// The outcomes.
const (
	// OutcomeOK: as it should be.
	OutcomeOK Outcome = "ok"
	// OutcomeWarning: it works, and something is to be known or done about it.
	OutcomeWarning Outcome = "warning"
	// OutcomeFailed: something does not work, or is not safe.
	OutcomeFailed Outcome = "failed"
	// OutcomeSkipped: not looked at, because something before it failed or time was up.
	OutcomeSkipped Outcome = "skipped"
)

// Result is what one probe of Doctor found.
type Result struct {
	// Probe is its name.
	Probe   string
	Outcome Outcome
	// Found is what was seen, on one line; "" if there is nothing to say.
	Found string
	// Todo says what to do about it, or what it means; "" if nothing.
	Todo string
}

// Diagnosis is all that Doctor found.
type Diagnosis struct {
	// Results are in the order in which they were found.
	Results []Result
	// Measured is what the server was seen to do. A capability that was not seen is not in it.
	Measured Profile
	// Unmeasured names what could not be found out.
	Unmeasured []string
	// Fits are the names of the profiles that promise nothing that the server does not do and lose
	// the fewest of what it does. They are equally good, the best known first. There is none if
	// too little could be measured, or if no profile is so.
	Fits []string
}

// Failed returns how many probes failed.
func (d *Diagnosis) Failed() int {
	n := 0
	for _, r := range d.Results {
		if r.Outcome == OutcomeFailed {
			n++
		}
	}
	return n
}

const (
	// doctorTime bounds all probes together, for a store that answers everything late.
	doctorTime = 15 * time.Minute
	// doctorTries is how often a probe is begun anew after an answer that says nothing.
	doctorTries = 3
	// doctorPause is before the second try, and is five times as long before each further one.
	doctorPause = 200 * time.Millisecond
)

// Doctor probes a bucket, below Prefix + ".sluice/doctor/", and removes what it wrote, also when ctx
// ends. seen gets each result as soon as it is there; it may be nil. About 16 MiB are sent.
func Doctor(ctx context.Context, c Config, seen func(Result)) Diagnosis {
	return diagnose(ctx, c, smallestPart, seen)
}

// diagnose is Doctor with the size of the smallest part.
func diagnose(ctx context.Context, c Config, part int64, seen func(Result)) Diagnosis {
	d := &doctor{part: part, seen: seen, verdicts: map[string]verdict{}}
	d.keys, d.uploads, d.strays = map[string]bool{}, map[string]string{}, map[string]bool{}
	if c.SweepEvery = -1; c.Profile == (Profile{}) {
		c.Profile, _ = ProfileByName("aws")
	}
	a, err := Open(ctx, c)
	if err != nil {
		d.note(Result{Probe: "credentials", Outcome: OutcomeFailed, Found: plain(err.Error()), Todo: "correct it in the configuration"})
		return d.Diagnosis
	}
	d.a, d.s, d.configured = a, a.store, a.store.Profile
	d.s.Profile = Profile{} // nothing is promised: each probe asks for what it is about
	d.root = a.Prefix + backends.Private + "/doctor/"
	d.token = rand.Text()
	d.folder = d.root + d.token + "/"

	probing, cancel := context.WithTimeout(ctx, doctorTime)
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
	seen       func(Result)
	part       int64 // the smallest size of a part that is not the last
	// root holds the folders of all doctors, folder is this one's, token its last element.
	root, folder, token string
	verdicts            map[string]verdict // by probe

	// What may be in the bucket because of us: objects, uploads by their names with their keys, and
	// the keys of uploads whose names we never heard.
	keys    map[string]bool
	uploads map[string]string
	strays  map[string]bool

	timedOut bool
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

// verdict is what a probe came to, apart from words.
type verdict struct {
	outcome Outcome
	can     able
}

// able says whether a server can do something.
type able int

const (
	unmeasured able = iota
	yes
	no
)

// answer is what a probe found.
type answer struct {
	outcome     Outcome // "" is ok
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
	for _, name := range p.needs {
		if o := d.verdicts[name].outcome; o == OutcomeFailed || o == OutcomeSkipped {
			d.conclude(p.name, answer{outcome: OutcomeSkipped, found: "needs: " + name})
			return
		}
	}
	if ctx.Err() != nil {
		d.conclude(p.name, d.late(ctx))
		return
	}
	var found answer
	var err error
	next := doctorPause
	for try := 0; err == nil; try++ {
		dir := fmt.Sprintf("%s%02d-%d/", d.folder, len(d.Results), try)
		found, err = p.run(d, ctx, dir)
		if err == nil || try+1 == doctorTries || !bucket.Retryable(ctx, d.s, err) {
			break
		}
		err = bucket.Pause(ctx, next)
		next *= 5
	}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		found = d.late(ctx)
	default:
		found = answer{outcome: OutcomeFailed, found: brief(err), todo: d.remedy(err)}
	}
	d.conclude(p.name, found)
}

// late is the answer when there is no time left. Only the first is a failure, and none if it was
// the caller who gave up.
func (d *doctor) late(ctx context.Context) answer {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return answer{outcome: OutcomeSkipped, found: "interrupted"}
	case d.timedOut:
		return answer{outcome: OutcomeSkipped, found: "time is up"}
	}
	d.timedOut = true
	return answer{outcome: OutcomeFailed, found: "time is up", todo: "endpoint: the store answers too slowly to be used"}
}

// conclude keeps what a probe found. What a server cannot do is worth a warning if something is
// missed without it.
func (d *doctor) conclude(name string, found answer) {
	if found.outcome == "" {
		found.outcome = OutcomeOK
	}
	if c := capabilityOf(name); found.can == no && found.outcome == OutcomeOK && c != nil && c.without != "" {
		found.outcome, found.todo = OutcomeWarning, c.without
	}
	d.verdicts[name] = verdict{found.outcome, found.can}
	d.note(Result{name, found.outcome, found.found, found.todo})
}

func (d *doctor) note(r Result) {
	d.Results = append(d.Results, r)
	if d.seen != nil {
		d.seen(r)
	}
}

// maxFound bounds what is repeated of a store's words, in bytes.
const maxFound = 240

// plain makes one line for a terminal of what a store said.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxFound {
		s = strings.ToValidUTF8(s[:maxFound], "") + "..."
	}
	return s
}
