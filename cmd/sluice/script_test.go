package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sluice": main})
}

// TestScripts runs testdata: each script is a terminal session. A script finds two certificates with
// their keys, a.pem with a.key and b.pem with b.key.
func TestScripts(t *testing.T) {
	certs := t.TempDir()
	for _, name := range []string{"a", "b"} {
		if err := makeCertificate(filepath.Join(certs, name+".pem"), filepath.Join(certs, name+".key"), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("CERTS", certs)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"greet": func(ts *testscript.TestScript, _ bool, args []string) { greet(ts, certs, args) },
		},
	})
}

// greet VARIABLE plain|tls GREETING listens on an address, which it puts into the variable, and
// answers each connection with the greeting, and what it is sent with 221.
func greet(ts *testscript.TestScript, certs string, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], l.Addr().String())
	if args[1] == "tls" {
		cert, err := tls.LoadX509KeyPair(filepath.Join(certs, "a.pem"), filepath.Join(certs, "a.key"))
		ts.Check(err)
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintf(conn, "%s\r\n", args[2])
			if n, _ := conn.Read(make([]byte, 64)); n > 0 {
				fmt.Fprintf(conn, "221 Goodbye\r\n")
			}
			_ = conn.Close()
		}
	}()
	ts.Defer(func() {
		_ = l.Close()
		<-done
	})
}
