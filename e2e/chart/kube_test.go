package chart

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/sluice-ftp/sluice/e2e/harness"
)

// A real API server, controllers and scheduler take what the chart makes; kwok stands in for the nodes.
func TestKube(t *testing.T) {
	c := startCluster(t)
	c.others(t)
	t.Run("every example is accepted", func(t *testing.T) { testDryRun(t, c) })
	t.Run("pods are of the restricted profile", func(t *testing.T) { testRestricted(t, c) })
	t.Run("a release lives", func(t *testing.T) { testRelease(t, c) })
}

// others installs the kinds of objects that the chart makes for cert-manager and the Prometheus operator.
func (c *cluster) others(t *testing.T) {
	t.Helper()
	modules, err := harness.ModuleDir(t.Context(), "kubetools")
	if err != nil {
		t.Fatal(err)
	}
	const certManager = "github.com/cert-manager/cert-manager"
	if _, err := harness.Go(t.Context(), modules, 5*time.Minute, "mod", "download", certManager); err != nil {
		t.Fatal(err)
	}
	dir, err := harness.Go(t.Context(), modules, time.Minute, "list", "-m", "-f", "{{.Dir}}", certManager)
	if err != nil {
		t.Fatal(err)
	}
	crds := filepath.Join(c.dir, "crds")
	// One package that it imports is not understood, which is said and does not matter: the kinds are looked for below.
	_, _ = run(t, modules, tool(t, "controller-gen"), "crd:crdVersions=v1",
		"paths=github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1", "output:crd:dir="+crds)
	for _, path := range []string{crds, filepath.Join(dir, "deploy/crds")} {
		if out, err := c.kubectl(t, "", "apply", "--server-side", "-f", path); err != nil {
			t.Fatalf("%s: %v\n%s", path, err, tail(out))
		}
	}
	for _, kind := range []string{
		"servicemonitors.monitoring.coreos.com", "podmonitors.monitoring.coreos.com", "prometheusrules.monitoring.coreos.com", "certificates.cert-manager.io",
	} {
		c.until(t, "wait", "--for=condition=Established", "crd/"+kind, "--timeout=5s")
	}
}

func testDryRun(t *testing.T, c *cluster) {
	helm := tool(t, "helm")
	strict := []string{"apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"}
	for name, values := range examples(t) {
		out, err := c.run(t, "", helm, "template", "x", chart, "--values", values)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, tail(out))
		}
		if answer, err := c.kubectl(t, out, strict...); err != nil {
			t.Errorf("%s: %v\n%s", name, err, answer)
		}
		// It has to be one that can be refused.
		if answer, err := c.kubectl(t, strings.Replace(out, "podManagementPolicy:", "podManagmentPolicy:", 1), strict...); err == nil {
			t.Errorf("%s: a misspelt field is accepted:\n%s", name, answer)
		}
	}
}

