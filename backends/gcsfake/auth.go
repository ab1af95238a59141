package gcsfake

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sluice-ftp/sluice/backends/storefake"
)

// authenticate looks at the token. The address of a session is a secret of its own.
func (c *call) authenticate() error {
	auth := c.Header.Get("Authorization")
	switch {
	case strings.HasPrefix(c.Op, "session.") && c.Op != "session.start":
		return nil
	case auth == "" && c.s.o.NoAuth:
		return nil
	case auth == "Bearer "+c.s.o.Token:
		return nil
	}
	f := refuse("authError", "Invalid Credentials").at("Authorization")
	if auth == "" {
		f = refuse("required", "Anonymous caller does not have storage access to the Google Cloud Storage object. "+
			"Permission denied on resource (or it may not exist).").at("Authorization")
		f.status = http.StatusUnauthorized
	}
	f.header = http.Header{"Www-Authenticate": {`Bearer realm="https://accounts.google.com/"`}}
	return f
}

// checkProject wants to know who pays, if it is not the bucket's owner.
func (c *call) checkProject() error {
	if !c.s.o.RequesterPays || c.route.bucket == "" || strings.HasPrefix(c.Op, "session.") && c.Op != "session.start" ||
		c.Query.Get("userProject") != "" || c.Header.Get("X-Goog-User-Project") != "" {
		return nil
	}
	f := refuse("required", "Bucket is a requester pays bucket but no user project provided.")
	f.code = "UserProjectMissing"
	return f
}

// maxForm bounds the bodies of what has to do with tokens.
const maxForm = 64 << 10

// token exchanges what a key signed, or a refresh token, for the token. It believes the signature:
// the key is the client's own.
func (c *call) token() (*reply, error) {
	raw, err := c.take(maxForm)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(raw))
	switch grant := form.Get("grant_type"); {
	case err != nil:
		return c.tokenError("invalid_request", "the body is no form")
	case grant == "urn:ietf:params:oauth:grant-type:jwt-bearer" && !isAssertion(form.Get("assertion")):
		return c.tokenError("invalid_grant", "Invalid JWT: Token must be a short-lived token")
	case grant == "urn:ietf:params:oauth:grant-type:jwt-bearer":
	case grant == "refresh_token" && form.Get("refresh_token") == "":
		return c.tokenError("invalid_grant", "Bad Request")
	case grant == "refresh_token":
	default:
		return c.tokenError("unsupported_grant_type", "Invalid grant_type: "+grant)
	}
	return c.document(map[string]any{"access_token": c.s.o.Token, "token_type": "Bearer", "expires_in": 3599})
}

func (c *call) tokenError(code, description string) (*reply, error) {
	rep, err := c.document(map[string]any{"error": code, "error_description": description})
	if err == nil {
		rep.Status = http.StatusBadRequest
	}
	return rep, err
}

// isAssertion says whether s has the form of a signed JSON Web Token with an issuer.
func isAssertion(s string) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return false
	}
	var claims struct{ Iss string }
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	return err == nil && json.Unmarshal(raw, &claims) == nil && claims.Iss != ""
}

// generateAccessToken is how one account acts as another.
func (c *call) generateAccessToken() (*reply, error) {
	raw, err := c.take(maxForm)
	if err != nil {
		return nil, err
	}
	var sent struct {
		Scope    []string
		Lifetime string
	}
	if err := json.Unmarshal(raw, &sent); err != nil {
		return nil, refuse("parseError", "Invalid JSON payload received: %v", err)
	}
	lifetime := time.Hour
	if sent.Lifetime != "" {
		if lifetime, err = time.ParseDuration(sent.Lifetime); err != nil || !strings.HasSuffix(sent.Lifetime, "s") {
			return nil, refuse("badRequest", "Invalid value at 'lifetime' (type.googleapis.com/google.protobuf.Duration)")
		}
	}
	if len(sent.Scope) == 0 {
		return nil, refuse("badRequest", "Request contains an invalid argument.").at("scope")
	}
	return c.document(map[string]any{
		"accessToken": c.s.o.Token, "expireTime": c.s.now().Add(lifetime).Format(time.RFC3339),
	})
}

// take reads a body of at most limit bytes.
func (c *call) take(limit int64) ([]byte, error) { return takeAll(c.Content(c.Body), limit) }

func takeAll(r io.Reader, limit int64) ([]byte, error) {
	data, size, err := storefake.Take(io.LimitReader(r, limit+1), -1, false)
	switch {
	case err != nil:
		return nil, refuse("badRequest", "Your client has issued a malformed or illegal request.")
	case size > limit:
		return nil, refuse("uploadTooLarge", "Request is too large.")
	}
	return data, nil
}
