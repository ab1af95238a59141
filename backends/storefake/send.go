package storefake

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Send sends a request and reads the reply to its end; an error is a broken connection.
func Send(c *http.Client, r *http.Request) (status int, header http.Header, body string, err error) {
	resp, err := c.Do(r)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(b), err
}

// RequestOf is a request of whatever a fuzz test comes up with, as a server would see it; header has
// a line for each.
func RequestOf(method, path, query, header string, body []byte) *http.Request {
	u := &url.URL{Path: path, RawQuery: query}
	if plain, err := url.PathUnescape(path); err == nil {
		u.Path, u.RawPath = plain, path
	}
	r := &http.Request{
		Method: method, URL: u, Header: http.Header{}, Host: "127.0.0.1",
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
	for line := range strings.Lines(header) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		r.Header.Set(name, strings.TrimSpace(value))
	}
	return r
}
