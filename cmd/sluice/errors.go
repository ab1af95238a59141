package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/sluice-ftp/sluice/yamlfile"
)

// hint is an error with what to do about it, and with the exit code if that is not exitFailure.
type hint struct {
	error
	todo string
	code int
}

// Unwrap returns the error without the advice.
func (h hint) Unwrap() error { return h.error }

// report prints err, one line for each thing that is wrong, and returns the exit code.
func report(w io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	explain(w, err)
	var h hint
	if errors.As(err, &h) && h.code != 0 {
		return h.code
	}
	return exitFailure
}

func explain(w io.Writer, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			explain(w, e)
		}
		return
	}
	// Problems stand without a prefix, so that editors find the place.
	var problems yamlfile.Problems
	if errors.As(err, &problems) {
		fmt.Fprintln(w, problems)
		return
	}
	fmt.Fprintf(w, "sluice: %v\n", err)
	var h hint
	if errors.As(err, &h) && h.todo != "" {
		fmt.Fprintf(w, "sluice: %s\n", h.todo)
	}
}

// mendFile says what to do about a file that cannot be opened, "" if err does not tell.
func mendFile(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "it does not exist: correct the path"
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("user %d, who runs this, may not read it: change its owner (chown) or its mode (chmod u+r)", os.Geteuid())
	}
	return ""
}
