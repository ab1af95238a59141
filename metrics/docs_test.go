package metrics_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/gateway"
	"github.com/sluice-ftp/sluice/metrics"
)

const (
	docsFile      = "../docs/metrics.md"
	rulesFile     = "../charts/sluice/rules/sluice.yaml"
	rulesTestFile = "../charts/sluice/rules/sluice_test.yaml"
	dashboardFile = "../charts/sluice/dashboards/sluice.json"
)

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// everything is a scrape in which there is every series that there can be.
func everything(t *testing.T) string {
	t.Helper()
	names := []string{"disk", "lake"}
	m := metrics.New(metrics.Options{Version: "1.0.0", Revision: "abc", Backends: names, Users: 1})
	m.Watch(fullState())
	observeAll(m)
	for _, name := range names {
		storeAll(t, m.Backend(name))
	}
	for _, what := range sourceNames(t) {
		m.Loaded(what)
		m.Reloaded(what, nil)
		m.Reloaded(what, io.EOF)
	}
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if answer.Code != http.StatusOK {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	return answer.Body.String()
}

func fullState() metrics.State {
	return metrics.State{
		Gateway: func() gateway.Stats { return gateway.Stats{Sessions: 1, PassivePorts: 1, PassiveRange: 2} },
		Usage:   func() []gateway.Usage { return nil },
		Certificates: func() []*x509.Certificate {
			return []*x509.Certificate{{Subject: pkix.Name{CommonName: "gate"}, NotAfter: time.Now()}}
		},
		Users: func() int { return 1 }, Memory: fullMemory{}, Record: fullRecord{},
	}
}

type fullMemory struct{}

func (fullMemory) Bytes() int64 { return 2 }
func (fullMemory) Used() int64  { return 1 }
func (fullMemory) Waiting() int { return 1 }

type fullRecord struct{}

func (fullRecord) Lost() uint64   { return 1 }
func (fullRecord) Healthy() error { return nil }

// observeAll tells m of everything that a gateway can tell.
func observeAll(m *metrics.Metrics) {
	ctx := context.Background()
	for _, l := range []string{gateway.ListenerExplicit, gateway.ListenerImplicit} {
		for _, r := range gateway.ConnectionResults() {
			m.Connection(l, netip.AddrFrom4([4]byte{192, 0, 2, 1}), r)
		}
		m.SessionEnded(l, time.Minute)
	}
	for i := range 12 {
		h := gateway.Handshake{Data: i%2 > 0, Resumed: i/2%2 > 0, Took: time.Millisecond}
		h.Version = []uint16{0, tls.VersionTLS12, tls.VersionTLS13}[i/4]
		m.Handshake(h)
		if h.OK = h.Version > 0; h.OK {
			m.Handshake(h)
		}
	}
	for _, method := range gateway.LoginMethods() {
		for _, r := range gateway.LoginResults() {
			m.Login(method, r)
		}
	}
	for _, verb := range append(gateway.Verbs(), gateway.VerbOther) {
		m.Reply(ctx, verb, 200, gateway.FaultNone, time.Millisecond)
		for _, f := range gateway.Faults() {
			m.Reply(ctx, verb, 451, f, time.Millisecond)
		}
	}
	for _, mode := range gateway.DataModes() {
		for _, r := range gateway.DataResults() {
			m.DataConnection(mode, r)
		}
	}
	m.Panicked()
	for _, d := range gateway.Directions() {
		for _, r := range gateway.TransferResults() {
			for _, name := range []string{"disk", "lake", ""} {
				tr := m.Transfer(d, name, "acme")
				tr.Moved(1)
				tr.Done(gateway.TransferEnd{Result: r, Took: time.Second, Bytes: 1, Commit: time.Second})
			}
		}
	}
}

// storeAll has b see every call, every request and every way in which they can end.
func storeAll(t *testing.T, b *metrics.Backend) {
	t.Helper()
	ctx := context.Background()
	b.Up(true)
	b.Kept(backends.Kept{Uploads: 1, Oldest: time.Now()})
	callAll(ctx, b.Wrap(ending{}))
	for kind := backends.Internal; kind <= backends.Unsupported; kind++ {
		callAll(ctx, b.Wrap(ending{err: &backends.Error{Kind: kind}}))
	}
	for _, method := range []string{"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "PROPFIND"} {
		for _, status := range []int{100, 200, 300, 400, 500, 503} {
			request(t, b, method, answering{status: status})
		}
		for _, err := range []error{context.Canceled, context.DeadlineExceeded, io.EOF} {
			request(t, b, method, answering{err: err})
		}
	}
}

func request(t *testing.T, b *metrics.Backend, method string, next answering) {
	t.Helper()
	r, err := http.NewRequestWithContext(backends.WithAttempt(context.Background(), 1), method, "http://store.invalid/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := b.Transport(next).RoundTrip(r)
	if !errors.Is(err, next.err) {
		t.Errorf("%v, want %v", err, next.err)
	}
	if err == nil {
		_ = resp.Body.Close() // there is nothing in it
	}
}

// answering is a store that answers all with one status, or not.
type answering struct {
	status int
	err    error
}

func (a answering) RoundTrip(*http.Request) (*http.Response, error) {
	if a.err != nil {
		return nil, a.err
	}
	return &http.Response{StatusCode: a.status, Body: http.NoBody}, nil
}

// callAll calls every method that goes to the store. How they end is counted, and all that matters here.
func callAll(ctx context.Context, a backends.CloudStorageAdapter) {
	_, _ = a.Stat(ctx, "k")
	for _, err := range a.List(ctx, "k", backends.ListOptions{}) {
		_ = err
	}
	_, _ = a.Open(ctx, "k", backends.OpenOptions{})
	_, _ = a.Put(ctx, "k", strings.NewReader(""), backends.PutOptions{})
	_, _ = a.Pending(ctx, "k", "acme")
	_ = a.Discard(ctx, "k", "acme")
	_, _ = a.Copy(ctx, "k", "l", backends.CopyOptions{})
	_ = a.Rename(ctx, "k", "l", backends.RenameOptions{})
	_ = a.Remove(ctx, "k")
	_ = a.Mkdir(ctx, "k")
	_ = a.Rmdir(ctx, "k")
	_ = a.SetModTime(ctx, "k", time.Now())
	_, _ = a.Available(ctx, "k")
}

// ending is an adapter whose methods all end with err.
type ending struct {
	backends.CloudStorageAdapter
	err error
}

func (b ending) Stat(context.Context, string) (backends.Object, error) {
	return backends.Object{}, b.err
}

func (b ending) List(context.Context, string, backends.ListOptions) iter.Seq2[backends.Object, error] {
	return func(yield func(backends.Object, error) bool) { yield(backends.Object{}, b.err) }
}

func (b ending) Open(context.Context, string, backends.OpenOptions) (backends.Reader, error) {
	return nil, b.err
}

func (b ending) Put(context.Context, string, io.Reader, backends.PutOptions) (backends.Object, error) {
	return backends.Object{}, b.err
}

func (b ending) Pending(context.Context, string, string) (backends.Pending, error) {
	return backends.Pending{}, b.err
}

func (b ending) Copy(context.Context, string, string, backends.CopyOptions) (backends.Object, error) {
	return backends.Object{}, b.err
}

func (b ending) Discard(context.Context, string, string) error { return b.err }

func (b ending) Rename(context.Context, string, string, backends.RenameOptions) error { return b.err }

func (b ending) Remove(context.Context, string) error { return b.err }

func (b ending) Mkdir(context.Context, string) error { return b.err }

func (b ending) Rmdir(context.Context, string) error { return b.err }

func (b ending) SetModTime(context.Context, string, time.Time) error { return b.err }

func (b ending) Available(context.Context, string) (int64, error) { return 0, b.err }

// sourceNames are what the command reads again.
func sourceNames(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../cmd/sluice/*.go")
	if err != nil {
		t.Fatal(err)
	}
	made := regexp.MustCompile(`newSource\("([^"]+)"`)
	var all []string
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		for _, m := range made.FindAllStringSubmatch(readText(t, f), -1) {
			all = append(all, m[1])
		}
	}
	if len(all) < 5 {
		t.Fatalf("only %q", all)
	}
	return all
}

// family is a metric as it is documented: the values of its labels are nil where they are not a closed set.
type family struct {
	Type   string
	Labels map[string][]string
}

var (
	typeLine   = regexp.MustCompile(`^# TYPE (\S+) (\S+)$`)
	seriesLine = regexp.MustCompile(`^\w+(?:\{(.*)\})? \S+$`)
	labelPair  = regexp.MustCompile(`(\w+)="((?:[^"\\]|\\.)*)"`)
)

// scraped are the metrics of a scrape.
func scraped(t *testing.T, text string) map[string]family {
	t.Helper()
	all := map[string]family{}
	var now family
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if m := typeLine.FindStringSubmatch(line); m != nil {
			now = family{Type: m[2], Labels: map[string][]string{}}
			all[m[1]] = now
			continue
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		m := seriesLine.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("not a series: %s", line)
		}
		for _, l := range labelPair.FindAllStringSubmatch(m[1], -1) {
			if values := now.Labels[l[1]]; l[1] != "le" && l[1] != "quantile" && !slices.Contains(values, l[2]) {
				now.Labels[l[1]] = append(values, l[2])
			}
		}
	}
	return all
}

var (
	// metricRow is a line of a table: | `name` | type | labels | meaning |.
	metricRow = regexp.MustCompile("(?m)^\\| `(sluice_\\w+)` \\| (\\w+) \\| (.+) \\| (.+) \\|$")
	rowStart  = regexp.MustCompile("(?m)^\\| `sluice_\\w+` \\|")
	docsLabel = regexp.MustCompile("`(\\w+)`(?: \\(([^)]+)\\))?")
	// openRow is a line of the table of labels whose values are not a closed set.
	openRow = regexp.MustCompile("(?m)^\\| ((?:`\\w+`(?:, )?)+) \\| [^|]+ \\|$")
)

func documented(t *testing.T) map[string]family {
	t.Helper()
	all := map[string]family{}
	for _, row := range metricRow.FindAllStringSubmatch(readText(t, docsFile), -1) {
		if _, twice := all[row[1]]; twice {
			t.Errorf("%s is in %s twice", row[1], docsFile)
		}
		f := family{Type: row[2], Labels: map[string][]string{}}
		for _, l := range docsLabel.FindAllStringSubmatch(row[3], -1) {
			f.Labels[l[1]] = nil
			if l[2] != "" {
				f.Labels[l[1]] = strings.Split(l[2], ", ")
			}
		}
		all[row[1]] = f
	}
	return all
}

// The documentation has each metric with its type, its labels and all their values, and no other.
func TestDocsMetrics(t *testing.T) {
	open := map[string]bool{}
	for _, row := range openRow.FindAllStringSubmatch(readText(t, docsFile), -1) {
		for _, l := range docsLabel.FindAllStringSubmatch(row[1], -1) {
			open[l[1]] = true
		}
	}
	got, want := documented(t), map[string]family{}
	for name, f := range scraped(t, everything(t)) {
		if !strings.HasPrefix(name, "sluice_") {
			continue
		}
		want[name] = f
		for label, values := range f.Labels {
			if documented, ok := got[name].Labels[label]; ok && documented == nil && open[label] {
				f.Labels[label] = nil
				continue
			}
			slices.Sort(values)
			slices.Sort(got[name].Labels[label])
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (+) has not what there is (-):\n%s", docsFile, diff)
	}
}

// recorded are the series that the rules make.
func recorded(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, m := range regexp.MustCompile(`(?m)^ +- record: (\S+)$`).FindAllStringSubmatch(readText(t, rulesFile), -1) {
		all = append(all, m[1])
	}
	return all
}

// Nothing names a metric that is not there.
func TestNames(t *testing.T) {
	known := map[string]bool{}
	for name, f := range scraped(t, everything(t)) {
		known[name] = f.Type != "histogram" // which is asked for by its parts
		if f.Type == "histogram" || f.Type == "summary" {
			known[name+"_sum"], known[name+"_count"], known[name+"_bucket"] = true, true, f.Type == "histogram"
		}
	}
	for _, name := range recorded(t) {
		known[name] = true
	}
	name := regexp.MustCompile(`\b\w+:sluice_\w+:\w+|\b(?:sluice|go|process)_[a-z0-9_]+`)
	for _, file := range []string{docsFile, rulesFile, rulesTestFile, dashboardFile} {
		// The rows of the table name histograms by themselves.
		found := name.FindAllString(rowStart.ReplaceAllString(readText(t, file), ""), -1)
		if len(found) < 40 {
			t.Errorf("%s: only %d names", file, len(found))
		}
		slices.Sort(found)
		for _, n := range slices.Compact(found) {
			if !known[n] {
				t.Errorf("%s: there is no metric %s", file, n)
			}
		}
	}
}

// dashboard is what is looked at of one.
type dashboard struct {
	UID           string
	SchemaVersion int
	Panels        []panel
	Templating    struct {
		List []struct{ Name, Type string }
	}
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	Datasource               struct{ UID string }
	FieldConfig              struct {
		Defaults struct{ Unit string }
	}
	Targets []struct{ Expr, LegendFormat, RefID string }
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal([]byte(readText(t, dashboardFile)), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDashboard(t *testing.T) {
	d := readDashboard(t)
	if d.UID != "sluice" || d.SchemaVersion < 39 {
		t.Errorf("uid %q, version %d", d.UID, d.SchemaVersion)
	}
	var variables, rows []string
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
	}
	if diff := cmp.Diff([]string{"datasource", "namespace", "job", "pod", "backend"}, variables); diff != "" {
		t.Error(diff)
	}
	ids, cells := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("%s: id %d twice", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if other, taken := cells[at]; taken || at[0] >= 24 {
					t.Errorf("%s is over %s at %v", p.Title, other, at)
				}
				cells[at] = p.Title
			}
		}
		if p.Type == "row" {
			rows = append(rows, p.Title)
			continue
		}
		if problem := p.problem(); problem != "" {
			t.Errorf("%s: %s", p.Title, problem)
		}
	}
	want := []string{
		"Overview", "Commands", "Transfers", "Logins and abuse", "Data channel", "TLS", "Backends",
		"Memory budget and uploads kept", "Runtime",
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Error(diff)
	}
}

// problem is what a panel lacks.
func (p panel) problem() string {
	refs := map[string]bool{}
	for _, q := range p.Targets {
		if q.Expr == "" || q.RefID == "" || refs[q.RefID] || q.LegendFormat == "" {
			return fmt.Sprintf("query %q, reference %q, legend %q", q.Expr, q.RefID, q.LegendFormat)
		}
		refs[q.RefID] = true
	}
	switch {
	case len(p.Targets) == 0:
		return "no query"
	case p.FieldConfig.Defaults.Unit == "":
		return "no unit"
	case !strings.HasSuffix(p.Description, ".") || strings.Count(p.Description, ". ") > 0:
		return "its description is not one sentence"
	case p.Datasource.UID != "${datasource}":
		return "datasource " + p.Datasource.UID
	}
	return ""
}

// The documentation has each alert with how severe it is, and no other.
func TestDocsAlerts(t *testing.T) {
	want, got := map[string]string{}, map[string]string{}
	alert := regexp.MustCompile(`(?s)- alert: (\w+)\n.*?labels: \{severity: (\w+)`)
	for _, m := range alert.FindAllStringSubmatch(readText(t, rulesFile), -1) {
		if s := want[m[1]]; !strings.HasSuffix(s, m[2]) { // an alert with several rules
			want[m[1]] = strings.TrimPrefix(s+", "+m[2], ", ")
		}
	}
	row := regexp.MustCompile("(?m)^\\| `(Sluice\\w+)` \\| ([^|]+) \\| [^|]+ \\| [^|]+ \\|$")
	for _, m := range row.FindAllStringSubmatch(readText(t, docsFile), -1) {
		got[m[1]] = m[2]
	}
	if diff := cmp.Diff(want, got); diff != "" || len(want) < 20 {
		t.Errorf("%d alerts; %s (+) has not what there is (-):\n%s", len(want), docsFile, diff)
	}
}
