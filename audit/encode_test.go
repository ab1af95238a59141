package audit_test

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/audit"
)

var noon = time.Date(2026, 11, 22, 13, 0, 0, 120_000_000, time.FixedZone("", 3600))

func TestLine(t *testing.T) {
	full := audit.Event{
		Time: noon, Event: audit.Transfer, Session: "s1", User: "ann", Remote: "192.0.2.7:1", Client: "lftp",
		TLS: "1.3", Command: "STOR", Path: "/in/<a>&b", Target: "/t", Code: 226, Reason: "r",
		Direction: audit.Up, Offset: 3, Bytes: 5, Seconds: 0.25, SHA256: "ab", Version: "v", Backend: "disk",
		Detail: "d",
	}
	const fullLine = `{"time":"2026-11-22T12:00:00.120000000Z","event":"transfer","session":"s1","user":"ann",` +
		`"remote":"192.0.2.7:1","client":"lftp","tls":"1.3","command":"STOR","path":"/in/<a>&b","target":"/t",` +
		`"code":226,"reason":"r","direction":"up","offset":3,"bytes":5,"seconds":0.25,"sha256":"ab",` +
		`"version":"v","backend":"disk","detail":"d"}` + "\n"
	for name, c := range map[string]struct {
		event audit.Event
		want  string
	}{
		"full": {full, fullLine},
		"empty": {
			audit.Event{Time: noon, Event: audit.Logout},
			`{"time":"2026-11-22T12:00:00.120000000Z","event":"logout"}` + "\n",
		},
		"not a number": {
			audit.Event{Time: noon, Event: audit.Logout, Seconds: math.NaN()},
			`{"time":"2026-11-22T12:00:00.120000000Z","event":"logout"}` + "\n",
		},
		"endless": {
			audit.Event{Time: noon, Event: audit.Logout, Seconds: math.Inf(-1)},
			`{"time":"2026-11-22T12:00:00.120000000Z","event":"logout"}` + "\n",
		},
	} {
		if diff := cmp.Diff(c.want, string(audit.Line(c.event))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	var got audit.Event
	if err := json.Unmarshal([]byte(fullLine), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full, got); diff != "" {
		t.Errorf("read back: %s", diff)
	}
}

func TestTimeIsSet(t *testing.T) {
	before := time.Now()
	var e audit.Event
	if err := json.Unmarshal(audit.Line(audit.Event{}), &e); err != nil {
		t.Fatal(err)
	}
	if e.Time.Before(before) || e.Time.After(time.Now()) || e.Time.Location() != time.UTC {
		t.Errorf("the time is %v", e.Time)
	}
}

var hostile = []string{
	"\r\n", "a\nb", "\x00", "\x1b[2J", "\x7f", "\u0085", "\u009b31m", "\u2028\u2029", "\u202egpj.exe", "\ufeff",
	"\xff\xfe", "\xed\xa0\x80", "\xc2", "é\xc2", "\U000e0041", "\U0001f600", "日本", `"}`, `\`, `\u000a`,
	"<script>&'", strings.Repeat("\x01", 4096), strings.Repeat("\xff", 4096), strings.Repeat("\u0085", 2048),
	strings.Repeat("a", 8<<10),
}

func TestHostileStrings(t *testing.T) {
	for _, s := range hostile {
		wantOneLine(t, s)
	}
}

func FuzzLine(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) <= 8<<10 {
			wantOneLine(t, s)
		}
	})
}

// wantOneLine checks that a line with s in it is one, can be shown and says what it has to.
func wantOneLine(t *testing.T, s string) {
	t.Helper()
	got := audit.Line(audit.Event{Event: audit.Kind(s), Path: s, Detail: s})
	text := bytes.TrimSuffix(got, []byte("\n"))
	if len(text) != len(got)-1 || !json.Valid(text) || !utf8.Valid(text) {
		t.Errorf("%q: not a line of JSON: %q", s, got)
	}
	if i := bytes.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
		t.Errorf("%q: %q cannot be shown", s, text[i:])
	}
	if strings.Contains(s, "<") && !bytes.Contains(text, []byte("<")) {
		t.Errorf("%q: escaped for HTML: %q", s, text)
	}
	var e audit.Event
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	want := string([]rune(s)) // each byte that is not UTF-8 is U+FFFD
	if e.Path != want || e.Detail != want || string(e.Event) != want {
		t.Errorf("%q was read back as %q, %q, %q", s, e.Event, e.Path, e.Detail)
	}
}

func TestLongStringsAreCut(t *testing.T) {
	for name, c := range map[string]struct {
		s    string
		want int
	}{
		"ASCII":       {strings.Repeat("a", 1<<20), 8 << 10},
		"é":           {"a" + strings.Repeat("é", 8<<10), 8<<10 - 1},
		"not UTF-8":   {strings.Repeat("\x80", 9000), 8<<10 - utf8.UTFMax},
		"long enough": {strings.Repeat("a", 8<<10), 8 << 10},
	} {
		var got struct {
			Path, Target, Detail string
			Truncated            bool
		}
		if err := json.Unmarshal(audit.Line(audit.Event{Path: c.s, Target: "t", Detail: c.s}), &got); err != nil {
			t.Fatal(err)
		}
		want := string([]rune(c.s[:c.want]))
		if got.Path != want || got.Detail != want || got.Target != "t" || got.Truncated != (c.want < len(c.s)) {
			t.Errorf("%s: %d and %d bytes, want %d; truncated: %v", name, len(got.Path), len(got.Detail), len(want), got.Truncated)
		}
	}
}

// Every string is bounded: what is forgotten here would be found in memory.
func TestEveryStringIsCut(t *testing.T) {
	long := strings.Repeat("\x01", 1<<20)
	line := audit.Line(audit.Event{
		Event: audit.Kind(long), Session: long, User: long, Remote: long, Client: long, TLS: long, Command: long,
		Path: long, Target: long, Reason: long, Direction: audit.Direction(long), SHA256: long, Version: long,
		Backend: long, Detail: long,
	})
	if len(line) > 1<<20 {
		t.Errorf("a line of %d bytes does not fit the smallest queue", len(line))
	}
}
