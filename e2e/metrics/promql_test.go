// Package metrics holds the questions that are asked of the metrics to what PromQL and the metrics are.
package metrics

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

const (
	docsFile      = "../../docs/metrics.md"
	rulesFile     = "../../charts/sluice/rules/sluice.yaml"
	dashboardFile = "../../charts/sluice/dashboards/sluice.json"
)

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// series are the labels that series of one name have, with all their values; nil are any.
type series map[string][]string

// catalogue is what there is to be asked for, by name.
type catalogue map[string]series

// targetLabels come from Prometheus, and namespace from Kubernetes.
var targetLabels = []string{"job", "instance", "namespace"}

// newCatalogue reads the table in the documentation, which the tests of the metrics hold to them, and adds
// what Prometheus makes by itself.
func newCatalogue(t *testing.T) catalogue {
	t.Helper()
	row := regexp.MustCompile("(?m)^\\| `(sluice_\\w+)` \\| (\\w+) \\| (.+) \\| .+ \\|$")
	label := regexp.MustCompile("`(\\w+)`(?: \\(([^)]+)\\))?")
	c := catalogue{"up": {}, "ALERTS": {"alertname": nil, "alertstate": {"pending", "firing"}, "severity": nil}}
	for _, m := range row.FindAllStringSubmatch(readText(t, docsFile), -1) {
		s := series{}
		for _, l := range label.FindAllStringSubmatch(m[3], -1) {
			s[l[1]] = nil
			if l[2] != "" {
				s[l[1]] = strings.Split(l[2], ", ")
			}
		}
		if m[2] != "histogram" {
			c[m[1]] = s
			continue
		}
		c[m[1]+"_sum"], c[m[1]+"_count"], c[m[1]+"_bucket"] = s, s, maps.Clone(s)
		c[m[1]+"_bucket"]["le"] = nil
	}
	// Whether these are there is looked at where the collectors are.
	for _, name := range []string{
		"go_goroutines", "go_memstats_heap_inuse_bytes", "process_cpu_seconds_total", "process_max_fds", "process_open_fds",
		"process_resident_memory_bytes", "process_start_time_seconds",
	} {
		c[name] = series{}
	}
	c["go_gc_duration_seconds"] = series{"quantile": nil}
	for _, s := range c {
		for _, l := range targetLabels {
			s[l] = nil
		}
	}
	if len(c) < 60 {
		t.Fatalf("only %v", slices.Sorted(maps.Keys(c)))
	}
	return c
}

// query parses text, and holds it to what there is. It returns the labels of its result.
func (c catalogue) query(text string) ([]string, error) {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		return nil, err
	}
	return c.labels(expr)
}

// labels returns the labels that the result of e may have.
func (c catalogue) labels(e parser.Expr) ([]string, error) {
	switch e := e.(type) {
	case *parser.VectorSelector:
		return c.selected(e)
	case *parser.MatrixSelector:
		return c.labels(e.VectorSelector)
	case *parser.SubqueryExpr:
		return c.labels(e.Expr)
	case *parser.ParenExpr:
		return c.labels(e.Expr)
	case *parser.UnaryExpr:
		return c.labels(e.Expr)
	case *parser.NumberLiteral, *parser.StringLiteral:
		return nil, nil
	case *parser.Call:
		return c.called(e)
	case *parser.AggregateExpr:
		return c.aggregated(e)
	case *parser.BinaryExpr:
		return c.joined(e)
	}
	return nil, fmt.Errorf("%s: a %T is not known here", e, e)
}

func (c catalogue) selected(e *parser.VectorSelector) ([]string, error) {
	known, ok := c[e.Name]
	if !ok {
		return nil, fmt.Errorf("there is no metric %q", e.Name)
	}
	for _, m := range e.LabelMatchers {
		if m.Name == "__name__" {
			continue
		}
		closed, ok := known[m.Name]
		if !ok {
			return nil, fmt.Errorf("%s has no label %q", e.Name, m.Name)
		}
		for _, v := range valuesOf(m) {
			if closed != nil && !slices.Contains(closed, v) {
				return nil, fmt.Errorf("%s: %s is never %q", e.Name, m.Name, v)
			}
		}
	}
	return slices.Collect(maps.Keys(known)), nil
}

