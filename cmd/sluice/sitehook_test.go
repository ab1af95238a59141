package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/gateway"
)

func TestSiteHook(t *testing.T) {
	var asked map[string]string
	status, text := 200, "queued"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || r.Method != http.MethodPost {
			t.Error(r.Method, err)
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}))
	defer server.Close()
	command := siteCommands([]siteHook{{Name: "DO", URL: server.URL, Help: "does it"}})[0]
	call := gateway.SiteCall{Name: "DO", Argument: "a b", User: "ann", Session: "S", Remote: "192.0.2.1", Folder: "/in"}
	for _, test := range []struct {
		status int
		text   string
		ok     bool
		err    string
	}{
		{200, "queued", true, ""},
		{204, "", true, ""},
		{403, "not you", false, ""},
		{302, "", false, "302"},
		{500, "", false, "500"},
	} {
		status, text = test.status, test.text
		got, ok, err := command.Run(t.Context(), call)
		if got != test.text || ok != test.ok || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%d: %q, %t, %v", test.status, got, ok, err)
		}
	}
	want := map[string]string{"command": "DO", "argument": "a b", "user": "ann", "session": "S", "remote": "192.0.2.1", "folder": "/in"}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Error(diff)
	}
	status, text = 200, strings.Repeat("x", 1<<20)
	if got, _, err := command.Run(t.Context(), call); err != nil || len(got) > 1<<16 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := command.Run(ctx, call); err == nil {
		t.Error("it went on without anyone waiting")
	}
	server.CloseClientConnections()
}
