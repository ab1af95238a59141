package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/e2e/ftp"
	"github.com/sluice-ftp/sluice/e2e/harness"
)

// observed is a gateway with metrics.
type observed struct {
	cutServer
	http string // where metrics and health are
}

// startObserved starts a gateway with more lines in its configuration.
func startObserved(t *testing.T, backend, more string) observed {
	t.Helper()
	p := ports(t)
	config := fmt.Sprintf(`listen:  {ftp: "127.0.0.1:%d", ftps: "", http: "127.0.0.1:%d"}
passive: {ports: "%s"}
tls:     {mode: optional, cert_file: server.pem, key_file: server.key}
audit_log: {path: audit.jsonl}
backends:
  %s
users_file: users.yaml
%s
`, p.FTP, p.FTPS, p.Passive(), backend, more)
	return observed{startGateway(t, t.TempDir(), config, p), fmt.Sprintf("http://127.0.0.1:%d", p.FTPS)}
}

// get asks the gateway, and returns the status and the body.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// series are the samples of a scrape.
func (o observed) series(t *testing.T) map[string]float64 {
	t.Helper()
	status, text := get(t, o.http+"/metrics")
	if status != http.StatusOK {
		t.Fatalf("/metrics: %d %s", status, text)
	}
	all := map[string]float64{}
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
		if ok {
			name += "}"
		} else {
			name, value, _ = strings.Cut(strings.TrimSpace(line), " ")
		}
		if strings.HasPrefix(name, "sluice_") {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			all[name] = n
		}
	}
	return all
}

