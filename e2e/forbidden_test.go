package e2e

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sluice-ftp/sluice/e2e/ftp"
)

// attempts are what can be done to a folder, in which there is plan.txt. What changes nothing and tells
// no content is seeing; STAT of a folder is a listing.
var attempts = []struct{ kind, commands string }{
	{"see", `
SIZE %s/plan.txt
MDTM %s/plan.txt
MLST %s/plan.txt
STAT %s/plan.txt
MLST %s
SITE CHMOD 777 %s/plan.txt
AVBL %s
`},
	{"stat", `
STAT %s
STAT %s/
STAT -la %s
`},
	{"use", `
LIST %s
LIST %s/
LIST %s/plan.txt
LIST %s/p*
NLST %s
NLST %s/*
MLSD %s
RETR %s/plan.txt
HASH %s/plan.txt
XCRC %s/plan.txt
XMD5 %s/plan.txt
XSHA256 %s/plan.txt
`},
	{"change", `
STOR %s/plan.txt
STOR %s/new.txt
STOR %s/new/new.txt
STOR %s/
STOU %s/new
APPE %s/plan.txt
APPE %s/new.txt
DELE %s/plan.txt
DELE %s/none.txt
MKD %s
MKD %s/new
XMKD %s/new
RMD %s
RMD %s/
XRMD %s
RMD %s/plan.txt
RNFR %s
RNFR %s/
RNFR %s/plan.txt
RNTO %s/new.txt
RNTO %s/plan.txt
RNTO %s/new/new.txt
RNTO %s
MFMT 20200101000000 %s/plan.txt
MDTM 20200101000000 %s/plan.txt
SITE UTIME 20200101000000 %s/plan.txt
SITE UTIME %s/plan.txt 20200101000000 20200101000000 20200101000000 UTC
`},
}

// forbidden tries all attempts of a kind and those after it on a folder. One in quotes is as in Go.
// What is renamed into it is /free.txt.
func (r *raw) forbidden(arg string) error {
	kind, folder, _ := strings.Cut(arg, " ")
	if text, err := strconv.Unquote(folder); err == nil {
		folder = text
	}
	var errs []error
	on := false
	for _, a := range attempts {
		on = on || a.kind == kind
		for command := range strings.Lines(strings.TrimPrefix(a.commands, "\n")) {
			if on {
				errs = append(errs, r.attempt(strings.ReplaceAll(strings.TrimSuffix(command, "\n"), "%s", folder)))
			}
		}
	}
	if !on {
		return errors.New("no such kind")
	}
	return errors.Join(errs...)
}

// attempt wants one of the two replies that refuse a name or what is to be done to it, and not one to a
// command that was written wrongly.
func (r *raw) attempt(command string) error {
	verb, _, _ := strings.Cut(command, " ")
	if verb == "RNTO" {
		if err := r.cur.Expect(350, "RNFR /free.txt"); err != nil {
			return err
		}
	}
	var got ftp.Reply
	var err error
	switch verb {
	case "LIST", "NLST", "MLSD", "RETR":
		got, _, err = transfer(r.cur.Client, command, nil)
	case "STOR", "STOU", "APPE":
		got, _, err = transfer(r.cur.Client, command, []byte("evil\n"))
	default:
		got, err = r.cur.Cmd(command)
	}
	r.ts.Logf("\t%s: %v", command, got)
	if err == nil && got.Code != 550 && got.Code != 553 {
		err = fmt.Errorf("the reply is %q", got)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	return nil
}
