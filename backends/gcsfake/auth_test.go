package gcsfake

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestToken(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{}, {Token: "mine"}} {
		c := newClient(t, o)
		c.s.Put("k", []byte("v"), nil)
		token := "Bearer testtoken"
		if o.Token != "" {
			token = "Bearer mine"
			c.refused(401, "authError", "GET", at("k"), "")
		}
		c.want(200, "GET", at("k"), "", "Authorization", token)
		for _, wrong := range []string{"Bearer other", "Basic dTpw", token + "x", strings.ToUpper(token)} {
			c.refused(401, "authError", "GET", at("k"), "", "Authorization", wrong)
		}
		if a := c.refused(401, "required", "GET", at("k"), "", "Authorization", ""); a.header.Get("Www-Authenticate") == "" || a.field("error.errors.0.location") != "Authorization" {
			t.Errorf("%q %s", a.header, a.body)
		}
		if a := c.want(401, "GET", "/bucket/k", "", "Authorization", ""); !strings.Contains(a.body, "<Error><Code>AuthenticationRequired</Code>") {
			t.Errorf("%s", a.body)
		}
		c.refused(401, "required", "POST", uploads+"media&name=l", "v", "Authorization", "")
		c.refused(401, "required", "POST", uploads+"resumable&name=l", "", "Authorization", "")
		c.refused(401, "required", "GET", "/storage/v1/b/other", "", "Authorization", "")
		if len(c.s.Keys()) != 1 || len(c.s.Sessions()) != 0 {
			t.Errorf("%q, %v", c.s.Keys(), c.s.Sessions())
		}
	}
	c := newClient(t, Options{NoAuth: true})
	c.s.Put("k", []byte("v"), nil)
	c.want(200, "GET", at("k"), "", "Authorization", "")
	c.want(200, "GET", at("k"), "")
	c.refused(401, "authError", "GET", at("k"), "", "Authorization", "Bearer other")
}

// The address of a session is enough, and another token does not matter.
func TestSessionNeedsNoToken(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{RequesterPays: true})
	for _, token := range []string{"", "Bearer other", "Bearer testtoken"} {
		session := c.want(200, "POST", uploads+"resumable&name=k&userProject=p", "").header.Get("Location")
		c.want(308, "PUT", session, "", "Authorization", token, "Content-Range", "bytes */*")
		c.want(200, "PUT", session, "v", "Authorization", token)
		session = c.want(200, "POST", uploads+"resumable&name=k&userProject=p", "").header.Get("Location")
		c.want(499, "DELETE", session, "", "Authorization", token)
	}
}

func TestRequesterPays(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{RequesterPays: true})
	c.s.Put("k", []byte("v"), nil)
	for _, r := range [][2]string{
		{"GET", at("k")},
		{"GET", at("k") + "?alt=media"},
		{"DELETE", at("k")},
		{"GET", inBucket + "o"},
		{"POST", uploads + "media&name=l"},
		{"POST", uploads + "resumable&name=l"},
		{"GET", "/storage/v1/b/bucket"},
	} {
		c.refused(400, "required", r[0], r[1], "")
	}
	if a := c.want(400, "GET", "/bucket/k", ""); !strings.Contains(a.body, "<Code>UserProjectMissing</Code>") {
		t.Errorf("%s", a.body)
	}
	c.want(200, "GET", at("k")+"?userProject=p", "")
	c.want(200, "GET", at("k"), "", "X-Goog-User-Project", "p")
	c.want(200, "GET", "/bucket/k", "", "X-Goog-User-Project", "p")
	if a := c.want(200, "GET", "/storage/v1/b/bucket?userProject=p", ""); a.field("billing.requesterPays") != "true" {
		t.Errorf("%s", a.body)
	}
	free := newClient(t, Options{})
	free.want(200, "GET", inBucket+"o?userProject=p", "")
}

func TestTokenEndpoint(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{Token: "mine"})
	claims := func(s string) string { return "e30." + base64.RawURLEncoding.EncodeToString([]byte(s)) + ".c2ln" }
	const jwt = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	post := func(form ...string) answered {
		v := url.Values{}
		for i := 0; i < len(form); i += 2 {
			v.Set(form[i], form[i+1])
		}
		return c.do("POST", "/token", v.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Authorization", "")
	}
	for _, good := range [][]string{
		{"grant_type", jwt, "assertion", claims(`{"iss": "a@b"}`)},
		{"grant_type", "refresh_token", "refresh_token", "r", "client_id", "i"},
	} {
		a := post(good...)
		if a.status != 200 || a.body != `{"access_token":"mine","expires_in":3599,"token_type":"Bearer"}` {
			t.Errorf("%v: %d %s", good, a.status, a.body)
		}
	}
	for want, bad := range map[string][]string{
		"unsupported_grant_type": {"grant_type", "password"},
		"invalid_grant":          {"grant_type", "refresh_token"},
		"invalid_grant ":         {"grant_type", jwt, "assertion", "a.b"},
		"invalid_grant  ":        {"grant_type", jwt, "assertion", claims(`{}`)},
	} {
		if a := post(bad...); a.status != 400 || a.field("error") != strings.TrimSpace(want) {
			t.Errorf("%v: %d %s", bad, a.status, a.body)
		}
	}
	c.refused(401, "authError", "GET", "/token", "") // no other way to ask, and no such path
	if c.s.Count("token") != 6 {
		t.Errorf("%d tokens", c.s.Count("token"))
	}
}

func TestGenerateAccessToken(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 2, 3, 4, 5, 678000000, time.UTC)
	c := newClient(t, Options{Now: func() time.Time { return now }})
	const path = "/v1/projects/-/serviceAccounts/a@p.iam.gserviceaccount.com:generateAccessToken"
	a := c.want(200, "POST", path, `{"scope": ["s"], "lifetime": "600s"}`)
	if a.body != `{"accessToken":"testtoken","expireTime":"2030-01-02T03:14:05Z"}` {
		t.Errorf("%s", a.body)
	}
	if a := c.want(200, "POST", path, `{"scope": ["s"]}`); a.field("expireTime") != "2030-01-02T04:04:05Z" {
		t.Errorf("%s", a.body)
	}
	c.refused(400, "badRequest", "POST", path, `{}`)
	c.refused(400, "badRequest", "POST", path, `{"scope": ["s"], "lifetime": "1h"}`)
	c.refused(400, "parseError", "POST", path, `{`)
	c.refused(413, "uploadTooLarge", "POST", path, strings.Repeat("x", maxForm+1))
	c.refused(401, "required", "POST", path, `{"scope": ["s"]}`, "Authorization", "")
	c.refused(501, "notImplemented", "POST", strings.Replace(path, "Access", "Id", 1), `{}`)
	if c.s.Count("generateAccessToken") != 7 {
		t.Errorf("%d", c.s.Count("generateAccessToken"))
	}
}
