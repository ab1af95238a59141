package gateway_test

import (
	"bytes"
	"compress/zlib"
	"io"
	"strings"
	"testing"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/gateway"
)

// TYPE A converts line ends in blocks; the cases put them where blocks meet.
func TestASCII(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := f.loginTLS()
	c.cmd(200, "TYPE A")
	for _, tc := range []struct{ sent, stored string }{
		{"", ""},
		{"no end", "no end"},
		{"a\r\nb\r\n", "a\nb\n"},
		{"\r\n\r\n", "\n\n"},
		{"a\rb", "a\rb"},
		{"a\r", "a\r"},
		{"\r\r\n", "\r\n"},
		{"a\nb", "a\nb"},
		{"\n", "\n"},
		{"\r", "\r"},
		{strings.Repeat("line\r\n", 100_000), strings.Repeat("line\n", 100_000)},
		{strings.Repeat("x", 16383) + "\r\n" + strings.Repeat("x", 16382) + "\r\r\n", strings.Repeat("x", 16383) + "\n" + strings.Repeat("x", 16382) + "\r\n"},
		{strings.Repeat("x", 256<<10-1) + "\r\nend", strings.Repeat("x", 256<<10-1) + "\nend"},
	} {
		code, text := c.upload("STOR file", tc.sent)
		equal(t, text, code, 226)
		equal(t, "stored", f.read("file") == tc.stored, true)
	}
	for _, tc := range []struct{ stored, received string }{
		{"", ""},
		{"no end", "no end"},
		{"a\nb\n", "a\r\nb\r\n"},
		{"a\r\nb\n", "a\r\nb\r\n"},
		{"\n\n", "\r\n\r\n"},
		{"\r", "\r"},
		{"\r\r\n", "\r\r\n"},
		{strings.Repeat("line\n", 100_000), strings.Repeat("line\r\n", 100_000)},
		{strings.Repeat("\n", 300_000), strings.Repeat("\r\n", 300_000)},
		{strings.Repeat("x", 256<<10-1) + "\r\nend", strings.Repeat("x", 256<<10-1) + "\r\nend"},
		{strings.Repeat("x", 256<<10) + "\nend", strings.Repeat("x", 256<<10) + "\r\nend"},
	} {
		f.put("file", tc.stored)
		equal(t, "received", c.download("RETR file") == tc.received, true)
	}
	// A listing has its line ends already.
	equal(t, "NLST", c.download("NLST"), "file\r\n")
	// ALLO tells the size of a file that the conversion changes.
	c.cmd(200, "ALLO 2")
	code, text := c.upload("STOR file", "a\r\n")
	equal(t, text, code, 226)
}

func TestASCIIBinary(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *gateway.Options) { o.ASCII = gateway.ASCIIBinary })
	c := f.login()
	c.cmd(200, "TYPE A")
	code, text := c.upload("STOR file", "a\r\nb\n")
	equal(t, text, code, 226)
	equal(t, "stored", f.read("file"), "a\r\nb\n")
	equal(t, "SIZE", c.cmd(213, "SIZE file"), "5")
	c.cmd(350, "REST 3")
	equal(t, "RETR", c.download("RETR file"), "b\n")
}

// Without TYPE, bytes go as they are: scripts forget it.
func TestBinaryByDefault(t *testing.T) {
	t.Parallel()
	f := start(t)
	code, text := f.login().upload("STOR file", "a\r\n\n\r")
	equal(t, text, code, 226)
	equal(t, "stored", f.read("file"), "a\r\n\n\r")
}

func deflate(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	if _, err := io.WriteString(z, s); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// MODE Z is a zlib stream (RFC 1950), as all clients have it.
func TestModeZ(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.put("old", "old")
	c := f.loginTLS()
	c.cmd(200, "MODE Z")
	large := strings.Repeat("compressible ", 100_000)
	for _, content := range []string{"", "x", large} {
		sent := deflate(t, content)
		code, text := c.upload("STOR file", sent)
		equal(t, text, code, 226)
		equal(t, "stored", f.read("file") == content, true)
		got := c.download("RETR file")
		z, err := zlib.NewReader(strings.NewReader(got))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "received", string(b) == content, true)
		if content == large && len(got) > len(large)/4 {
			t.Errorf("%d bytes compressed to %d", len(large), len(got))
		}
	}
	code, text := c.upload("STOR file", "") // lftp sends nothing at all for an empty file
	equal(t, text, code, 226)
	equal(t, "stored", f.read("file"), "")
	whole := deflate(t, "new content")
	for name, sent := range map[string]string{
		"cut in its header": whole[:1], "cut": whole[:len(whole)-6], "cut in its checksum": whole[:len(whole)-1],
		"wrong checksum": whole[:len(whole)-1] + "x", "more behind it": whole + "x", "not zlib": "this is plain text",
	} {
		code, text := c.upload("STOR old", sent)
		if code < 400 {
			t.Errorf("%s: %d %s", name, code, text)
		}
		equal(t, name, f.read("old"), "old")
	}
	c.cmd(504, "REST 5")
	z, err := zlib.NewReader(strings.NewReader(c.download("NLST")))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(z); err != nil || len(lines(string(b))) != 2 {
		t.Errorf("NLST: %q %v", b, err)
	}
	c.cmd(200, "TYPE A")
	code, text = c.upload("STOR file", deflate(t, "a\r\nb"))
	equal(t, text, code, 226)
	equal(t, "both codecs", f.read("file"), "a\nb")
}

