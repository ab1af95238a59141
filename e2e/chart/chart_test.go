// Package chart tests the Helm chart: its templates, and what a real API server makes of them.
package chart

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/sluice-ftp/sluice/e2e/harness"
)

// chart is its folder.
const chart = "../../charts/sluice"

// run runs a program on files alone.
func run(t *testing.T, dir, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// examples are the files of values in the chart's ci folder, by name.
func examples(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(chart, "ci", "*-values.yaml"))
	if err != nil || len(files) < 5 {
		t.Fatalf("%q, %v", files, err)
	}
	all := map[string]string{}
	for _, f := range files {
		all[strings.TrimSuffix(filepath.Base(f), "-values.yaml")] = f
	}
	return all
}

// The chart's own tests of its templates.
func TestTemplates(t *testing.T) {
	out, err := run(t, ".", tool(t, "helm-unittest"), chart)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !regexp.MustCompile(`Tests: +\d\d+ passed`).MatchString(out) {
		t.Errorf("it tests nothing:\n%s", out)
	}
}

// README.md says what values.yaml says.
func TestReadme(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(chart)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "README.md")); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, dir, tool(t, "helm-docs"), "--template-files=README.md.gotmpl"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(chart, "README.md"))
	if err != nil || string(got) != string(want) {
		t.Errorf("charts/sluice/README.md is not what values.yaml says (%v); make it anew: make chart-readme", err)
	}
}

func TestLint(t *testing.T) {
	helm := tool(t, "helm")
	for name, values := range examples(t) {
		if out, err := run(t, ".", helm, "lint", "--strict", chart, "--values", values); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// What is mistyped is refused by the schema, and what contradicts itself with what to do about it.
func TestRefusals(t *testing.T) {
	helm := tool(t, "helm")
	for change, want := range map[string]string{
		"":                                "", // as it is it will do
		"replicaCont=3":                   "additional properties 'replicaCont' not allowed",
		"ftp.passive.portPerReplica=3":    "at '/ftp/passive': additional properties 'portPerReplica' not allowed",
		"ftp.passive.exposure=perPod":     "at '/ftp/passive/exposure': value must be one of 'shared', 'hostPort'",
		"config.tls.mode=false":           "at '/config/tls/mode': got boolean, want string",
		"replicaCount=two":                "at '/replicaCount': got string, want integer",
		"service.port=0":                  "at '/service/port': minimum: got 0, want 1",
		"image.digest=sha256:12":          "at '/image/digest': 'sha256:12' does not match pattern",
		"users.existingSecret=":           "users: missing; name a Secret with users.yaml",
		"persistence.enabled=true":        "persistence.accessModes: several replicas need ReadWriteMany",
		"config.passive.ports=1-2":        "config.passive: the chart sets it; use ftp.passive",
		"ftp.passive.portsPerReplica=900": "",
		"image.registry=":                 "image.registry: missing; name the registry",
		"enabled=true":                    "", // a parent chart's condition
	} {
		args := []string{"template", "x", chart, "--values", filepath.Join(chart, "ci/default-values.yaml")}
		if change != "" {
			args = append(args, "--set", change)
		}
		out, err := run(t, ".", helm, args...)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v\n%s", change, err, out)
		case want != "" && (err == nil || !strings.Contains(out, want)):
			t.Errorf("%s: %v, without %q:\n%s", change, err, want, tail(out))
		}
	}
}

// object is what of a rendered object is looked at.
type object struct {
	Kind       string
	Metadata   struct{ Name string }
	StringData map[string]string `yaml:"stringData"`
	Spec       map[string]any
}

// render returns what the chart makes of values.
func render(t *testing.T, args ...string) []object {
	t.Helper()
	out, err := run(t, ".", tool(t, "helm"), append([]string{"template", "x", chart}, args...)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, tail(out))
	}
	var all []object
	for _, doc := range regexp.MustCompile(`(?m)^---$`).Split(out, -1) {
		var o object
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		if o.Kind != "" {
			all = append(all, o)
		}
	}
	return all
}

