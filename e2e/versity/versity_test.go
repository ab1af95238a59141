package versity

import (
	"encoding/xml"
	"net/http"
	"testing"
)

// answer is what of a listing or of an error is looked at.
type answer struct {
	XMLName xml.Name
	Code    string
	Buckets []string `xml:"Buckets>Bucket>Name"`
}

func get(t *testing.T, s Store) (int, answer) {
	t.Helper()
	status, body, err := do(t.Context(), http.MethodGet, s, "/")
	if err != nil {
		t.Fatal(err)
	}
	var a answer
	if err := xml.Unmarshal(body, &a); err != nil {
		t.Fatalf("status %d: %v: %q", status, err, body)
	}
	return status, a
}

func TestTwoAtOnce(t *testing.T) {
	one := Start(t, Options{})
	two := Start(t, Options{Bucket: "second", Region: "eu-west-1"})
	for _, s := range []Store{one, two} {
		status, a := get(t, s)
		if status != http.StatusOK || len(a.Buckets) != 1 || a.Buckets[0] != s.Bucket {
			t.Errorf("%s lists %q with status %d, want %q", s.Endpoint, a.Buckets, status, s.Bucket)
		}
	}
	stranger := one
	stranger.AccessKey, stranger.SecretKey = two.AccessKey, two.SecretKey
	if status, a := get(t, stranger); status < 400 || a.XMLName.Local != "Error" {
		t.Errorf("with the keys of the other: status %d, %+v, want an error", status, a)
	}
}

func TestUnsigned(t *testing.T) {
	s := Start(t, Options{})
	s.AccessKey = ""
	status, a := get(t, s)
	if status != http.StatusForbidden || a.XMLName.Local != "Error" || a.Code != "AccessDenied" {
		t.Errorf("status %d, %+v, want 403 and an error AccessDenied", status, a)
	}
}

func TestEndsWithTheTest(t *testing.T) {
	var s Store
	t.Run("inner", func(t *testing.T) { s = Start(t, Options{}) })
	if s.Endpoint == "" {
		t.SkipNow() // as the inner test did
	}
	// Whoever has the port by now does not know the keys.
	if status, _, err := do(t.Context(), http.MethodGet, s, "/"); err == nil && status == http.StatusOK {
		t.Errorf("%s still answers", s.Endpoint)
	}
}
