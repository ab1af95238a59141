package metrics_test

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// promtool runs it, or skips the test if it is missing; with E2E_REQUIRE=1 that fails.
func promtool(t *testing.T, stdin string, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	switch {
	case err != nil && os.Getenv("E2E_REQUIRE") == "1":
		t.Fatal("promtool is missing, and E2E_REQUIRE=1")
	case err != nil:
		t.Skip("promtool is missing")
	}
	c := exec.CommandContext(t.Context(), path, args...)
	c.Stdin = strings.NewReader(stdin)
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestPromtoolRules(t *testing.T) {
	t.Parallel()
	promtool(t, "", "check", "rules", rulesFile)
}

func TestPromtoolRulesFire(t *testing.T) {
	t.Parallel() // it takes a while
	promtool(t, "", "test", "rules", rulesTestFile)
}

// The names and the texts are as Prometheus wants them.
func TestPromtoolMetrics(t *testing.T) {
	t.Parallel()
	promtool(t, everything(t), "check", "metrics")
}

// Each alert says what to do, and is tested to fire and not to.
func TestRulesAreTested(t *testing.T) {
	rules, tests := readText(t, rulesFile), readText(t, rulesTestFile)
	start := regexp.MustCompile(`(?m)^ +- (?:alert|record): `)
	text := regexp.MustCompile(`(?m)^ +(?:summary: "\S|description: >-$)`)
	name := regexp.MustCompile(`(?m)^ +- alert: (\w+)$`)
	var alerts []string
	for _, rule := range start.Split(rules, -1) {
		if strings.Contains(rule, "labels: {severity:") && len(text.FindAllString(rule, -1)) != 2 {
			t.Errorf("no summary and description:\n%s", rule)
		}
	}
	for _, m := range name.FindAllStringSubmatch(rules, -1) {
		alerts = append(alerts, m[1])
	}
	if len(alerts) < 20 {
		t.Fatalf("only %q", alerts)
	}
	slices.Sort(alerts)
	for _, a := range slices.Compact(alerts) {
		for _, end := range []string{` \[\]$`, `$`} {
			if !regexp.MustCompile(`(?m)alertname: ` + a + `\n +exp_alerts:` + end).MatchString(tests) {
				t.Errorf("%s has no test that ends with exp_alerts:%s", a, end)
			}
		}
	}
}
