package e2e

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sluice-ftp/sluice/e2e/ftp"
	"github.com/sluice-ftp/sluice/e2e/harness"
)

// outsideText is the content of all that lies outside of the root.
const outsideText = "nobody's business\n"

var outsideHash = fmt.Sprintf("%x", sha256.Sum256([]byte(outsideText)))

// symlinkWorld is a gateway whose user has the folder in; something on the machine turns it into a link
// to a folder outside of the root.
type symlinkWorld struct {
	cutServer
	in, aside, outside string
	before             map[string]string // what is outside
}

func startSymlinks(t *testing.T) *symlinkWorld {
	t.Helper()
	dir := t.TempDir()
	acme := filepath.Join(dir, "data", "acme")
	w := &symlinkWorld{in: filepath.Join(acme, "in"), aside: filepath.Join(dir, "aside"), outside: filepath.Join(dir, "outside")}
	for path, text := range map[string]string{
		filepath.Join(w.in, "same.txt"):             "inside\n",
		filepath.Join(w.outside, "same.txt"):        outsideText,
		filepath.Join(w.outside, "only.txt"):        outsideText,
		filepath.Join(w.outside, "folder/deep.txt"): outsideText,
		filepath.Join(acme, "free0.txt"):            "free\n",
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"up": "../../outside", "absolute": w.outside, "chain": "up", "file": "../../outside/only.txt", "root": "/",
		"dots": "in/../../../outside", "inner": "in", // this one stays inside
	} {
		if err := os.Symlink(target, filepath.Join(acme, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(w.outside, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.cutServer = startForAttack(t, dir, `
  - name: acme
    password_hash: "$HASH"
    mounts: [{path: /, backend: disk, prefix: acme, permissions: [list, read, write, overwrite, append, delete, rename, mkdir]}]
`)
	var err error
	if w.before, err = harness.Snapshot(w.outside); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *symlinkWorld) login(t *testing.T) *ftp.Client {
	t.Helper()
	return (&replicas{servers: []cutServer{w.cutServer}}).login(t, 0, "acme")
}

// wantUntouched wants all outside to be as it was, and nothing of it to have come in.
func (w *symlinkWorld) wantUntouched(t *testing.T) {
	t.Helper()
	after, err := harness.Snapshot(w.outside)
	if changes := harness.Changes(w.before, after); err != nil || len(changes) > 0 {
		t.Errorf("outside: %s, %v", strings.Join(changes, "\n"), err)
	}
	err = filepath.WalkDir(filepath.Join(w.dir, "data"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if bytes.Contains(text, []byte(outsideText)) {
			err = fmt.Errorf("%s came from outside", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A link that was there before the start leads nowhere.
func TestAttackSymlink(t *testing.T) {
	w := startSymlinks(t)
	c := w.login(t)
	for _, dir := range []string{"up", "absolute", "chain", "dots", "root" + w.outside, "inner/../up", "in/../up"} {
		for _, a := range attacksOn(dir, 0) {
			reply, got, err := a.run(c)
			if err != nil {
				t.Fatalf("%s: %v", a.command, err)
			}
			if reply.Code < 500 {
				t.Errorf("%s: %v %q", a.command, reply, got)
			}
		}
	}
	for _, command := range []string{
		"RETR file", "APPE file", "STOR file", "SIZE file", "MLST file", "HASH file", "MFMT 20200101000000 file",
		"STOR up/folder/evil.txt", "APPE up/folder/deep.txt", "STOR up/only.txt/evil.txt", "MKD up/folder/evil", "CWD up", "CWD root", "LIST chain/",
	} {
		reply, got, err := attack{command: command}.run(c)
		if err != nil || reply.Code < 500 {
			t.Errorf("%s: %v %q, %v", command, reply, got, err)
		}
	}
	if reply, got, err := transfer(c, "RETR inner/same.txt", nil); err != nil || string(got) != "inside\n" {
		t.Errorf("through a link that stays inside: %v %q, %v", reply, got, err)
	}
	w.wantUntouched(t)
}

// attack is a command that must not reach outside.
type attack struct {
	before, command string
}

// attacksOn are commands that would tell or change something outside if dir led there. They work on
// what is only there, or make something.
func attacksOn(dir string, who int) []attack {
	commands := []string{
		"RETR %s/only.txt", "SIZE %s/only.txt", "MDTM %s/only.txt", "MLST %s/only.txt", "STAT %s/only.txt", "HASH %s/only.txt",
		"XCRC %s/only.txt", "LIST %s/folder", "NLST %s/folder", "MLSD %s/folder", "STAT %s/folder", "LIST %s/o*", "CWD %s/folder",
		"DELE %s/only.txt", "DELE %s/folder/deep.txt", "RMD %s/empty", "MFMT 20200101000000 %s/only.txt",
		"SITE UTIME 20200101000000 %s/only.txt", "RNFR %s/only.txt", "RNFR %s/folder", "RNFR %s/empty",
		"RETR %s/same.txt", "HASH %s/same.txt", "LIST %s", "NLST %s", "MLSD %s", "STAT %s/", "MFMT 20200101000000 %s/same.txt",
		"STOR %s/evil%d.txt", "APPE %s/same.txt", "MKD %s/evil%d", "STOR %s/evil%d/evil.txt", "DELE %s/evil%d.txt",
		"DELE %s/evil%d/evil.txt", "RMD %s/evil%d", "STOR %s/same.txt",
	}
	var all []attack
	for _, c := range commands {
		all = append(all, attack{command: strings.NewReplacer("%s", dir, "%d", fmt.Sprint(who)).Replace(c)})
	}
	return append(
		all,
		attack{fmt.Sprintf("RNFR free%d.txt", who), fmt.Sprintf("RNTO %s/free%d.txt", dir, who)},
		attack{fmt.Sprintf("RNFR %s/only.txt", dir), fmt.Sprintf("RNTO stolen%d.txt", who)},
		attack{fmt.Sprintf("RNFR %s/folder", dir), fmt.Sprintf("RNTO stolen%d", who)},
		attack{"CWD " + dir, "RETR only.txt"}, attack{"CWD " + dir, "NLST"}, attack{"CWD " + dir, "DELE only.txt"},
		attack{"CWD " + dir + "/folder", "STOR evil.txt"},
	)
}

// run returns the last reply. If the command before was refused, that is the answer, too.
func (a attack) run(c *ftp.Client) (ftp.Reply, []byte, error) {
	if strings.HasPrefix(a.before+a.command, "CWD") {
		defer func() { _ = c.Expect(250, "CWD /") }()
	}
	if a.before != "" {
		reply, err := c.Cmd(a.before)
		if err != nil || reply.Code >= 400 {
			return reply, nil, err
		}
	}
	switch verb, _, _ := strings.Cut(a.command, " "); verb {
	case "RETR", "LIST", "NLST", "MLSD":
		return transfer(c, a.command, nil)
	case "STOR", "APPE":
		return transfer(c, a.command, []byte("evil\n"))
	}
	reply, err := c.Cmd(a.command)
	return reply, nil, err
}

// The folder becomes a link and a folder again, as fast as that goes, while two sessions work on it.
func TestAttackSymlinkSwapped(t *testing.T) {
	const rounds = 80
	w := startSymlinks(t)
	var ended atomic.Bool
	var sessions, swapper sync.WaitGroup
	swaps := 0
	swapper.Go(func() {
		for ; !ended.Load(); swaps++ {
			if err := w.swap(); err != nil {
				t.Error(err)
				return
			}
		}
	})
	var links, folders atomic.Int64
	for who := range 2 {
		c := w.login(t)
		sessions.Go(func() {
			for range rounds {
				if t.Failed() {
					return
				}
				// The swapper may have thrown it away with a folder that the gateway made.
				if _, _, err := transfer(c, fmt.Sprintf("STOR free%d.txt", who), []byte("free\n")); err != nil {
					t.Error(err)
					return
				}
				for _, a := range attacksOn("in", who) {
					reply, got, err := a.run(c)
					if err != nil {
						t.Errorf("%s: %v", a.command, err)
						return
					}
					switch {
					case reply.Code < 400:
						folders.Add(1)
					case strings.Contains(reply.Text, "Permission denied"):
						links.Add(1)
					}
					w.judge(t, a, reply, got)
				}
			}
		})
	}
	sessions.Wait()
	ended.Store(true)
	swapper.Wait()
	t.Logf("%d swaps; %d commands found the folder, %d the link", swaps, folders.Load(), links.Load())
	if folders.Load() == 0 || links.Load() == 0 {
		t.Error("the two were not swapped while the sessions worked")
	}
	w.wantUntouched(t)
}

// swap puts a link in the place of the folder and takes it away again. The gateway may have made a
// folder of that name meanwhile: what is in the way goes.
func (w *symlinkWorld) swap() error {
	for _, step := range []func() error{
		func() error { return os.Rename(w.in, w.aside) },
		func() error { return os.Symlink("../../outside", w.in) },
		func() error { return os.Remove(w.in) },
		func() error { return os.Rename(w.aside, w.in) },
	} {
		for {
			err := step()
			if err == nil {
				break
			}
			if !errors.Is(err, fs.ErrExist) {
				return err
			}
			if err := os.RemoveAll(w.in); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
		}
	}
	return nil
}

// judge wants nothing from outside in what a command was answered, and what is only there not to be found.
func (w *symlinkWorld) judge(t *testing.T, a attack, reply ftp.Reply, got []byte) {
	t.Helper()
	only := func(text string) bool {
		return strings.Contains(text, "only.txt") || strings.Contains(text, "folder") || strings.Contains(text, "empty")
	}
	if reply.Code < 400 && only(a.before+a.command+reply.Text+string(got)) ||
		strings.Contains(string(got), "business") || strings.Contains(strings.ToLower(reply.Text), outsideHash) {
		t.Errorf("%s, %s: %v %q", a.before, a.command, reply, got)
	}
}
