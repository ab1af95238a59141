package auth

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"

	"github.com/sluice-ftp/sluice/yamlfile"
)

// question is what the endpoint is asked.
type question struct {
	Name         string     `json:"name"`
	Password     string     `json:"password"`
	Code         string     `json:"code"`
	Remote       netip.Addr `json:"remote"`
	Certificates []string   `json:"certificates"`
}

// find returns the user from memory, from a call that is being made already, or from one of its own.
func (h *Hook) find(ctx context.Context, l Login) (*User, error) {
	q := question{l.Name, l.Password, l.Code, l.Remote.Unmap(), []string{}}
	for _, c := range l.Certificates {
		sum := sha256.Sum256(c.Raw)
		q.Certificates = append(q.Certificates, hex.EncodeToString(sum[:]))
	}
	text, err := json.Marshal(q)
	if err != nil {
		return nil, h.failure(l, err)
	}
	// A one-time code is good for one login. A password may end in one; whether it does, only the
	// endpoint knows.
	if _, _, ok := splitCode(l.Password); ok || l.Code != "" {
		u, _, err := h.ask(ctx, l, text)
		return u, err
	}
	key := h.sum(text)
	done := h.flights.DoChan(string(key[:]), func() (any, error) {
		if u := h.answers.get(key, h.now()); u != nil {
			return u, nil
		}
		u, size, err := h.ask(h.ctx, l, text)
		if err == nil {
			h.answers.add(key, u, size, h.now())
		}
		return u, err
	})
	select {
	case r := <-done:
		u, _ := r.Val.(*User)
		return u, r.Err
	case <-ctx.Done():
		return nil, h.failure(l, ctx.Err())
	}
}

// sum is of all that was asked: the endpoint may answer otherwise about another address or certificate.
func (h *Hook) sum(text []byte) answerKey {
	mac := hmac.New(sha256.New, h.key)
	mac.Write(text)
	return answerKey(mac.Sum(nil))
}

// ask calls the endpoint. It also returns the size of the answer in bytes.
func (h *Hook) ask(ctx context.Context, l Login, text []byte) (*User, int, error) {
	select {
	case h.calls <- struct{}{}:
		defer func() { <-h.calls }()
	default:
		return nil, 0, h.failure(l, errHookCalls)
	}
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	status, body, err := h.post(ctx, text)
	switch {
	// Who is asked for a code after giving one could go on guessing: that is no failed login.
	case status == http.StatusUnauthorized && l.Code == "" && needsCode(body):
		return nil, 0, ErrCodeNeeded
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return nil, 0, ErrDenied
	case status != http.StatusOK && status != 0:
		return nil, 0, h.failure(l, fmt.Errorf("the answer is %d %s", status, http.StatusText(status)))
	case err != nil:
		return nil, 0, h.failure(l, h.clean(l, err))
	}
	u, err := h.parse(l.Name, body)
	if err != nil {
		return nil, 0, h.failure(l, h.clean(l, err))
	}
	return u, len(body), nil
}

// post returns the status of the answer, 0 if there was none. It goes to no other address: a transport
// does not follow redirects.
func (h *Hook) post(ctx context.Context, text []byte) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(text))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	if h.token != "" {
		req.Header.Set("Authorization", "Bearer "+h.token)
	}
	resp, err := h.transport.RoundTrip(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if len(body) > maxAnswer {
		return resp.StatusCode, nil, errLongAnswer
	}
	return resp.StatusCode, body, err
}

func needsCode(body []byte) bool {
	var refusal struct {
		CodeNeeded bool `json:"code_needed"`
	}
	return json.Unmarshal(body, &refusal) == nil && refusal.CodeNeeded
}

func (h *Hook) failure(l Login, err error) error {
	return fmt.Errorf("auth: ask %s about %q: %w", h.host, l.Name, err)
}

// clean returns a cause that may quote the answer without the secrets that were sent and came back.
func (h *Hook) clean(l Login, err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return err
	}
	if quotes(err.Error(), l.Password, l.Code, h.token) {
		return errQuotes
	}
	return shorten(err)
}

// quotes reports whether a secret stands in text, as it is or in quotes, whatever its case.
func quotes(text string, secrets ...string) bool {
	text = strings.ToLower(text)
	for _, s := range secrets {
		s = strings.ToLower(s)
		quoted := fmt.Sprintf("%q", s)
		if s != "" && (strings.Contains(text, s) || strings.Contains(text, quoted[1:len(quoted)-1])) {
			return true
		}
	}
	return false
}

// shorten makes one line of an answer's problems, and leaves out the places: nobody has the answer to
// look them up in.
func shorten(err error) error {
	var ps yamlfile.Problems
	if !errors.As(err, &ps) {
		return err
	}
	var texts []string
	for i, p := range ps {
		if i == maxFaults {
			texts = append(texts, fmt.Sprintf("and %d more", len(ps)-i))
			break
		}
		texts = append(texts, fmt.Sprintf("%.*s", maxFault, strings.TrimPrefix(p.Key+": "+p.Text, ": ")))
	}
	return errors.New(strings.Join(texts, "; "))
}