// testRestricted creates the pods that the templates describe, the gateway and the test, where the restricted
// profile of the Pod Security Standards is enforced.
func testRestricted(t *testing.T, c *cluster) {
	c.apply(t, `{apiVersion: v1, kind: Namespace, metadata: {name: restricted, labels: {pod-security.kubernetes.io/enforce: restricted}}}`)
	for name, values := range examples(t) {
		for _, o := range render(t, "--values", values, "--namespace", "restricted") {
			var pod, spec map[string]any
			switch template, _ := o.Spec["template"].(map[string]any); o.Kind {
			case "StatefulSet":
				pod, _ = template["metadata"].(map[string]any)
				spec, _ = template["spec"].(map[string]any)
			case "Pod": // of helm test
				pod, spec = map[string]any{}, o.Spec
			default:
				continue
			}
			pod["name"] = "try"
			delete(spec, "serviceAccountName") // of another namespace
			text, err := yaml.Marshal(map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": pod, "spec": spec})
			if err != nil {
				t.Fatal(err)
			}
			out, err := c.kubectl(t, string(text), "create", "--dry-run=server", "--namespace=restricted", "-f", "-")
			if refused := strings.Contains(out, "violates PodSecurity"); name == "hostport" && o.Kind == "StatefulSet" {
				if refused {
					continue
				}
				t.Errorf("%s: ports of the node are accepted: %v\n%s", name, err, out)
			} else if err != nil {
				t.Errorf("%s: %s: %v\n%s", name, o.Kind, err, out)
			}
		}
	}
}

// testRelease installs the chart, changes it, takes that back, tests and removes it, as operators do.
func testRelease(t *testing.T, c *cluster) {
	helm := tool(t, "helm")
	const namespace = "partners"
	c.apply(t, `{apiVersion: v1, kind: Namespace, metadata: {name: `+namespace+`, labels: {pod-security.kubernetes.io/enforce: restricted}}}
---
{apiVersion: v1, kind: Secret, metadata: {name: sluice-users, namespace: `+namespace+`}, stringData: {users.yaml: ""}}
---
{apiVersion: v1, kind: Secret, metadata: {name: sluice-tls, namespace: `+namespace+`}, type: Opaque, stringData: {tls.crt: "", tls.key: ""}}
---
{apiVersion: v1, kind: Secret, metadata: {name: sluice-test, namespace: `+namespace+`}, stringData: {username: test, password: secret}}
`)
	do := func(command string, args ...string) string {
		t.Helper()
		all := append(strings.Fields(command), append(args, "--namespace", namespace)...)
		out, err := c.run(t, "", helm, all...)
		if err != nil {
			t.Fatalf("helm %s: %v\n%s", strings.Join(all, " "), err, tail(out))
		}
		return out
	}
	values := []string{"--values", filepath.Join(chart, "ci/default-values.yaml"), "--wait", "--timeout", "1m", "--set", "readyDelaySeconds=0"}
	ports := func() int {
		t.Helper()
		var s struct {
			Spec struct{ Ports []struct{ Port int } }
		}
		out, err := c.kubectl(t, "", "get", "service", "sluice", "--namespace", namespace, "-o", "json")
		if err == nil {
			err = json.Unmarshal([]byte(out), &s)
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return len(s.Spec.Ports)
	}
	ready := func(want string) {
		t.Helper()
		out, err := c.kubectl(t, "", "get", "statefulset", "sluice", "--namespace", namespace, "-o", "jsonpath={.status.readyReplicas} {.spec.template.spec.containers[0].image}")
		if err != nil || out != want {
			t.Errorf("ready are %q, want %q (%v)", out, want, err)
		}
	}

	notes := do("install sluice "+chart, values...)
	for _, next := range []string{
		"kubectl -n partners rollout status statefulset/sluice", "helm test sluice -n partners", "kubectl -n partners get service sluice -o jsonpath=",
	} {
		if !strings.Contains(notes, next) {
			t.Errorf("the notes do not say %q:\n%s", next, notes)
		}
	}
	ready("2 registry.example.com/sluice-ftp/sluice:0.1.0")
	if n := ports(); n != 50 {
		t.Errorf("%d ports, want 2 and 8 for each of the 6 there may be", n)
	}
	// The gateways are found by name, one by one.
	for _, name := range []string{"sluice-0", "sluice-1"} {
		c.until(t, "wait", "endpointslices", "-l", "kubernetes.io/service-name=sluice-peers", "--namespace", namespace,
			`--for=jsonpath={.endpoints[?(@.hostname=="`+name+`")].hostname}=`+name, "--timeout=5s")
	}
	// The test pod is none of them.
	do("test sluice --timeout 1m")
	if out := do("get hooks sluice"); !strings.Contains(out, "healthcheck") {
		t.Errorf("there is no test:\n%s", out)
	}

	do("upgrade sluice "+chart, append(values, "--rollback-on-failure", "--set", "replicaCount=3,image.tag=next,tests.existingSecret=sluice-test")...)
	ready("3 registry.example.com/sluice-ftp/sluice:next")
	if n := ports(); n != 50 {
		t.Errorf("%d ports: scaling has changed the balancer", n)
	}
	do("test sluice --timeout 1m")
	do("rollback sluice 1 --wait --timeout 1m")
	ready("2 registry.example.com/sluice-ftp/sluice:0.1.0")

	// What is mistyped or contradicts itself never reaches the cluster.
	for change, want := range map[string]string{
		"replicaCont=3":            "additional properties 'replicaCont' not allowed",
		"persistence.enabled=true": "several replicas need ReadWriteMany",
	} {
		out, err := c.run(t, "", helm, append([]string{"upgrade", "sluice", chart, "--namespace", namespace, "--set", change}, values...)...)
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v\n%s", change, err, tail(out))
		}
	}

	do("uninstall sluice --wait --timeout 1m")
	out, err := c.kubectl(t, "", "get", "statefulset,service,secret,pod,pdb,serviceaccount", "--namespace", namespace, "-l", "app.kubernetes.io/instance=sluice", "-o", "name")
	if err != nil || strings.TrimSpace(out) != "" {
		t.Errorf("left behind: %v\n%s", err, out)
	}
}

func TestMain(m *testing.M) {
	// Whatever a person has configured is not asked.
	_ = os.Unsetenv("KUBECONFIG")
	os.Exit(m.Run())
}