// valuesOf are the values that a matcher names; none for one that is a pattern.
func valuesOf(m *labels.Matcher) []string {
	if m.Type == labels.MatchEqual || m.Type == labels.MatchNotEqual {
		return []string{m.Value}
	}
	return m.SetMatches()
}

func (c catalogue) called(e *parser.Call) ([]string, error) {
	var all []string
	for _, arg := range e.Args {
		has, err := c.labels(arg)
		if err != nil {
			return nil, err
		}
		all = append(all, has...)
	}
	switch e.Func.Name {
	case "histogram_quantile":
		if !slices.Contains(all, "le") {
			return nil, fmt.Errorf("%s: without le", e)
		}
		return slices.DeleteFunc(all, func(l string) bool { return l == "le" }), nil
	case "absent", "vector", "time":
		return nil, nil
	case "label_replace", "label_join", "count_values":
		return nil, fmt.Errorf("%s: this test does not follow that", e)
	}
	return all, nil
}

func (c catalogue) aggregated(e *parser.AggregateExpr) ([]string, error) {
	has, err := c.labels(e.Expr)
	if err != nil {
		return nil, err
	}
	if err := within(has, e.Grouping); err != nil {
		return nil, fmt.Errorf("%s: %w", e, err)
	}
	switch {
	case e.Op == parser.TOPK || e.Op == parser.BOTTOMK:
		return has, nil
	case e.Without:
		return slices.DeleteFunc(has, func(l string) bool { return slices.Contains(e.Grouping, l) }), nil
	}
	return e.Grouping, nil
}

func (c catalogue) joined(e *parser.BinaryExpr) ([]string, error) {
	left, err := c.labels(e.LHS)
	if err != nil {
		return nil, err
	}
	right, err := c.labels(e.RHS)
	if err != nil {
		return nil, err
	}
	vectors := e.LHS.Type() == parser.ValueTypeVector && e.RHS.Type() == parser.ValueTypeVector
	switch {
	case !vectors:
		return append(left, right...), nil
	case e.Op == parser.LOR: // one of both
		return append(left, right...), nil
	}
	m := e.VectorMatching
	if m.On {
		err = within(left, m.MatchingLabels)
		if err == nil {
			err = within(right, m.MatchingLabels)
		}
	} else {
		rest := func(all []string) []string {
			all = slices.DeleteFunc(slices.Clone(all), func(l string) bool { return slices.Contains(m.MatchingLabels, l) })
			slices.Sort(all)
			return slices.Compact(all)
		}
		if l, r := rest(left), rest(right); !slices.Equal(l, r) {
			err = fmt.Errorf("never matches: %q is not %q", l, r)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e, err)
	}
	return left, nil
}

func within(has, wanted []string) error {
	for _, l := range wanted {
		if !slices.Contains(has, l) {
			return fmt.Errorf("there is no label %q", l)
		}
	}
	return nil
}

// rule is one of the rules file.
type rule struct {
	record, alert, expr string
	text                string // all of it
}

// rules are those of the file, in order.
func rules(t *testing.T) []rule {
	t.Helper()
	all := readText(t, rulesFile)
	start := regexp.MustCompile(`(?m)^ {6}- (record|alert): (\w\S*)\n`)
	expr := regexp.MustCompile(`(?m)^ {8}expr: (?:\|\n((?: {10}.*\n)+)|(.+)\n)`)
	at := start.FindAllStringSubmatchIndex(all, -1)
	var found []rule
	for i, m := range at {
		r := rule{text: all[m[0]:]}
		if i+1 < len(at) {
			r.text = all[m[0]:at[i+1][0]]
		}
		if kind, name := all[m[2]:m[3]], all[m[4]:m[5]]; kind == "record" {
			r.record = name
		} else {
			r.alert = name
		}
		e := expr.FindStringSubmatch(r.text)
		if e == nil {
			t.Fatalf("no expr in:\n%s", r.text)
		}
		r.expr = e[1] + e[2]
		found = append(found, r)
	}
	if n := strings.Count(all, "expr:"); n != len(found) || n < 30 {
		t.Fatalf("%d rules of %d", len(found), n)
	}
	return found
}

// record adds what the rules make to c.
func (c catalogue) record(t *testing.T) {
	t.Helper()
	for _, r := range rules(t) {
		if r.record == "" {
			continue
		}
		has, err := c.query(r.expr)
		if err != nil {
			t.Errorf("%s: %v", r.record, err)
		}
		c[r.record] = series{}
		for _, l := range has {
			c[r.record][l] = nil
		}
		level, _, _ := strings.Cut(r.record, ":")
		slices.SortFunc(has, func(a, b string) int { return strings.Index(level, a) - strings.Index(level, b) })
		if level != strings.Join(has, "_") {
			t.Errorf("%s has the labels %q", r.record, has)
		}
	}
}

