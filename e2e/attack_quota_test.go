package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-ftp/sluice/e2e/ftp"
	"github.com/sluice-ftp/sluice/e2e/harness"
)

// Twenty sessions of one user upload at the same time more than the quota has room for.
func TestAttackQuota(t *testing.T) {
	for name, test := range map[string]struct {
		quota string
		fit   int // files of fileSize
	}{
		"bytes":      {"{bytes: 4MiB}", 4},
		"files":      {"{files: 5}", 5},
		"both":       {"{bytes: 8MiB, files: 5}", 5},
		"bytes more": {"{bytes: 5242879, files: 20}", 4}, // a byte less than five files
	} {
		t.Run(name, func(t *testing.T) { attackQuota(t, test.quota, test.fit) })
	}
}

const (
	quotaSessions = 20
	quotaFileSize = 1 << 20
)

func attackQuota(t *testing.T, quota string, fit int) {
	t.Helper()
	q := startQuota(t, quota)
	contents := make([][]byte, quotaSessions)
	all := harness.Pattern(quotaFileSize + len(contents))
	replies := q.race(t, func(i int, c *ftp.Client, meet func()) (ftp.Reply, error) {
		contents[i] = all[i : i+quotaFileSize]
		return late(c, fmt.Sprintf("STOR file%d", i), contents[i], meet)
	})
	kept := 0
	for i, reply := range replies {
		got, err := os.ReadFile(filepath.Join(q.folder, fmt.Sprintf("file%d", i)))
		switch {
		case reply.Code == 226 && (err != nil || !bytes.Equal(got, contents[i])):
			t.Errorf("file%d: %v, and there are %d bytes, %v", i, reply, len(got), err)
		case reply.Code == 226:
			kept++
		case reply.Code != 552:
			t.Errorf("file%d: %v", i, reply)
		case !os.IsNotExist(err):
			t.Errorf("file%d: %v, and there are %d bytes, %v", i, reply, len(got), err)
		}
	}
	t.Logf("%d of %d were kept at once", kept, len(replies))
	if kept > fit {
		t.Errorf("%d were kept, and %d fit", kept, fit)
	}
	q.wantTrue(t)
	// Those that failed have given back what they had reserved: the rest fits, and no more.
	c := q.login(t)
	for i := kept; i <= fit; i++ {
		q.want(t, c, i < fit, fmt.Sprintf("later%d", i), contents[0])
	}
	q.wantTrue(t)
	// What is deleted makes room again.
	q.deleteOne(t, c)
	q.wantTrue(t)
	q.want(t, c, true, "again", contents[0])
	q.want(t, c, false, "too much", contents[0])
	q.wantTrue(t)
}

// Twenty sessions of one user replace the same file at the same time. Only one of them takes its size off.
func TestAttackQuotaReplaced(t *testing.T) {
	for name, replace := range map[string]func(i int, c *ftp.Client, meet func()) (ftp.Reply, error){
		"STOR": func(_ int, c *ftp.Client, meet func()) (ftp.Reply, error) {
			return late(c, "STOR same", []byte("x"), meet)
		},
		"RNTO": func(i int, c *ftp.Client, meet func()) (ftp.Reply, error) {
			_, _, err := transfer(c, fmt.Sprintf("STOR small%d", i), []byte("x"))
			if err == nil {
				err = c.Expect(350, fmt.Sprintf("RNFR small%d", i))
			}
			if meet(); err != nil {
				return ftp.Reply{}, err
			}
			return c.Cmd("RNTO same")
		},
	} {
		t.Run(name, func(t *testing.T) {
			q := startQuota(t, "{bytes: 4MiB}")
			half := harness.Pattern(2<<20 - 100)
			c := q.login(t)
			q.want(t, c, true, "kept", half)
			q.want(t, c, true, "same", half)
			t.Log(q.race(t, replace))
			q.wantTrue(t)
			q.want(t, c, true, "more", half)
			q.want(t, c, false, "too much", half)
		})
	}
}

