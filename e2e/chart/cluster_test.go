package chart

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/e2e/harness"
)

const (
	// version is that of the modules in ../kube/go.mod; programs ask a server for it.
	version = "v1.36.3"
	// startLimit is how long the control plane may take to be ready, and commandLimit anything that is asked of it.
	startLimit   = 2 * time.Minute
	commandLimit = 3 * time.Minute
)

// cluster is a control plane of Kubernetes with one node that pretends to run pods.
type cluster struct {
	bin        string // with kubectl and the servers
	dir        string
	kubeconfig string
}

// kube is the program that all parts of a control plane are, built on the first call.
var kube = sync.OnceValues(func() (string, error) {
	v := "k8s.io/component-base/version."
	return harness.Command(context.Background(), "kube",
		"-s -w -X "+v+"gitVersion="+version+" -X "+v+"gitMajor=1 -X "+v+"gitMinor=36")
})

// tool returns a program of ../kubetools.
func tool(t *testing.T, name string) string {
	t.Helper()
	bin, err := harness.Tool(t.Context(), "kubetools", name)
	return available(t, bin, err)
}

// available skips the test if sources cannot be had here, and need not.
func available(t *testing.T, bin string, err error) string {
	t.Helper()
	if errors.Is(err, harness.ErrUnavailable) && os.Getenv("E2E_REQUIRE") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// startCluster runs one until the test ends. Nobody listens but on the loopback.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	path, err := kube()
	program := available(t, path, err)
	kwok := tool(t, "kwok")
	c := &cluster{dir: t.TempDir()}
	c.bin, c.kubeconfig = filepath.Join(c.dir, "bin"), filepath.Join(c.dir, "kubeconfig")
	if err := os.Mkdir(c.bin, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"} {
		if err := os.Symlink(program, filepath.Join(c.bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	p, err := harness.FreePorts()
	if err != nil {
		t.Fatal(err)
	}
	c.write(t, p)
	api := fmt.Sprint(p.FTP)
	c.serve(t, "kube-apiserver", []string{
		"ETCD_DATA=" + filepath.Join(c.dir, "etcd"), fmt.Sprintf("ETCD_CLIENT_URL=http://127.0.0.1:%d", p.First), fmt.Sprintf("ETCD_PEER_URL=http://127.0.0.1:%d", p.First+1),
	}, fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", p.First), "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port="+api,
		"--cert-dir="+filepath.Join(c.dir, "certs"), "--service-account-key-file="+filepath.Join(c.dir, "sa.key"),
		"--service-account-signing-key-file="+filepath.Join(c.dir, "sa.key"), "--service-account-issuer=https://kubernetes.default.svc",
		"--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112", "--authorization-mode=RBAC", "--token-auth-file="+filepath.Join(c.dir, "tokens.csv"),
		"--disable-admission-plugins=ServiceAccount")
	c.until(t, "get", "--raw=/readyz")
	c.serve(t, "kube-controller-manager", nil, "--kubeconfig="+c.kubeconfig, "--authentication-kubeconfig="+c.kubeconfig,
		"--authorization-kubeconfig="+c.kubeconfig, "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", p.First+2), "--leader-elect=false",
		"--service-account-private-key-file="+filepath.Join(c.dir, "sa.key"),
		"--controllers=*,-nodeipam,-cloud-node-lifecycle,-service-lb-controller,-node-route-controller")
	c.serve(t, "kube-scheduler", nil, "--kubeconfig="+c.kubeconfig, "--authentication-kubeconfig="+c.kubeconfig,
		"--authorization-kubeconfig="+c.kubeconfig, "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", p.First+3), "--leader-elect=false")
	if err := os.Symlink(kwok, filepath.Join(c.bin, "kwok")); err != nil {
		t.Fatal(err)
	}
	c.serve(t, "kwok", nil, c.nodes(t, p.First+4)...)
	c.apply(t, `{apiVersion: v1, kind: Node, metadata: {name: one, annotations: {kwok.x-k8s.io/node: fake}, labels: {kubernetes.io/hostname: one, kubernetes.io/os: linux}}}`)
	c.until(t, "wait", "--for=condition=Ready", "node/one", "--timeout=5s")
	return c
}

// write makes the files that the servers start with.
func (c *cluster) write(t *testing.T, p harness.Ports) {
	t.Helper()
	token := rand.Text()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: test,
clusters: [{name: test, cluster: {server: "https://127.0.0.1:%d", insecure-skip-tls-verify: true}}],
users: [{name: test, user: {token: %s}}], contexts: [{name: test, context: {cluster: test, user: test}}]}
`, p.FTP, token)
	err = errors.Join(
		os.WriteFile(filepath.Join(c.dir, "tokens.csv"), []byte(token+`,admin,admin,"system:masters"`+"\n"), 0o600),
		os.WriteFile(filepath.Join(c.dir, "sa.key"), pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), 0o600),
		os.WriteFile(c.kubeconfig, []byte(config), 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
}

// nodes are the flags of kwok: pods are ready at once, and those of helm test succeed.
func (c *cluster) nodes(t *testing.T, port int) []string {
	t.Helper()
	modules, err := harness.ModuleDir(t.Context(), "kubetools")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := harness.Go(t.Context(), modules, time.Minute, "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok")
	if err != nil {
		t.Fatal(err)
	}
	tested := filepath.Join(c.dir, "tested.yaml")
	stage := `apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: helm-test-complete}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchAnnotations: {helm.sh/hook: test}
    matchExpressions: [{key: .status.phase, operator: In, values: [Running]}]
  next: {statusTemplate: "phase: Succeeded"}
`
	if err := os.WriteFile(tested, []byte(stage), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := []string{
		"--kubeconfig=" + c.kubeconfig, "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
		fmt.Sprintf("--server-address=127.0.0.1:%d", port), "--config=" + tested,
	}
	for _, stage := range []string{
		"node/fast/node-initialize.yaml", "node/heartbeat/node-heartbeat.yaml", "pod/fast/pod-ready.yaml", "pod/fast/pod-complete.yaml", "pod/fast/pod-delete.yaml",
	} {
		flags = append(flags, "--config="+filepath.Join(dir, "kustomize/stage", stage))
	}
	return flags
}

// serve runs one of the servers until the test ends.
func (c *cluster) serve(t *testing.T, name string, env []string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), filepath.Join(c.bin, name), args...)
	cmd.Env = append([]string{"HOME=" + c.dir, "PATH=" + os.Getenv("PATH")}, env...)
	harness.Background(t, cmd)
}

// run runs a program against the cluster and returns what it prints.
func (c *cluster) run(t *testing.T, stdin, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = []string{"HOME=" + c.dir, "PATH=" + os.Getenv("PATH"), "KUBECONFIG=" + c.kubeconfig}
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c *cluster) kubectl(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	return c.run(t, stdin, filepath.Join(c.bin, "kubectl"), args...)
}

// apply creates objects.
func (c *cluster) apply(t *testing.T, objects string) {
	t.Helper()
	if out, err := c.kubectl(t, objects, "apply", "--server-side", "--validate=strict", "-f", "-"); err != nil {
		t.Fatalf("apply: %v\n%s", err, out)
	}
}

// until asks by kubectl until it succeeds.
func (c *cluster) until(t *testing.T, args ...string) {
	t.Helper()
	end := time.After(startLimit)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		out, err := c.kubectl(t, "", args...)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

func tail(text string) string { return harness.Tail(text, 20) }
