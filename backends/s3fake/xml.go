package s3fake

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// document writes XML by hand: encoding/xml cannot write what S3 writes for the characters that
// XML 1.0 has no way to hold.
type document struct {
	b bytes.Buffer

	// references writes such characters as &#x1;, as S3 does in listings that were asked for
	// without encoding-type. No strict parser reads that. Otherwise they become U+FFFD.
	references bool
}

// in writes an element around what f writes.
func (d *document) in(name string, f func()) {
	d.b.WriteString("<" + name + ">")
	f()
	d.b.WriteString("</" + name + ">")
}

func (d *document) text(name, value string) { d.in(name, func() { d.escape(value) }) }

// some writes an element unless it would be empty.
func (d *document) some(name, value string) {
	if value != "" {
		d.text(name, value)
	}
}

func (d *document) number(name string, n int64) { d.text(name, strconv.FormatInt(n, 10)) }

func (d *document) bool(name string, b bool) { d.text(name, strconv.FormatBool(b)) }

func (d *document) time(name string, t time.Time) {
	d.text(name, t.UTC().Format("2006-01-02T15:04:05.000Z"))
}

func (d *document) escape(s string) {
	for _, r := range s {
		switch {
		case strings.ContainsRune("&<>\"'\r\n\t", r):
			fmt.Fprintf(&d.b, "&#%d;", r)
		case r >= ' ' && r != 0xfffe && r != 0xffff:
			d.b.WriteRune(r)
		case d.references:
			fmt.Fprintf(&d.b, "&#x%x;", r)
		default:
			d.b.WriteRune('\ufffd')
		}
	}
}

// answer is a reply with a document.
func answer(root string, d *document, f func()) *reply {
	d.b.WriteString(xml.Header)
	fmt.Fprintf(&d.b, "<%s xmlns=%q>", root, namespace)
	f()
	fmt.Fprintf(&d.b, "</%s>", root)
	return xmlReply(http.StatusOK, d)
}

func xmlReply(status int, d *document) *reply {
	return &reply{
		Status: status,
		Header: http.Header{"Content-Type": {"application/xml"}},
		Data:   d.b.Bytes(),
		Size:   int64(d.b.Len()),
	}
}

// urlEncode is what encoding-type=url does to a string: that of a form, but slashes and asterisks
// stay and tildes do not.
func urlEncode(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', strings.IndexByte("-_./*", c) >= 0:
			b.WriteByte(c)
		case c == ' ':
			b.WriteByte('+')
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
