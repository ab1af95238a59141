package s3_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/backends/pages"
	"github.com/sluice-ftp/sluice/backends/s3"
	"github.com/sluice-ftp/sluice/backends/s3fake"
)

// requestsOf are the requests that the code of this package makes.
func requestsOf(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var ops []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\bclient\.([A-Z]\w+)\(ctx`).FindAllSubmatch(code, -1) {
			ops = append(ops, string(m[1]))
		}
	}
	return ops
}

const backendsDocs = "../../docs/backends.md"

// tableRows are the cells of the lines of a table that begin with a word of code.
func tableRows(t testing.TB) [][]string {
	t.Helper()
	text, err := os.ReadFile(backendsDocs)
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for _, m := range regexp.MustCompile("(?m)^\\| `(.*) \\|$").FindAllSubmatch(text, -1) {
		cells := strings.Split(string(m[1]), "|")
		for i := range cells {
			cells[i] = strings.Trim(cells[i], " `")
		}
		rows = append(rows, cells)
	}
	return rows
}

// The documentation has each profile with what it promises.
func TestDocsProfiles(t *testing.T) {
	got := map[string]s3.Profile{}
	for _, cells := range tableRows(t) {
		if len(cells) != 11 {
			continue
		}
		says := func(column int) bool { return cells[column] == "yes" }
		got[cells[0]] = s3.Profile{
			Name: cells[0], ConditionalPut: says(2), ConditionalComplete: says(2), ConditionalCopy: says(3),
			ConditionalDelete: says(4), Checksums: says(5), PartCopy: says(6), UniformParts: !says(7),
			CompleteTwice: says(8), ObjectSize: says(9), AbortByRule: says(10),
		}
	}
	want := map[string]s3.Profile{}
	for _, name := range s3.ProfileNames() {
		want[name], _ = s3.ProfileByName(name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The documentation says what a memory budget means.
func TestDocsMemory(t *testing.T) {
	const mib = 1 << 20
	budgets := map[string]int64{"16MiB": 16, "64MiB": 64, "128MiB": 128, "256MiB": 256, "512MiB": 512, "1GiB": 1024}
	n := 0
	for _, cells := range tableRows(t) {
		budget, ok := budgets[cells[0]]
		if !ok || len(cells) != 5 {
			continue
		}
		n++
		memory, err := pages.New(budget * mib)
		if err != nil {
			t.Fatal(err)
		}
		f := s3fake.New(s3fake.Options{})
		c := config(t, f)
		c.Memory = memory
		first, largest, whole := s3.LargestObject(t, c)
		parts := strconv.FormatInt(memory.Parts()/first, 10)
		if first != 8*mib {
			parts += fmt.Sprintf(" (of %d MiB)", first/mib)
		}
		want := []string{
			cells[0], strconv.FormatInt((budget*mib-memory.Parts())/pages.Size, 10), parts,
			fmt.Sprintf("%d MiB", largest/mib), fmt.Sprintf("%d GiB", whole>>30),
		}
		if diff := cmp.Diff(want, cells); diff != "" {
			t.Error(diff)
		}
	}
	if n != len(budgets) {
		t.Errorf("%d budgets", n)
	}
}

// The policy in the documentation has the rights for all of them, and no other.
func TestDocsPolicy(t *testing.T) {
	text, err := os.ReadFile(backendsDocs)
	if err != nil {
		t.Fatal(err)
	}
	var policy struct {
		Statement []struct {
			Action   []string
			Resource string
		}
	}
	block := regexp.MustCompile("(?s)```json\n(\\{\n  \"Version\".*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("no policy")
	}
	if err := json.Unmarshal(block[1], &policy); err != nil {
		t.Fatal(err)
	}
	got, want := map[string]bool{}, map[string]bool{}
	for _, s := range policy.Statement {
		for _, action := range s.Action {
			got[action] = true
			onBucket := !strings.HasSuffix(s.Resource, "*")
			if bucket := strings.HasPrefix(action, "s3:ListBucket") || action == "s3:GetLifecycleConfiguration"; bucket != onBucket {
				t.Errorf("%s on %s", action, s.Resource)
			}
		}
	}
	for _, right := range s3.Rights() {
		for action := range strings.SplitSeq(right, " and ") {
			want[action] = true
		}
	}
	// Not everyone has tags; who has is told of it below the policy.
	if delete(want, "s3:GetObjectTagging"); !bytes.Contains(text, []byte("`s3:GetObjectTagging`")) {
		t.Error("nothing about tags")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
