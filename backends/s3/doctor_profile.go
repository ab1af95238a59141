package s3

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-ftp/sluice/backends/bucket"
)

// capability is a thing that profiles promise.
type capability struct {
	name string
	// get and set are for the promise in a profile.
	get func(Profile) bool
	set func(*Profile, bool)
	// probes measure it: it is there if all of them say so.
	probes []string
	// without is what is missed on a server that cannot do it; "" if nothing.
	without string
	// harm is what happens when it is promised and not there; "" if nothing.
	harm string
}

var capabilities = []capability{
	{
		name:   "conditional puts",
		get:    func(p Profile) bool { return p.ConditionalPut },
		set:    func(p *Profile, v bool) { p.ConditionalPut = v },
		probes: []string{"put if absent", "put if unchanged"},
		without: "users without the permission overwrite cannot store files here: only conditions keep two from replacing" +
			" each other's",
		harm: "users without the permission overwrite could replace files",
	},
	{
		name:   "conditional completes",
		get:    func(p Profile) bool { return p.ConditionalComplete },
		set:    func(p *Profile, v bool) { p.ConditionalComplete = v },
		probes: []string{"complete if absent", "complete if unchanged"},
		without: "users without the permission overwrite cannot store files here: only conditions keep two from replacing" +
			" each other's",
		harm: "users without the permission overwrite could replace files by large ones",
	},
	{
		name:   "conditional copies",
		get:    func(p Profile) bool { return p.ConditionalCopy },
		set:    func(p *Profile, v bool) { p.ConditionalCopy = v },
		probes: []string{"copy if absent"},
		harm:   "users without the permission overwrite could replace files by renaming others",
	},
	{
		name:    "conditional deletes",
		get:     func(p Profile) bool { return p.ConditionalDelete },
		set:     func(p *Profile, v bool) { p.ConditionalDelete = v },
		probes:  []string{"delete if unchanged"},
		without: "a file that is stored at the moment in which its folder is renamed may be lost",
		harm:    "a rename of a folder could remove files that are stored meanwhile",
	},
	{
		name:    "checksums",
		get:     func(p Profile) bool { return p.Checksums },
		set:     func(p *Profile, v bool) { p.Checksums = v },
		probes:  []string{"checksum of an object", "checksum of a part", "checksum of a whole"},
		without: "only TLS keeps content from being changed on its way",
		harm:    "uploads fail, or are stored with damage that nobody notices",
	},
	{
		name:    "copies in parts",
		get:     func(p Profile) bool { return p.PartCopy },
		set:     func(p *Profile, v bool) { p.PartCopy = v },
		probes:  []string{"copy in parts"},
		without: "objects above 5 GiB cannot be renamed",
		harm:    "renames of objects above 5 GiB fail",
	},
	{
		name:    "parts of any size",
		get:     func(p Profile) bool { return !p.UniformParts },
		set:     func(p *Profile, v bool) { p.UniformParts = !v },
		probes:  []string{"parts of any size"},
		without: "parts are all of 16 MiB, so objects have 156 GiB at most",
		harm:    "large uploads fail at their end",
	},
	{
		name:   "a repeated complete",
		get:    func(p Profile) bool { return p.CompleteTwice },
		set:    func(p *Profile, v bool) { p.CompleteTwice = v },
		probes: []string{"complete twice"},
	},
	{
		name:   "the size at complete",
		get:    func(p Profile) bool { return p.ObjectSize },
		set:    func(p *Profile, v bool) { p.ObjectSize = v },
		probes: []string{"size at complete"},
		harm:   "large uploads fail, or nobody compares their size",
	},
	{
		name:   "rules for stale uploads",
		get:    func(p Profile) bool { return p.AbortByRule },
		set:    func(p *Profile, v bool) { p.AbortByRule = v },
		probes: []string{"lifecycle rule"},
	},
}

// capabilityOf is the one that a probe measures, nil if none.
func capabilityOf(probe string) *capability {
	for i, c := range capabilities {
		if slices.Contains(c.probes, probe) {
			return &capabilities[i]
		}
	}
	return nil
}

// measured says whether the server has a capability.
func (d *doctor) measured(c *capability) able {
	all := yes
	for _, name := range c.probes {
		switch d.verdicts[name] {
		case no:
			return no
		case unmeasured:
			all = unmeasured
		}
	}
	return all
}

