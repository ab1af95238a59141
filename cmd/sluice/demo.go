package main

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/local"
)

const demoUser = "demo"

// demoOptions are what can be chosen without a configuration.
type demoOptions struct {
	Folder    string
	FTP, FTPS string
}

// demo is a gateway without a configuration: a folder served on this machine only. What it needs is
// made at the first start and kept in the folder's private part, which no client sees.
type demo struct {
	config *config
	folder string
	// password is known at the first start only.
	password string
}

// prepareDemo makes what is missing.
func prepareDemo(o demoOptions) (*demo, error) {
	for name, addr := range map[string]string{"--ftp": o.FTP, "--ftps": o.FTPS} {
		if err := checkLoopback(name, addr); err != nil {
			return nil, err
		}
	}
	if o.FTP == "" && o.FTPS == "" {
		return nil, hint{error: errors.New("serve: --ftp and --ftps are both empty"), todo: "give one of them an address", code: exitUsage}
	}
	private := filepath.Join(o.Folder, backends.Private)
	if err := os.MkdirAll(private, 0o700); err != nil {
		return nil, hint{error: fmt.Errorf("serve: %w", err), todo: "start it in a folder that you may write to, or use --config"}
	}
	c := defaultConfig()
	c.Listen = listenConfig{FTP: o.FTP, FTPS: o.FTPS}
	c.Passive.Ports = portRange{} // nothing between us and the client: any port will do
	c.TLS.CertFile = filepath.Join(private, "cert.pem")
	c.TLS.KeyFile = filepath.Join(private, "key.pem")
	c.UsersFile = filepath.Join(private, "users.yaml")
	c.stores["disk"] = &localStore{Root: o.Folder, Fsync: local.FsyncAlways}
	d := &demo{config: c, folder: o.Folder}
	if err := ensureCertificate(c.TLS.CertFile, c.TLS.KeyFile); err != nil {
		return nil, err
	}
	return d, d.ensureUser()
}

// checkLoopback keeps a gateway with a password that stands on a screen off the network.
func checkLoopback(flag, addr string) error {
	if addr == "" {
		return nil // off
	}
	host, _, err := net.SplitHostPort(addr)
	switch {
	case err != nil:
		return hint{error: fmt.Errorf("serve: %s: %w", flag, err), todo: "write it like 127.0.0.1:2121", code: exitUsage}
	case host != "127.0.0.1" && host != "::1" && host != "localhost":
		return hint{
			error: fmt.Errorf("serve: %s %s: without a configuration only this machine is served", flag, addr),
			todo:  "use 127.0.0.1, ::1 or localhost, or write a configuration: --config FILE",
			code:  exitUsage,
		}
	}
	return nil
}

// ensureUser makes the users file unless there is one. One without a byte is none.
func (d *demo) ensureUser() error {
	info, err := os.Stat(d.config.UsersFile)
	if err == nil && info.Size() > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	password := strings.ToLower(rand.Text()[:20]) // 100 bits
	hash, err := auth.Hash(password)
	if err != nil {
		return err
	}
	users := fmt.Sprintf("# Made at the first start of sluice serve. Remove it to get a new password.\n"+
		"users:\n  - name: %s\n    password_hash: %q\n    mounts:\n"+
		"      - {path: /, backend: disk, permissions: [%s]}\n",
		demoUser, hash, strings.ReplaceAll(auth.All.String(), ",", ", "))
	err = writeWhole(d.config.UsersFile, func(w io.Writer) error {
		_, err := io.WriteString(w, users)
		return err
	})
	if err != nil {
		return fmt.Errorf("serve: make a user: %w", err)
	}
	d.password = password
	return nil
}

// forget removes the users file if its password was made now and never shown.
func (d *demo) forget() error {
	if d.password == "" {
		return nil
	}
	return os.Remove(d.config.UsersFile)
}

// withHint says how to choose other addresses where the configuration's keys are not known.
func (d *demo) withHint(err error) error {
	var op *net.OpError
	if !errors.As(err, &op) {
		return err
	}
	return hint{error: fmt.Errorf("serve: %w", op), todo: "choose other ports: sluice serve --ftp 127.0.0.1:2222 --ftps 127.0.0.1:2223"}
}

// banner tells how to try it.
func (d *demo) banner(w io.Writer, listeners []listener) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Sluice serves ./%s to this machine.\n\n", d.folder)
	url := ""
	for _, l := range listeners {
		scheme, kind := "ftp", "explicit TLS"
		if l.implicit {
			scheme, kind = "ftps", "implicit TLS"
		}
		u := scheme + "://" + l.Addr().String() + "/"
		fmt.Fprintf(&b, "  %s  %s\n", kind, u)
		url = cmp.Or(url, u)
	}
	login := demoUser
	fmt.Fprintf(&b, "  user          %s\n", demoUser)
	if d.password != "" {
		login += ":" + d.password
		fmt.Fprintf(&b, "  password      %s\n                (shown this once: only its hash is kept)\n", d.password)
	} else {
		fmt.Fprintf(&b, "  password      the one printed at the first start; for a new one, remove\n"+
			"                %s and start again\n", d.config.UsersFile)
	}
	curl := fmt.Sprintf("curl --ssl-reqd --cacert %s -u %s", d.config.TLS.CertFile, login)
	fmt.Fprintf(&b, "\nTry it, from another terminal in this folder:\n\n"+
		"  echo hello > hello.txt\n"+
		"  %s -T hello.txt %s\n"+
		"  %s %shello.txt\n\n"+
		"Ctrl-C ends it. With a configuration of your own: sluice serve --config FILE\n", curl, url, curl, url)
	_, err := io.WriteString(w, b.String())
	return err
}