// The rules ask for what there is, and the texts of the alerts name labels that they have.
func TestRules(t *testing.T) {
	c := newCatalogue(t)
	c.record(t)
	used := regexp.MustCompile(`\$labels\.(\w+)`)
	for _, r := range rules(t) {
		if r.alert == "" {
			continue
		}
		has, err := c.query(r.expr)
		if err != nil {
			t.Errorf("%s: %v", r.alert, err)
			continue
		}
		for _, l := range used.FindAllStringSubmatch(r.text, -1) {
			if !slices.Contains(has, l[1]) {
				t.Errorf("%s: its text has %s, the alert %q", r.alert, l[0], has)
			}
		}
	}
}

// The queries in the documentation ask for what there is.
func TestDocs(t *testing.T) {
	c := newCatalogue(t)
	n := 0
	for _, block := range regexp.MustCompile("(?s)```promql\n(.*?)```").FindAllStringSubmatch(readText(t, docsFile), -1) {
		for line := range strings.Lines(block[1]) {
			if strings.HasPrefix(line, "#") {
				continue
			}
			n++
			if _, err := c.query(line); err != nil {
				t.Errorf("%s%v", line, err)
			}
		}
	}
	if n < 30 {
		t.Errorf("only %d queries", n)
	}
}

// The panels and variables of the dashboard ask for what there is, and their legends have its labels.
func TestDashboard(t *testing.T) {
	c := newCatalogue(t)
	c.record(t)
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
		Templating struct {
			List []struct{ Name, Definition string }
		}
	}
	if err := json.Unmarshal([]byte(readText(t, dashboardFile)), &d); err != nil {
		t.Fatal(err)
	}
	variables := map[string]string{"__rate_interval": "5m"}
	values := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)
	for _, v := range d.Templating.List {
		if m := values.FindStringSubmatch(v.Definition); m != nil {
			has, err := c.query(fill(t, m[1], variables))
			if err != nil || !slices.Contains(has, m[2]) {
				t.Errorf("variable %s: %q, %v", v.Name, has, err)
			}
		}
		variables[v.Name] = ".*"
	}
	legend := regexp.MustCompile(`\{\{(\w+)\}\}`)
	n := 0
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			n++
			has, err := c.query(fill(t, q.Expr, variables))
			if err != nil {
				t.Errorf("%s: %s: %v", p.Title, q.Expr, err)
				continue
			}
			for _, l := range legend.FindAllStringSubmatch(q.LegendFormat, -1) {
				if !slices.Contains(has, l[1]) {
					t.Errorf("%s: its legend has %s, the query %q", p.Title, l[0], has)
				}
			}
		}
	}
	if n < 70 {
		t.Errorf("only %d queries", n)
	}
}

// fill puts values in place of variables.
func fill(t *testing.T, text string, values map[string]string) string {
	t.Helper()
	return regexp.MustCompile(`\$\w+`).ReplaceAllStringFunc(text, func(v string) string {
		value, ok := values[v[1:]]
		if !ok {
			t.Errorf("there is no variable %s", v)
		}
		return value
	})
}

// What this test finds.
func TestCatalogue(t *testing.T) {
	c := newCatalogue(t)
	for query, want := range map[string]string{
		`sluice_bans`:                       "",
		`sluice_ban`:                        "no metric",
		`sluice_sessions{state="x"}`:        "never",
		`sluice_sessions{state=~"new|x"}`:   "never",
		`sluice_sessions{status="new"}`:     "no label",
		`sum by (status) (sluice_sessions)`: "no label",
		`sum by (job) (sluice_sessions) / sum by (state) (sluice_sessions)`:              "never matches",
		`sum by (job) (sluice_sessions) and on (state) sluice_sessions`:                  "no label",
		`histogram_quantile(0.5, sum(rate(sluice_command_duration_seconds_bucket[5m])))`: "without le",
		`rate(sluice_command_duration_seconds[5m])`:                                      "no metric",
		`sum by (job) (`: "parse error",
	} {
		_, err := c.query(query)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", query, err, want)
		}
	}
}
