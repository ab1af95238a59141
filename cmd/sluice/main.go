// No client of FTP speaks Multipath TCP, and a listener for every transfer makes its sockets dear:
// 2 % of the CPU of a small file.
//
//go:debug multipathtcp=0

// Command sluice is an FTPS gateway: FTP on one side, objects in a store on the other.
//
// It is the only place that knows every package of Sluice: it reads the configuration, builds what
// it describes, listens, and turns signals and errors into an orderly end and an exit code.
package main

import (
	"context"
	"io"
	"os"
	_ "time/tzdata" // time_zone, also where the system has no zones
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// run is main with everything that it touches handed in.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return report(stderr, root.ExecuteContext(ctx))
}
