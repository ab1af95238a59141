package bucket

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Outcome is how a probe of an examination ended.
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

// Result is what one probe found.
type Result struct {
	// Probe is its name.
	Probe   string
	Outcome Outcome
	// Found is what was seen, on one line; "" if there is nothing to say.
	Found string
	// Todo says what to do about it, or what it means; "" if nothing.
	Todo string
}

// Examination tries out a bucket, one probe after the other.
type Examination struct {
	// Results are in the order in which they were found.
	Results []Result

	// Store is what is examined, Folder where its probes write.
	Store  Store
	Folder string
	// Seen gets each result as soon as it is there; it may be nil.
	Seen func(Result)
	// Brief is an error without what only a developer wants to know, Remedy what to do about it.
	Brief, Remedy func(err error) string

	timedOut bool
}

const (
	// ExaminationTime bounds all probes together, for a store that answers everything late.
	ExaminationTime = 15 * time.Minute
	// probeTries is how often a probe is begun anew after an answer that says nothing.
	probeTries = 3
	// probePause is before the second try, and is five times as long before each further one.
	probePause = 200 * time.Millisecond
)

// Failed returns how many probes failed.
func (e *Examination) Failed() int {
	n := 0
	for _, r := range e.Results {
		if r.Outcome == OutcomeFailed {
			n++
		}
	}
	return n
}

// Outcome is that of the probe of a name, "" before it.
func (e *Examination) Outcome(probe string) Outcome {
	for _, r := range e.Results {
		if r.Probe == probe {
			return r.Outcome
		}
	}
	return ""
}

// Perform runs a probe, unless one that it needs has not gone well. run does it below dir, which nobody
// used before. An error is a failure; after one that may go away by itself it is called again.
func (e *Examination) Perform(ctx context.Context, name string, needs []string, run func(ctx context.Context, dir string) (Result, error)) Result {
	for _, need := range needs {
		if o := e.Outcome(need); o == OutcomeFailed || o == OutcomeSkipped {
			return Result{Probe: name, Outcome: OutcomeSkipped, Found: "needs: " + need}
		}
	}
	if ctx.Err() != nil {
		return e.late(ctx, name)
	}
	var found Result
	var err error
	next := probePause
	for try := 0; err == nil; try++ {
		dir := fmt.Sprintf("%s%02d-%d/", e.Folder, len(e.Results), try)
		found, err = run(ctx, dir)
		if err == nil || try+1 == probeTries || !Retryable(ctx, e.Store, err) {
			break
		}
		err = Pause(ctx, next)
		next *= 5
	}
	found.Probe = name
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return e.late(ctx, name)
	default:
		return Result{Probe: name, Outcome: OutcomeFailed, Found: e.Brief(err), Todo: e.Remedy(err)}
	}
	return found
}

// late is the answer when there is no time left. Only the first is a failure, and none if it was the
// caller who gave up.
func (e *Examination) late(ctx context.Context, name string) Result {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return Result{Probe: name, Outcome: OutcomeSkipped, Found: "interrupted"}
	case e.timedOut:
		return Result{Probe: name, Outcome: OutcomeSkipped, Found: "time is up"}
	}
	e.timedOut = true
	return Result{
		Probe: name, Outcome: OutcomeFailed, Found: "time is up", Todo: "endpoint: the store answers too slowly to be used",
	}
}

// Conclude keeps a result. One that says nothing is fine.
func (e *Examination) Conclude(r Result) {
	if r.Outcome == "" {
		r.Outcome = OutcomeOK
	}
	e.Results = append(e.Results, r)
	if e.Seen != nil {
		e.Seen(r)
	}
}

// maxFound bounds what is repeated of a store's words, in bytes.
const maxFound = 240

// Plain makes one line for a terminal of what a store said.
func Plain(s string) string {
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
