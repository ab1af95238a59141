package audit

import (
	"bytes"
	"encoding/json"
	"math"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// timeFormat is RFC 3339 with all nine digits, so that lines sort by it.
	timeFormat = "2006-01-02T15:04:05.000000000Z"
	// maxField is twice the longest line that a client can send: a path and what it is relative to.
	maxField = 8 << 10
	// maxIdle is the largest buffer that is kept for later events.
	maxIdle = 64 << 10
)

// encoder turns events into lines. It is reused, for its buffers.
type encoder struct {
	line    line
	json    *json.Encoder
	text    bytes.Buffer
	escaped []byte
}

// line is an event as it is written.
type line struct {
	Time string `json:"time"` // goes before that of Event, which leaves out zeros at its end
	Event
	Truncated bool `json:"truncated,omitempty"`
}

func newEncoder() *encoder {
	e := &encoder{}
	e.json = json.NewEncoder(&e.text)
	e.json.SetEscapeHTML(false)
	return e
}

// encode returns ev as a line with its end. It is good until the next call.
func (e *encoder) encode(ev *Event) []byte {
	e.line = line{Event: *ev}
	l := &e.line
	if l.Event.Time.IsZero() {
		l.Event.Time = time.Now()
	}
	l.Time = l.Event.Time.UTC().Format(timeFormat)
	if math.IsNaN(l.Seconds) || math.IsInf(l.Seconds, 0) {
		l.Seconds = 0
	}
	l.cut()
	e.text.Reset()
	_ = e.json.Encode(l) // strings and finite numbers into memory: nothing can fail
	*l = line{}          // what the strings are parts of may be large
	return e.printable()
}

// small reports whether the encoder's buffers are worth keeping.
func (e *encoder) small() bool { return e.text.Cap() <= maxIdle && cap(e.escaped) <= maxIdle }

// cut bounds every string.
func (l *line) cut() {
	for _, s := range []*string{
		(*string)(&l.Event.Event), &l.Session, &l.User, &l.Remote, &l.Client, &l.TLS, &l.Command, &l.Path,
		&l.Target, &l.Reason, (*string)(&l.Direction), &l.SHA256, &l.Version, &l.Backend, &l.Detail,
	} {
		if len(*s) <= maxField {
			continue
		}
		end := maxField
		for end > maxField-utf8.UTFMax && !utf8.RuneStart((*s)[end]) {
			end--
		}
		*s, l.Truncated = (*s)[:end], true
	}
}

// printable returns the text with escapes for what json leaves as it is and a terminal or an editor
// acts on: DEL, the control characters above it, marks that turn the direction of writing, line
// separators. All of these stand inside strings, so a reader of JSON sees no difference.
func (e *encoder) printable() []byte {
	text := e.text.Bytes()
	if plain(text) {
		return text
	}
	e.escaped = e.escaped[:0]
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch high, low := utf16.EncodeRune(r); {
		case r < 0x7f || unicode.IsPrint(r):
			e.escaped = append(e.escaped, text[:n]...)
		case r > 0xffff:
			e.escaped = appendEscape(appendEscape(e.escaped, high), low)
		default:
			e.escaped = appendEscape(e.escaped, r)
		}
		text = text[n:]
	}
	return e.escaped
}

// plain reports that the text is ASCII without DEL, as most is.
func plain(text []byte) bool {
	for _, c := range text {
		if c >= 0x7f {
			return false
		}
	}
	return true
}

// appendEscape appends one unit of UTF-16 as JSON escapes it.
func appendEscape(b []byte, unit rune) []byte {
	const hex = "0123456789abcdef"
	return append(b, '\\', 'u', hex[unit>>12&15], hex[unit>>8&15], hex[unit>>4&15], hex[unit&15])
}