// What is kept of uploads that broke off takes room, too.
func TestAttackQuotaKept(t *testing.T) {
	q := startQuota(t, "{bytes: 12MiB}")
	for i := range 5 {
		c := q.login(t)
		d, err := c.Open(fmt.Sprintf("STOR half%d", i))
		if err != nil {
			t.Logf("half%d: %v", i, err)
			continue
		}
		_, _ = d.Write(harness.Pattern(11 << 20)) // the server may not take it
		_ = d.FIN()
		reply, err := c.Reply()
		t.Logf("half%d: %v, %v", i, reply, err)
	}
	kept, err := filepath.Glob(filepath.Join(q.dir, "data", harness.Private, "kept", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var size int64
	for _, name := range kept {
		if info, err := os.Stat(name); err == nil {
			size += info.Size()
		}
	}
	if size > 13<<20 || size < 11<<20 {
		t.Errorf("%d bytes are kept in %d files", size, len(kept))
	}
	// To go on with it needs no more room than the rest, and what is given up gives its room back.
	c := q.login(t)
	q.want(t, c, false, "other", harness.Pattern(2<<20))
	if err := c.Expect(250, "DELE half0"); err != nil {
		t.Fatal(err)
	}
	q.want(t, c, true, "other", harness.Pattern(11<<20))
	q.wantTrue(t)
}

// quotaServer is a gateway with one user who has a quota.
type quotaServer struct {
	cutServer
	folder string // of the user
}

func startQuota(t *testing.T, quota string) quotaServer {
	t.Helper()
	dir := t.TempDir()
	s := startForAttack(t, dir, fmt.Sprintf(`
  - name: acme
    password_hash: "$HASH"
    quota: %s
    mounts: [{path: /, backend: disk, prefix: acme, permissions: [list, read, write, overwrite, append, delete, rename, mkdir]}]
`, quota))
	return quotaServer{s, filepath.Join(dir, "data", "acme")}
}

func (q *quotaServer) login(t *testing.T) *ftp.Client {
	t.Helper()
	return (&replicas{servers: []cutServer{q.cutServer}}).login(t, 0, "acme")
}

// race runs f in as many sessions as there may be, each of which calls meet once to wait for the others.
func (q *quotaServer) race(t *testing.T, f func(i int, c *ftp.Client, meet func()) (ftp.Reply, error)) []ftp.Reply {
	t.Helper()
	var clients []*ftp.Client
	for range quotaSessions {
		clients = append(clients, q.login(t))
	}
	replies := make([]ftp.Reply, len(clients))
	var ready, done sync.WaitGroup
	ready.Add(len(clients))
	for i, c := range clients {
		done.Go(func() {
			once := sync.OnceFunc(ready.Done)
			defer once() // the others do not wait for one that was refused
			var err error
			if replies[i], err = f(i, c, func() { once(); ready.Wait() }); err != nil {
				t.Errorf("session %d: %v", i, err)
			}
		})
	}
	done.Wait()
	return replies
}

// late is a transfer that sends nothing before all have met.
func late(c *ftp.Client, command string, content []byte, meet func()) (ftp.Reply, error) {
	reply, _, err := transferAfter(c, command, content, meet)
	return reply, err
}

// want uploads once and wants it to be kept, or to be refused for the quota.
func (q *quotaServer) want(t *testing.T, c *ftp.Client, kept bool, name string, content []byte) {
	t.Helper()
	code := 552
	if kept {
		code = 226
	}
	if reply, _, err := transfer(c, "STOR "+name, content); err != nil || reply.Code != code {
		t.Errorf("%s: %v %v, want %d", name, reply, err, code)
	}
}

func (q *quotaServer) deleteOne(t *testing.T, c *ftp.Client) {
	t.Helper()
	entries, err := os.ReadDir(q.folder)
	if err != nil || len(entries) == 0 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	if err := c.Expect(250, "DELE "+entries[0].Name()); err != nil {
		t.Error(err)
	}
}

// wantTrue wants SITE QUOTA to tell what is on the disk.
func (q *quotaServer) wantTrue(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir(q.folder)
	if err != nil {
		t.Fatal(err)
	}
	var size, files int64
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		size, files = size+info.Size(), files+1
	}
	reply, err := q.login(t).Cmd("SITE QUOTA")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{fmt.Sprintf("Stored: %d bytes of ", size), fmt.Sprintf(", %d files of ", files)} {
		if !strings.Contains(reply.Text, want) {
			t.Errorf("%v, want %q", reply, want)
		}
	}
}
