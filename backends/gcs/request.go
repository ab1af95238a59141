package gcs

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/sluice-ftp/sluice/backends/bucket"
)

const (
	// maxErrorDocument bounds what is read of an error, maxAnswer of any other answer in JSON: a page
	// of 1,000 entries with names of 1,024 bytes, all of them escaped, and their metadata.
	maxErrorDocument = 64 << 10
	maxAnswer        = 16 << 20
)

// wireAPI sends requests, each once.
type wireAPI struct {
	transport   http.RoundTripper
	tokens      tokens // nil for none
	endpoint    url.URL
	userProject string
}

// request is what is asked for.
type request struct {
	method string
	// path is below the endpoint, percent-encoded; xml says of which API it is.
	path   string
	xml    bool
	query  url.Values
	header http.Header
	// session is the whole URL instead, as the store gave it. It is a credential itself, and gets no
	// other, whatever host it names.
	session string
	// json is the body, or content is.
	json    any
	content *bucket.Body
}

// do sends a request and returns an answer whose status is one of ok, or any of success if there is
// none. Its body is the caller's to close.
func (w *wireAPI) do(ctx context.Context, r request, ok ...int) (*http.Response, error) {
	req, err := w.build(ctx, r)
	if err != nil {
		return nil, err
	}
	if r.session == "" {
		if err := w.authorize(ctx, req); err != nil {
			return nil, err
		}
	}
	resp, err := w.transport.RoundTrip(req)
	if err != nil {
		err = fmt.Errorf("%s: no answer: %w", r.method, err) // a bare io.EOF would be taken for an end
	} else if !succeeded(resp.StatusCode, ok) {
		err = refusal(resp, r.session != "") // and the connection is closed if the body is still on it
	}
	if req.Body != nil {
		_ = req.Body.Close()
	}
	if err != nil {
		return nil, err
	}
	return resp, nil
}

func succeeded(status int, ok []int) bool {
	for _, s := range ok {
		if status == s {
			return true
		}
	}
	return status >= http.StatusOK && status < http.StatusMultipleChoices
}

func (w *wireAPI) build(ctx context.Context, r request) (*http.Request, error) {
	target := r.session
	if target == "" {
		query := r.query
		if query == nil {
			query = url.Values{}
		}
		if w.userProject != "" && !r.xml {
			query.Set("userProject", w.userProject)
		}
		u := w.endpoint
		target = u.Scheme + "://" + u.Host + u.EscapedPath() + r.path
		if len(query) > 0 {
			target += "?" + query.Encode()
		}
	}
	var body io.Reader
	var size int64
	switch {
	case r.json != nil:
		content, err := json.Marshal(r.json)
		if err != nil {
			return nil, fmt.Errorf("request: %w", err)
		}
		b := bucket.NewBody(0, bucket.BytesPart(content))
		body, size = b, b.Len()
	case r.content != nil && r.content.Len() > 0:
		body, size = r.content, r.content.Len()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	req.ContentLength = size
	for name, values := range r.header {
		req.Header[name] = values
	}
	if r.json != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if w.userProject != "" && r.xml {
		req.Header.Set("X-Goog-User-Project", w.userProject)
	}
	req.Header.Set("User-Agent", "sluice")
	if r.method == http.MethodDelete {
		req.TransferEncoding = []string{"identity"} // has net/http say that there is no content, as Google wants it
	}
	return req, nil
}

func (w *wireAPI) authorize(ctx context.Context, req *http.Request) error {
	if w.tokens == nil {
		return nil
	}
	t, err := w.tokens.Token(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", errCredentials, err)
	}
	req.Header.Set("Authorization", "Bearer "+t.Value)
	return nil
}

// ask sends a request, reads its answer into v, unless that is nil, and returns its header.
func (w *wireAPI) ask(ctx context.Context, r request, v any) (http.Header, error) {
	resp, err := w.do(ctx, r) //nolint:bodyclose // Drain does
	if err != nil {
		return nil, err
	}
	defer bucket.Drain(resp)
	return resp.Header, read(resp, v)
}

func read(resp *http.Response, v any) error {
	if v == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(v); err != nil {
		return fmt.Errorf("an answer of the store: %w", err)
	}
	return nil
}