// The gateway itself has nothing to say against a configuration that the chart writes.
func TestConfiguration(t *testing.T) {
	dir := t.TempDir()
	bin, err := harness.Build(t.Context(), "../..", dir, false)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := harness.Hash(t.Context(), bin, "password")
	if err != nil {
		t.Fatal(err)
	}
	certs := filepath.Join(dir, "certs")
	if err := errors.Join(os.Mkdir(certs, 0o700), harness.Certificates(certs)); err != nil {
		t.Fatal(err)
	}
	for name, values := range examples(t) {
		if name == "existing-config" {
			continue // which is not the chart's
		}
		for _, o := range render(t, "--values", values) {
			text, ok := o.StringData["sluice.yaml"]
			if !ok {
				continue
			}
			root := filepath.Join(dir, name)
			place(t, root, certs, hash, text)
			cmd := exec.CommandContext(t.Context(), bin, "check", "--config", "sluice.yaml")
			cmd.Dir = root
			cmd.Env = []string{"POD_NAME=x-sluice-1", "HOST_IP=192.0.2.1"}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s\n%s", name, err, out, text)
			}
		}
	}
}

// place puts a configuration into root, and what it names, as Kubernetes would mount it.
func place(t *testing.T, root, certs, hash, text string) {
	t.Helper()
	stores := regexp.MustCompile(`(?m)^backends:\n  (\w+):\n(    .*\n)+`)
	backend := stores.FindStringSubmatch(text)
	if backend == nil {
		t.Fatalf("no backend in\n%s", text)
	}
	// A bucket would be asked for, which no test may.
	text = stores.ReplaceAllString(text, "backends:\n  $1: {type: local, root: ./data}\n")
	text = strings.ReplaceAll(text, " /etc/sluice/", " "+root+"/etc/sluice/")
	revoked, err := revocations(certs)
	if err != nil {
		t.Fatal(err)
	}
	users := fmt.Sprintf("users:\n  - name: acme\n    password_hash: %q\n    mounts:\n      - {path: /, backend: %s, permissions: [list]}\n", hash, backend[1])
	err = os.MkdirAll(root, 0o700)
	for _, folder := range []string{"data", "etc/sluice/tls", "etc/sluice/users", "etc/sluice/client-ca"} {
		err = errors.Join(err, os.MkdirAll(filepath.Join(root, folder), 0o700))
	}
	for to, from := range map[string]string{"tls/tls.crt": "server.pem", "tls/tls.key": "server.key", "client-ca/ca.crt": "ca.pem"} {
		content, readErr := os.ReadFile(filepath.Join(certs, from))
		err = errors.Join(err, readErr, os.WriteFile(filepath.Join(root, "etc/sluice", to), content, 0o600))
	}
	err = errors.Join(err,
		os.WriteFile(filepath.Join(root, "etc/sluice/client-ca/ca.crl"), revoked, 0o600),
		os.WriteFile(filepath.Join(root, "sluice.yaml"), []byte(text), 0o600),
		os.WriteFile(filepath.Join(root, "etc/sluice/users/users.yaml"), []byte(users), 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
}

// revocations is an empty list of those that the test's authority has taken back.
func revocations(certs string) ([]byte, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(certs, "ca.pem"), filepath.Join(certs, "ca.key"))
	if err != nil {
		return nil, err
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T", pair.PrivateKey)
	}
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour)}
	return x509.CreateRevocationList(rand.Reader, list, pair.Leaf, key)
}

// What helm test runs is understood by the gateway's own image: it gets as far as connecting.
func TestTheTest(t *testing.T) {
	dir := t.TempDir()
	bin, err := harness.Build(t.Context(), "../..", dir, false)
	if err != nil {
		t.Fatal(err)
	}
	certs := filepath.Join(dir, "certs")
	err = errors.Join(os.Mkdir(certs, 0o700), harness.Certificates(certs), os.WriteFile(filepath.Join(dir, "password"), []byte("secret"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range examples(t) {
		for _, o := range render(t, "--values", values) {
			if o.Kind != "Pod" {
				continue
			}
			containers, _ := o.Spec["containers"].([]any)
			container, _ := containers[0].(map[string]any)
			var args []string
			for _, a := range container["args"].([]any) {
				arg := regexp.MustCompile(`^--addr=.*`).ReplaceAllString(fmt.Sprint(a), "--addr=127.0.0.1:1")
				arg = strings.ReplaceAll(arg, "/etc/sluice-test/", dir+"/")
				args = append(args, strings.ReplaceAll(arg, "/etc/sluice-ca/ca.crt", filepath.Join(certs, "ca.pem")))
			}
			if out, err := run(t, dir, bin, args...); err == nil || !strings.Contains(out, "connection refused") {
				t.Errorf("%s: %q: %v\n%s", name, args, err, out)
			}
		}
	}
}