// compare says which profiles fit, and what is wrong with the one that is configured.
func (d *doctor) compare() {
	const name = "profile"
	if d.Outcome("access") != bucket.OutcomeOK {
		d.conclude(name, answer{outcome: bucket.OutcomeSkipped, found: "nothing was measured"})
		return
	}
	var vital []string // that were not measured, and something depends on them
	for i := range capabilities {
		c := &capabilities[i]
		can := d.measured(c)
		c.set(&d.Measured, can == yes)
		if can == unmeasured {
			d.Unmeasured = append(d.Unmeasured, c.name)
			if c.harm != "" {
				vital = append(vital, c.name)
			}
		}
	}
	if len(vital) == 0 {
		d.Fits = d.fitting()
	}
	d.conclude(name, d.judge(vital))
}

// fitting returns the names of the profiles that fit. Where every profile promises too much, it takes
// the promises on which nothing depends for kept.
func (d *doctor) fitting() []string {
	for _, strict := range []bool{true, false} {
		var best []string
		fewest := len(capabilities) + 1
		for _, name := range ProfileNames() {
			broken, lost := d.against(profiles[name])
			if slices.ContainsFunc(broken, func(c *capability) bool { return strict || c.harm != "" }) {
				continue
			}
			if len(lost) < fewest {
				best, fewest = nil, len(lost)
			}
			if len(lost) == fewest {
				best = append(best, name)
			}
		}
		if best != nil {
			// The one that is configured, or else the one that says what it is, comes first.
			for _, first := range []string{"generic", d.configured.Name} {
				if i := slices.Index(best, first); i >= 0 {
					best = slices.Insert(slices.Delete(best, i, i+1), 0, first)
				}
			}
			return best
		}
	}
	return nil
}

// against returns the promises of a profile that the server breaks, and what it does without a promise.
func (d *doctor) against(p Profile) (broken, lost []*capability) {
	for i := range capabilities {
		c := &capabilities[i]
		switch can := d.measured(c); {
		case can == no && c.get(p):
			broken = append(broken, c)
		case can == yes && !c.get(p):
			lost = append(lost, c)
		}
	}
	return broken, lost
}

// judge compares the configured profile with the server.
func (d *doctor) judge(vital []string) answer {
	broken, lost := d.against(d.configured)
	ours := fmt.Sprintf("%q", d.configured.Name)
	var harms []string
	for _, c := range broken {
		if c.harm != "" && !slices.Contains(harms, c.harm) {
			harms = append(harms, c.harm)
		}
	}
	other := "set profile to one that does not"
	if len(d.Fits) > 0 {
		other = "set profile: " + d.Fits[0]
	}
	switch {
	case len(harms) > 0:
		return answer{
			outcome: bucket.OutcomeFailed, found: ours + " promises what this store does not do: " + names(broken),
			todo: other + "; else " + strings.Join(harms, ", and "),
		}
	case len(vital) > 0:
		return answer{outcome: bucket.OutcomeSkipped, found: "not everything could be measured: " + strings.Join(vital, ", ")}
	case len(d.Fits) == 0:
		return answer{
			outcome: bucket.OutcomeFailed, found: "every profile promises something that this store does not do",
			todo: "use another store, or ask for a profile for this one with this table",
		}
	case d.Fits[0] == d.configured.Name:
		return answer{found: ours + " fits"}
	}
	_, lostOfFit := d.against(profiles[d.Fits[0]])
	if len(broken) > 0 {
		return answer{
			outcome: bucket.OutcomeWarning, found: ours + " promises what this store does not do, and nothing needs: " + names(broken),
			todo: "keep it; " + d.Fits[0] + " is exact, and would do without: " + names(lostOfFit),
		}
	}
	gained := slices.DeleteFunc(lost, func(c *capability) bool { return slices.Contains(lostOfFit, c) })
	return answer{
		outcome: bucket.OutcomeWarning, found: ours + " promises less than this store does",
		todo: other + ", for: " + names(gained),
	}
}

func names(all []*capability) string {
	var s []string
	for _, c := range all {
		s = append(s, c.name)
	}
	return strings.Join(s, ", ")
}
