package s3fake

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-ftp/sluice/backends/storefake"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client sends signed requests to a server. Its signing is written apart from the server's, so that
// a mistake has to be made twice.
type client struct {
	t              testing.TB
	s              *Server
	http           *http.Client
	access, secret string
	region         string
	now            func() time.Time
}

func newClient(t testing.TB, o Options) *client {
	t.Helper()
	return clientOf(t, Start(t, o))
}

func clientOf(t testing.TB, s *Server) *client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &client{t, s, &http.Client{Transport: transport}, "testkey", "testsecret", s.o.Region, time.Now}
}

// answered is a reply, read to its end.
type answered struct {
	status int
	header http.Header
	body   string
}

func (a answered) code() string { return a.element("Code") }

// element is the text of the first element of this name.
func (a answered) element(name string) string {
	if all := a.elements(name); len(all) > 0 {
		return all[0]
	}
	return ""
}

func (a answered) elements(name string) []string {
	var all []string
	for _, m := range regexp.MustCompile("<"+name+">([^<]*)</"+name+">").FindAllStringSubmatch(a.body, -1) {
		all = append(all, m[1])
	}
	return all
}

// path escapes a key the way clients of S3 do.
func path(key string) string {
	var b strings.Builder
	for _, c := range []byte("/bucket/" + key) {
		if strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/", rune(c)) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// request makes a signed request; header is names and values in turn.
func (c *client) request(method, target, body string, header ...string) *http.Request {
	c.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.RequestURI = ""
	r.URL.Scheme, r.URL.Host = "http", strings.TrimPrefix(c.s.URL(), "http://")
	r.Host = r.URL.Host
	r.GetBody = nil // so that nothing is sent twice behind the test's back
	if body == "" {
		r.Body = http.NoBody
	}
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	c.sign(r)
	return r
}

// sign is Signature Version 4 as its documentation describes it, over host and all x-amz-* headers.
func (c *client) sign(r *http.Request) {
	now := c.now().UTC()
	r.Header.Set("X-Amz-Date", now.Format("20060102T150405Z"))
	lines := []string{"host:" + r.Host}
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Amz-") {
			lines = append(lines, strings.ToLower(name)+":"+strings.TrimSpace(r.Header.Get(name)))
		}
	}
	slices.Sort(lines)
	var names []string
	for _, l := range lines {
		name, _, _ := strings.Cut(l, ":")
		names = append(names, name)
	}
	query := strings.ReplaceAll(r.URL.Query().Encode(), "+", "%20")
	canonical := strings.Join([]string{
		r.Method, r.URL.EscapedPath(), query, strings.Join(lines, "\n"), "",
		strings.Join(names, ";"), r.Header.Get("X-Amz-Content-Sha256"),
	}, "\n")
	digest := sha256.Sum256([]byte(canonical))
	scope := now.Format("20060102") + "/" + c.region + "/s3/aws4_request"
	mac := func(key []byte, s string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(s))
		return h.Sum(nil)
	}
	key := mac(mac(mac(mac([]byte("AWS4"+c.secret), now.Format("20060102")), c.region), "s3"), "aws4_request")
	signature := mac(key, "AWS4-HMAC-SHA256\n"+now.Format("20060102T150405Z")+"\n"+scope+"\n"+hex.EncodeToString(digest[:]))
	r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%x",
		c.access, scope, strings.Join(names, ";"), signature))
}

// send sends a request; an error is a broken connection.
func (c *client) send(r *http.Request) (answered, error) {
	status, header, body, err := storefake.Send(c.http, r)
	return answered{status, header, body}, err
}

// do sends a request that must be answered.
func (c *client) do(method, target, body string, header ...string) answered {
	c.t.Helper()
	a, err := c.send(c.request(method, target, body, header...))
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, target, err)
	}
	return a
}

// want sends a request that must be answered with this status.
func (c *client) want(status int, method, target, body string, header ...string) answered {
	c.t.Helper()
	a := c.do(method, target, body, header...)
	if a.status != status {
		c.t.Fatalf("%s %s: %d, want %d: %s", method, target, a.status, status, a.body)
	}
	return a
}

// wantCode sends a request that must be refused with this code and its status.
func (c *client) wantCode(code, method, target, body string, header ...string) answered {
	c.t.Helper()
	a := c.do(method, target, body, header...)
	if a.code() != code || a.status != statuses[code] {
		c.t.Fatalf("%s %s: %d %s, want %d %s: %s", method, target, a.status, a.code(), statuses[code], code, a.body)
	}
	return a
}

// create opens an upload and returns its ID.
func (c *client) create(key string, header ...string) string {
	c.t.Helper()
	return c.want(200, "POST", path(key)+"?uploads", "", header...).element("UploadId")
}

// part uploads a part and returns its ETag.
func (c *client) part(key, id string, number int, body string, header ...string) string {
	c.t.Helper()
	return c.want(200, "PUT", partOf(key, id, number), body, header...).header.Get("Etag")
}

func partOf(key, id string, number int) string {
	return fmt.Sprintf("%s?partNumber=%d&uploadId=%s", path(key), number, url.QueryEscape(id))
}

func uploadOf(key, id string) string { return path(key) + "?uploadId=" + url.QueryEscape(id) }

// listed is the body of a Complete: numbers and ETags in turn.
func listed(parts ...any) string {
	var b strings.Builder
	b.WriteString("<CompleteMultipartUpload>")
	for i := 0; i < len(parts); i += 2 {
		fmt.Fprintf(&b, "<Part><PartNumber>%v</PartNumber><ETag>%v</ETag></Part>", parts[i], parts[i+1])
	}
	b.WriteString("</CompleteMultipartUpload>")
	return b.String()
}

func crcOf(s string) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(s))))
}

func wantData(t testing.TB, s *Server, key, data string) {
	t.Helper()
	o, ok := s.Object(key)
	if !ok || !bytes.Equal(o.Data, []byte(data)) || o.Size != int64(len(data)) || o.CRC32 != crc32.ChecksumIEEE([]byte(data)) {
		t.Fatalf("%q holds %d bytes (%v), want %d", key, len(o.Data), ok, len(data))
	}
}
