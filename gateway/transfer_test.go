package gateway_test

import (
	"strings"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	f := start(t)
	for name, c := range map[string]*client{"clear": f.login(), "tls": f.loginTLS()} {
		t.Run(name, func(t *testing.T) {
			for _, content := range []string{"", "x", strings.Repeat("0123456789abcdef", 40_000)} {
				code, text := c.upload("STOR in/"+name, content)
				equal(t, "STOR "+text, code, 226)
				equal(t, "stored", f.read("in/"+name) == content, true)
				equal(t, "RETR", c.download("RETR in/"+name) == content, true)
			}
		})
	}
	equal(t, "leftovers", len(f.leftovers()), 0)
}
