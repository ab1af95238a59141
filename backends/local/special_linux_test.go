package local_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/local"
)

// What is neither file nor folder is refused, not listed, and above all not waited for.
func TestSpecialFiles(t *testing.T) {
	root := t.TempDir()
	a := open(t, local.Config{Root: root})
	ctx := t.Context()
	if err := unix.Mkfifo(filepath.Join(root, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("fifo", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(root) // a socket's path must be short
	socket, err := net.Listen("unix", "socket")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	keys := []string{"fifo", "link", "socket"}
	if os.Getuid() == 0 && unix.Mknod(filepath.Join(root, "null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))) == nil {
		keys = append(keys, "null")
	}
	put(t, a, "o", "data")
	for _, key := range keys {
		for what, err := range map[string]error{
			"stat":      second(a.Stat(ctx, key)),
			"open":      second(a.Open(ctx, key, backends.OpenOptions{})),
			"put":       second(a.Put(ctx, key, strings.NewReader("x"), putOptions{})),
			"copy":      second(a.Copy(ctx, key, "x", backends.CopyOptions{})),
			"rename":    a.Rename(ctx, key, "x", backends.RenameOptions{}),
			"rename to": a.Rename(ctx, "o", key, backends.RenameOptions{}),
			"mod time":  a.SetModTime(ctx, key, time.Unix(0, 0)),
		} {
			wantKind(t, what+" "+key, err, backends.Permission)
		}
		if key != "link" { // which is itself a link, and may go
			wantKind(t, "remove "+key, a.Remove(ctx, key), backends.Permission)
		}
	}
	for _, o := range []backends.ListOptions{{}, {NamesOnly: true}} {
		for obj, err := range a.List(ctx, "", o) {
			if err != nil || obj.Key != "o" {
				t.Errorf("list %+v: %+v, %v", o, obj, err)
			}
		}
	}
}

// Names that would break a listing can come from outside; they are passed over.
func TestUnlistableNames(t *testing.T) {
	root := t.TempDir()
	a := open(t, local.Config{Root: root})
	for _, name := range []string{"cr\rlf\n", "lf\n", "latin1 \xe9", "good"} {
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(t, a, ""); len(got) != 1 || got["good"] {
		t.Errorf("the listing is %v", got)
	}
}

// A file that another program shortens in place must not look like a success.
func TestTruncatedWhileReading(t *testing.T) {
	root := t.TempDir()
	a := open(t, local.Config{Root: root, BufferSize: 1000})
	name := filepath.Join(root, "o")
	for _, test := range []struct {
		name   string
		change func() error
		want   int
		fails  bool
	}{
		{"truncated", func() error { return os.Truncate(name, 1500) }, 1500, true},
		{"grown", func() error { return os.Truncate(name, 9000) }, 5000, false},
	} {
		for _, how := range []string{"Read", "WriteTo"} {
			t.Run(test.name+" "+how, func(t *testing.T) {
				put(t, a, "o", strings.Repeat("x", 5000))
				r, err := a.Open(t.Context(), "o", backends.OpenOptions{})
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				head := make([]byte, 1000)
				if _, err := r.Read(head); err != nil {
					t.Fatal(err)
				}
				if err := test.change(); err != nil {
					t.Fatal(err)
				}
				n, err := drain(r, how)
				if n+1000 != test.want || (err != nil) != test.fails {
					t.Errorf("%d bytes, %v", n+1000, err)
				}
				if test.fails {
					wantUnexpectedEOF(t, err)
				}
			})
		}
	}
}