func TestRestartAndAppend(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.put("file", "0123456789")
	c := f.login()
	c.cmd(350, "REST 4")
	equal(t, "RETR", c.download("RETR file"), "456789")
	equal(t, "REST holds for one transfer", c.download("RETR file"), "0123456789")
	c.cmd(350, "REST 10")
	equal(t, "at the end", c.download("RETR file"), "")
	c.cmd(350, "REST 11")
	_ = c.passive()
	c.cmd(554, "RETR file")
	c.cmd(350, "REST 5")
	c.cmd(257, "PWD") // RFC 959: REST counts for the command behind it
	equal(t, "REST and then something else", c.download("RETR file"), "0123456789")

	code, text := c.upload("APPE file", "ab")
	equal(t, text, code, 226)
	equal(t, "APPE", f.read("file"), "0123456789ab")
	code, text = c.upload("APPE fresh", "ab")
	equal(t, text, code, 226)
	equal(t, "APPE of a new file", f.read("fresh"), "ab")
	conn := c.data()
	c.cmd(350, "REST 4")
	c.cmd(150, "STOR file")
	if _, err := io.WriteString(conn, "xyz"); err != nil {
		t.Fatal(err)
	}
	finish(t, conn)
	c.want(226)
	equal(t, "REST and STOR", f.read("file"), "0123xyz")
	for _, cmd := range []string{"STOR file", "STOR none"} {
		_ = c.passive()
		c.cmd(350, "REST 99")
		c.cmd(554, cmd)
	}
	// An append that breaks off leaves the file as it was.
	s := f.loginTLS()
	conn = s.open("APPE file")
	if _, err := io.WriteString(conn, "more"); err != nil {
		t.Fatal(err)
	}
	_ = s.raw.Close()
	f.waitForSessions(1)
	equal(t, "broken APPE", f.read("file"), "0123xyz")
}

// A store that cannot continue an object says so before the data, and the object stays.
func TestAppendUnsupported(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *gateway.Options) { o.Backends["disk"] = wholeOnly{o.Backends["disk"]} })
	f.put("file", "0123456789")
	f.put("empty", "")
	c := f.login()
	_ = c.passive()
	c.cmd(502, "APPE file")
	_ = c.passive()
	c.cmd(350, "REST 5")
	c.cmd(502, "STOR file")
	equal(t, "refused", f.read("file"), "0123456789")
	for _, name := range []string{"empty", "new"} {
		code, text := c.upload("APPE "+name, "abc")
		equal(t, text, code, 226)
		equal(t, name, f.read(name), "abc")
	}
}

// wholeOnly is a store of objects that are written whole.
type wholeOnly struct{ backends.CloudStorageAdapter }

func (w wholeOnly) Capabilities() backends.Capabilities {
	c := w.CloudStorageAdapter.Capabilities()
	c.Offset = false
	return c
}

// REST and ALLO hold for the transfer that follows, also when it is refused.
func TestRestartIsForgotten(t *testing.T) {
	t.Parallel()
	f := start(t)
	for name, before := range map[string][]line{
		"refused":        {{"REST 5", 350, ""}, {"STOR file", 425, ""}},
		"TYPE A":         {{"REST 5", 350, ""}, {"TYPE A", 200, ""}, {"TYPE I", 200, ""}},
		"ABOR":           {{"REST 5", 350, ""}, {"ABOR", 226, ""}},
		"wrong REST":     {{"REST 5", 350, ""}, {"REST x", 501, ""}},
		"another login":  {{"REST 5", 350, ""}, {"USER ann", 331, ""}, {"PASS secret", 230, ""}},
		"ALLO":           {{"ALLO 100", 200, ""}, {"STOR file", 425, ""}},
		"ALLO and login": {{"ALLO 100", 200, ""}, {"USER ann", 331, ""}, {"PASS secret", 230, ""}},
		"ALLO and CWD":   {{"ALLO 100", 200, ""}, {"CWD /", 250, ""}},
	} {
		f.put("file", "0123456789")
		c := f.login()
		c.transcript(before)
		code, text := c.upload("STOR file", "abc")
		equal(t, name+": "+text, code, 226)
		equal(t, name, f.read("file"), "abc")
	}
}

func TestStoreUnique(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := f.login()
	seen := map[string]bool{}
	for _, cmd := range []string{"STOU", "STOU", "STOU report.csv"} {
		conn := c.data()
		name, ok := strings.CutPrefix(c.cmd(150, cmd), "FILE: ")
		if !ok || seen[name] {
			t.Errorf("%s: %q", cmd, name)
		}
		seen[name] = true
		if _, err := io.WriteString(conn, cmd); err != nil {
			t.Fatal(err)
		}
		finish(t, conn)
		if text := c.want(226); !strings.Contains(text, name) {
			t.Errorf("226 %s does not name %s", text, name)
		}
		equal(t, name, f.read(name), cmd)
	}
	equal(t, "names", len(seen), 3)
}
