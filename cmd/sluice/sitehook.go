package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/sluice-ftp/sluice/gateway"
)

// siteHook is a SITE command that asks an HTTP endpoint.
type siteHook struct {
	Name    string   `yaml:"name"`
	URL     string   `yaml:"url"`
	Help    string   `yaml:"help"`
	Timeout duration `yaml:"timeout"`
}

const (
	siteHookTimeout = 5 * time.Second
	// maxHookText is more of an answer than a client is told.
	maxHookText = 4096
)

var siteName = regexp.MustCompile(`^[A-Z][A-Z0-9_-]{0,31}$`)

func (v validator) siteHooks(hooks []siteHook) {
	seen := map[string]bool{}
	for i := range hooks {
		h, key := &hooks[i], fmt.Sprintf("site.commands[%d]", i)
		switch {
		case !siteName.MatchString(h.Name):
			v.problem(key+".name", "%q is not a name; use capitals, digits, - and _", h.Name)
		case gateway.BuiltInSite(h.Name):
			v.problem(key+".name", "SITE %s is there already; choose another name", h.Name)
		case seen[h.Name]:
			v.problem(key+".name", "a second command of the name %q; remove one", h.Name)
		}
		seen[h.Name] = true
		if u, err := url.Parse(h.URL); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
			v.problem(key+".url", "not an address; write it like https://hooks.example.com/process")
		}
		if h.Timeout == 0 {
			h.Timeout = duration(siteHookTimeout)
		}
		v.between(key+".timeout", h.Timeout, 100*time.Millisecond, time.Minute)
	}
}

// siteCommands are the hooks as the gateway runs them.
func siteCommands(hooks []siteHook) []gateway.SiteCommand {
	client := &http.Client{
		Transport:     &http.Transport{MaxConnsPerHost: 16, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	var all []gateway.SiteCommand
	for _, h := range hooks {
		all = append(all, gateway.SiteCommand{
			Name: h.Name, Usage: h.Help, Timeout: time.Duration(h.Timeout),
			Run: func(ctx context.Context, c gateway.SiteCall) (string, bool, error) { return h.call(ctx, client, c) },
		})
	}
	return all
}

// call posts the call as JSON. 2xx is done and 4xx refused; the beginning of the body is what the client
// is told. Anything else is a failure.
func (h siteHook) call(ctx context.Context, client *http.Client, c gateway.SiteCall) (string, bool, error) {
	body, err := json.Marshal(map[string]string{
		"command": c.Name, "argument": c.Argument, "user": c.User, "session": c.Session, "remote": c.Remote, "folder": c.Folder,
	})
	if err != nil {
		return "", false, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return "", false, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return "", false, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxHookText))
	switch {
	case err != nil:
		return "", false, err
	case resp.StatusCode >= 200 && resp.StatusCode < 300:
		return string(text), true, nil
	case resp.StatusCode >= 400 && resp.StatusCode < 500:
		return string(text), false, nil
	}
	return "", false, errors.New("the hook answers " + resp.Status)
}
