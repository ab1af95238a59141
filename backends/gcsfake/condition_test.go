package gcsfake

import (
	"strconv"
	"strings"
	"testing"
)

// attempt is an operation on what is there, or is not.
type attempt struct {
	name    string
	do      func(c *client, key string, parameters ...string) answered
	read    bool // that there is nothing new is 304
	partial bool // only the conditions of a match
	make    bool // it does not need to be there
}

var attempts = []attempt{
	{"get", func(c *client, key string, p ...string) answered { return c.do("GET", query(at(key), p...), "") }, true, false, false},
	{"media", func(c *client, key string, p ...string) answered {
		return c.do("GET", query(at(key)+"?alt=media", p...), "")
	}, true, false, false},
	{"insert", func(c *client, key string, p ...string) answered {
		return c.tryInsert(`{"name": "`+key+`"}`, "new", p...)
	}, false, false, true},
	{"media insert", func(c *client, key string, p ...string) answered {
		return c.do("POST", query(uploads+"media&name="+key, p...), "new")
	}, false, false, true},
	{"session", func(c *client, key string, p ...string) answered {
		a := c.do("POST", query(uploads+"resumable&name="+key, p...), "")
		if a.status != 200 {
			return a
		}
		return c.put(a.header.Get("Location"), "", "new")
	}, false, false, true},
	{"patch", func(c *client, key string, p ...string) answered {
		return c.do("PATCH", query(at(key), p...), `{"metadata": {"a": "b"}}`)
	}, false, false, false},
	{"delete", func(c *client, key string, p ...string) answered {
		return c.do("DELETE", query(at(key), p...), "")
	}, false, false, false},
	{"rewrite", func(c *client, key string, p ...string) answered {
		return c.do("POST", query(at("src")+"/rewriteTo/b/bucket/o/"+key, p...), "")
	}, false, false, true},
	{"move", func(c *client, key string, p ...string) answered {
		return c.do("POST", query(at("src")+"/moveTo/o/"+key, p...), "")
	}, false, false, true},
	{"compose", func(c *client, key string, p ...string) answered {
		return c.do("POST", query(at(key)+"/compose", p...), `{"sourceObjects": [{"name": "src"}]}`)
	}, false, true, true},
}

func TestConditions(t *testing.T) {
	t.Parallel()
	for _, a := range attempts {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, Options{})
			notMatch, missing := 412, 404
			if a.read {
				notMatch = 304
			}
			if a.make {
				missing = 412
			}
			unknown := func(status int) int {
				if a.partial {
					return 501
				}
				return status
			}
			for _, test := range []struct {
				name, value string // of the value, GEN is the generation of what is there
				there, not  int    // statuses when something is there and when nothing is; 0 is well
			}{
				{"ifGenerationMatch", "GEN", 0, missing},
				{"ifGenerationMatch", "1", 412, missing},
				{"ifGenerationMatch", "0", 412, map[bool]int{false: 404}[a.make]},
				{"ifMetagenerationMatch", "2", 0, missing},
				{"ifMetagenerationMatch", "1", 412, missing},
				{"ifGenerationNotMatch", "GEN", unknown(notMatch), unknown(map[bool]int{false: 404}[a.make])},
				{"ifGenerationNotMatch", "1", unknown(0), unknown(map[bool]int{false: 404}[a.make])},
				{"ifGenerationNotMatch", "0", unknown(0), unknown(missing)},
				{"ifMetagenerationNotMatch", "2", unknown(notMatch), unknown(map[bool]int{false: 404}[a.make])},
				{"ifMetagenerationNotMatch", "1", unknown(0), unknown(map[bool]int{false: 404}[a.make])},
				{"ifGenerationMatch", "x", 400, 400},
				{"ifGenerationMatch", "-1", 400, 400},
				{"ifMetagenerationMatch", "1.5", 400, 400},
				{"ifGenerationNotMatch", "99999999999999999999", unknown(400), unknown(400)},
			} {
				for _, there := range []bool{true, false} {
					c.s.Put("src", []byte("src"), nil)
					c.s.Remove("k")
					want, gen := test.not, "7"
					if there {
						c.s.Put("k", []byte("old"), nil)
						c.want(200, "PATCH", at("k"), `{"metadata": {"old": "yes"}}`)
						want, gen = test.there, generation(c.s, "k")
					}
					before, _ := c.s.Object("k")
					got := a.do(c, "k", test.name, strings.ReplaceAll(test.value, "GEN", gen))
					after, _ := c.s.Object("k")
					ok := got.status == want || want == 0 && got.status >= 200 && got.status < 300
					if !ok || want == 412 && got.reason() != "conditionNotMet" || want == 304 && got.body != "" {
						t.Errorf("%s=%s, there %v: %d %s, want %d", test.name, test.value, there, got.status, got.body, want)
					}
					if want != 0 && (before.ETag != after.ETag || string(before.Data) != string(after.Data)) {
						t.Errorf("%s=%s, there %v: refused and changed", test.name, test.value, there)
					}
				}
			}
		})
	}
}

func TestSourceConditions(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	for _, path := range []string{"/rewriteTo/b/bucket/o/new", "/moveTo/o/new"} {
		for _, test := range []struct {
			name, value string
			status      int
		}{
			{"ifSourceGenerationMatch", "GEN", 200},
			{"ifSourceGenerationMatch", "1", 412},
			{"ifSourceGenerationNotMatch", "GEN", 412},
			{"ifSourceGenerationNotMatch", "1", 200},
			{"ifSourceMetagenerationMatch", "1", 200},
			{"ifSourceMetagenerationMatch", "2", 412},
			{"ifSourceMetagenerationNotMatch", "1", 412},
			{"ifSourceMetagenerationNotMatch", "2", 200},
			{"ifSourceGenerationMatch", "x", 400},
		} {
			c.s.Put("src", []byte("v"), nil)
			c.s.Remove("new")
			value := strings.ReplaceAll(test.value, "GEN", generation(c.s, "src"))
			a := c.do("POST", query(at("src")+path, test.name, value), "")
			_, made := c.s.Object("new")
			if a.status != test.status || made != (test.status == 200) {
				t.Errorf("%s: %s=%s: %d %s, made %v", path, test.name, test.value, a.status, a.body, made)
			}
		}
		c.s.Remove("src")
		c.refused(404, "notFound", "POST", query(at("src")+path, "ifSourceGenerationMatch", "1"), "")
	}
}

func TestConditionsOfXML(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	c.s.Put("k", []byte("v"), nil)
	gen := generation(c.s, "k")
	for _, test := range []struct {
		name, value string
		status      int
	}{
		{"X-Goog-If-Generation-Match", gen, 200},
		{"X-Goog-If-Generation-Match", "1", 412},
		{"X-Goog-If-Generation-Match", "0", 412},
		{"X-Goog-If-Metageneration-Match", "1", 200},
		{"X-Goog-If-Metageneration-Match", "2", 412},
		{"X-Goog-If-Generation-Match", "x", 400},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			a := c.want(test.status, method, "/bucket/k", "", test.name, test.value)
			if test.status == 412 && method == "GET" && !strings.Contains(a.body, "<Code>PreconditionFailed</Code>") {
				t.Errorf("%s", a.body)
			}
		}
	}
	c.want(404, "GET", "/bucket/k?generation="+strconv.Itoa(1), "")
}