// dialGateway logs in.
func dialGateway(t *testing.T, addr string, mode ftp.Mode) *ftp.Client {
	t.Helper()
	c, err := ftp.Dial(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Login(mode, "acme", password); err != nil {
		t.Fatal(err)
	}
	return c
}

// prometheus runs one that scrapes o every second, with the rules of the chart.
func prometheus(t *testing.T, o observed) (api string) {
	t.Helper()
	bin, err := exec.LookPath("prometheus")
	if err != nil {
		if os.Getenv("E2E_REQUIRE") == "1" {
			t.Fatal("prometheus is missing, and E2E_REQUIRE=1")
		}
		t.Skip("prometheus is missing")
	}
	rules, err := filepath.Abs("../charts/sluice/rules/sluice.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := fmt.Sprintf(`global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs:
  - {job_name: sluice, static_configs: [{targets: [%q]}]}
`, rules, strings.TrimPrefix(o.http, "http://"))
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", ports(t).FTP)
	cmd := exec.CommandContext(context.Background(), bin, "--config.file=prometheus.yml", "--storage.tsdb.path=data",
		"--web.listen-address="+addr, "--log.level=warn")
	cmd.Dir = dir
	harness.Background(t, cmd)
	api = "http://" + addr
	eventually(t, 30*time.Second, func() bool { status, _ := get(t, api+"/-/ready"); return status == http.StatusOK })
	return api
}

// ask returns the value of an expression now; false if it has none.
func ask(t *testing.T, api, expr string) (float64, bool) {
	t.Helper()
	status, body := get(t, api+"/api/v1/query?"+url.Values{"query": {expr}}.Encode())
	var answer struct {
		Data struct {
			Result []struct {
				Value [2]any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(body), &answer); status != http.StatusOK || err != nil {
		t.Fatalf("%s: %d %s", expr, status, body)
	}
	if len(answer.Data.Result) == 0 {
		return 0, false
	}
	n, err := strconv.ParseFloat(fmt.Sprint(answer.Data.Result[0].Value[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return n, true
}

// Prometheus itself scrapes a gateway that works, and sees the bytes of an upload while they move.
func TestPrometheus(t *testing.T) {
	t.Parallel() // it waits for scrapes
	o := startObserved(t, "disk: {type: local, root: ./data, fsync: never}", "")
	api := prometheus(t, o)
	var load sync.WaitGroup
	for i := range 4 {
		load.Go(func() {
			c := dialGateway(t, o.addr, []ftp.Mode{ftp.Explicit, ftp.Clear}[i%2])
			for n := range 5 {
				name := fmt.Sprintf("file%d-%d", i, n)
				if err := c.Store(name, bytes.NewReader(harness.Pattern(100_000))); err != nil {
					t.Error(err)
				}
				if err := c.Retrieve("RETR "+name, io.Discard); err != nil {
					t.Error(err)
				}
			}
		})
	}
	load.Wait()
	eventually(t, 20*time.Second, func() bool {
		n, _ := ask(t, api, `sum(sluice_transfer_bytes_total{direction="download"})`)
		return n == 2_000_000
	})
	if n, ok := ask(t, api, `up{job="sluice"}`); !ok || n != 1 {
		t.Errorf("up is %v", n)
	}
	c := dialGateway(t, o.addr, ftp.Explicit)
	d, err := c.Open("STOR slow")
	if err != nil {
		t.Fatal(err)
	}
	const before, step = 2_000_000, 1 << 20
	for i := range 5 { // each step is seen before the next is sent
		if _, err := d.Write(harness.Pattern(step)); err != nil {
			t.Fatal(err)
		}
		eventually(t, 20*time.Second, func() bool {
			n, _ := ask(t, api, `sum(sluice_transfer_bytes_total{direction="upload"})`)
			return n == float64(before+(i+1)*step)
		})
	}
	if n, _ := ask(t, api, `sum(sluice_transfers_in_flight{direction="upload"})`); n != 1 {
		t.Errorf("%v uploads are in flight", n)
	}
	if err := errors.Join(d.Finish(), c.Done("STOR slow")); err != nil {
		t.Fatal(err)
	}
	if status, body := get(t, api+"/api/v1/rules"); status != http.StatusOK || strings.Contains(body, `"health":"err"`) || !strings.Contains(body, `"health":"ok"`) {
		t.Errorf("the rules: %d %s", status, body)
	}
	promtoolCheck(t, o)
}

// promtoolCheck holds a scrape to what Prometheus thinks of good metrics.
func promtoolCheck(t *testing.T, o observed) {
	t.Helper()
	_, text := get(t, o.http+"/metrics")
	cmd := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// Ten thousand addresses are counted, and are no series.
func TestManyAddresses(t *testing.T) {
	o := startObserved(t, "disk: {type: local, root: ./data, fsync: never}", "")
	dial := func(from string) {
		conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext(t.Context(), "tcp", o.addr)
		if err == nil {
			_, err = io.ReadFull(conn, make([]byte, 3))
			_ = conn.Close()
		}
		if err != nil {
			t.Error(err)
		}
	}
	dial("127.0.0.2")
	eventually(t, 20*time.Second, func() bool { return o.series(t)[`sluice_session_duration_seconds_count{listener="explicit"}`] > 0 })
	before := o.series(t)
	const addresses = 10_000
	var workers sync.WaitGroup
	for w := range 8 {
		workers.Go(func() {
			for i := w; i < addresses; i += 8 {
				dial(fmt.Sprintf("127.%d.%d.%d", 1+i>>16, i>>8&255, i&255))
			}
		})
	}
	workers.Wait()
	after := o.series(t)
	if len(after) != len(before) {
		t.Errorf("%d series, before it were %d", len(after), len(before))
	}
	for _, window := range []string{"1h", "24h"} {
		if n := after[`sluice_unique_client_addresses{window="`+window+`"}`]; n < .97*addresses || n > 1.03*addresses {
			t.Errorf("%v addresses in %s, want %d within 3 %%", n, window, addresses)
		}
	}
	if n := after[`sluice_connections_total{listener="explicit",result="accepted"}`]; n < addresses {
		t.Errorf("%v connections", n)
	}
}
