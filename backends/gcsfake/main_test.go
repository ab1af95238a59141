package gcsfake

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sluice-ftp/sluice/backends/storefake"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client sends requests with the token to a server.
type client struct {
	t    testing.TB
	s    *Server
	http *http.Client
}

func newClient(t testing.TB, o Options) *client {
	t.Helper()
	return clientOf(t, Start(t, o))
}

func clientOf(t testing.TB, s *Server) *client {
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &client{t, s, &http.Client{Transport: transport}}
}

// answered is a reply, read to its end.
type answered struct {
	status int
	header http.Header
	body   string
}

// json is the body as a document; nil if it is none.
func (a answered) json() map[string]any {
	var v map[string]any
	_ = json.Unmarshal([]byte(a.body), &v)
	return v
}

// field is the value at a path like "resource.name" or "items.0.name", as a text.
func (a answered) field(path string) string {
	var v any = a.json()
	for name := range strings.SplitSeq(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[name]
		case []any:
			i, _ := strconv.Atoi(name)
			if i >= len(in) {
				return ""
			}
			v = in[i]
		default:
			return ""
		}
	}
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// names are the names of the items of a listing.
func (a answered) names() []string {
	var names []string
	items, _ := a.json()["items"].([]any)
	for _, item := range items {
		names = append(names, fmt.Sprint(item.(map[string]any)["name"]))
	}
	return names
}

func (a answered) prefixes() []string {
	var all []string
	prefixes, _ := a.json()["prefixes"].([]any)
	for _, p := range prefixes {
		all = append(all, fmt.Sprint(p))
	}
	return all
}

func (a answered) reason() string { return a.field("error.errors.0.reason") }

// Paths of the API, below the address of the server.
const (
	inBucket = "/storage/v1/b/bucket/"
	uploads  = "/upload/storage/v1/b/bucket/o?uploadType="
)

func at(key string) string { return inBucket + "o/" + url.PathEscape(key) }

func folderAt(name string) string { return inBucket + "folders/" + url.PathEscape(name) }

// query joins parameters, names and values in turn, to a path.
func query(path string, parameters ...string) string {
	q := url.Values{}
	for i := 0; i < len(parameters); i += 2 {
		q.Add(parameters[i], parameters[i+1])
	}
	if len(q) == 0 {
		return path
	}
	if strings.Contains(path, "?") {
		return path + "&" + q.Encode()
	}
	return path + "?" + q.Encode()
}

// request makes a request; header is names and values in turn, of which "" is taken away.
func (c *client) request(method, target, body string, header ...string) *http.Request {
	c.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = c.s.URL() + target
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.GetBody = nil // so that nothing is sent twice behind the test's back
	if body == "" {
		r.Body = http.NoBody
	}
	r.Header.Set("Authorization", "Bearer testtoken")
	if strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/json; charset=UTF-8")
	}
	for i := 0; i < len(header); i += 2 {
		if header[i+1] == "" {
			r.Header.Del(header[i])
		} else {
			r.Header.Set(header[i], header[i+1])
		}
	}
	return r
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

// refused sends a request that must be refused with this status and reason.
func (c *client) refused(status int, reason, method, target, body string, header ...string) answered {
	c.t.Helper()
	a := c.do(method, target, body, header...)
	if a.status != status || a.reason() != reason || a.field("error.code") != strconv.Itoa(status) {
		c.t.Errorf("%s %s: %d %s, want %d %s: %s", method, target, a.status, a.reason(), status, reason, a.body)
	}
	return a
}

// insert stores an object in one request of two parts, and returns it as it is told of.
func (c *client) insert(key, data string, parameters ...string) answered {
	c.t.Helper()
	a := c.tryInsert(`{"name": `+quoted(key)+`}`, data, parameters...)
	if a.status != 200 {
		c.t.Fatalf("insert %q: %d %s", key, a.status, a.body)
	}
	return a
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

const boundary = "between"

// parts is a multipart body. Its content is text if the description says nothing else.
func parts(description, data string) string {
	var said struct{ ContentType string }
	_ = json.Unmarshal([]byte(description), &said) // which may be none
	return partsOf(description, cmp.Or(said.ContentType, "text/plain"), data)
}

func partsOf(description, contentType, data string) string {
	return "--" + boundary + "\r\nContent-Type: application/json\r\n\r\n" + description + "\r\n--" + boundary +
		"\r\nContent-Type: " + contentType + "\r\n\r\n" + data + "\r\n--" + boundary + "--\r\n"
}

func (c *client) tryInsert(description, data string, parameters ...string) answered {
	c.t.Helper()
	return c.do("POST", query(uploads+"multipart", parameters...), parts(description, data),
		"Content-Type", "multipart/related; boundary="+boundary)
}

// start opens a session and returns its address.
func (c *client) start(key, description string, more ...string) string {
	c.t.Helper()
	return c.want(200, "POST", query(uploads+"resumable", "name", key), description, more...).header.Get("Location")
}

// put sends a chunk without a token: the address of a session is enough.
func (c *client) put(session, span, body string, header ...string) answered {
	c.t.Helper()
	return c.do("PUT", session, body, append([]string{"Authorization", "", "Content-Range", span}, header...)...)
}

// ask asks how far a session is: status and Range.
func (c *client) ask(session string) string {
	c.t.Helper()
	a := c.put(session, "bytes */*", "")
	return strconv.Itoa(a.status) + " " + a.header.Get("Range")
}

func crcOf(s string) string {
	return crcText(crc32.Checksum([]byte(s), crc32.MakeTable(crc32.Castagnoli)))
}

func wantData(t testing.TB, s *Server, key, data string) {
	t.Helper()
	o, ok := s.Object(key)
	if !ok || !bytes.Equal(o.Data, []byte(data)) || o.Size != int64(len(data)) || crcText(o.CRC32C) != crcOf(data) {
		t.Fatalf("%q holds %d bytes (%v), want %d", key, len(o.Data), ok, len(data))
	}
}

// generation is that of what is stored now.
func generation(s *Server, key string) string {
	o, _ := s.Object(key)
	return strconv.FormatInt(o.Generation, 10)
}
