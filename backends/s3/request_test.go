package s3_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/pages"
	"github.com/sluice-ftp/sluice/backends/s3"
	"github.com/sluice-ftp/sluice/backends/s3fake"
)

// heading is where a request goes and what its signature is for.
type heading struct{ URL, Scope, Payer, Token string }

// witness answers nothing and keeps the heading of the last request.
type witness struct{ last heading }

var scope = regexp.MustCompile(`Credential=[^/]+/\d+/([^,]+)`)

func (w *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	u := *r.URL
	u.RawQuery = ""
	w.last = heading{
		URL: u.String(), Payer: r.Header.Get("X-Amz-Request-Payer"), Token: r.Header.Get("X-Amz-Security-Token"),
	}
	if m := scope.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
		w.last.Scope = m[1]
	}
	return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{}, Body: http.NoBody}, nil
}

// The requests that are made without the SDK go where its own go.
func TestSameHeading(t *testing.T) {
	const arn = "arn:aws:s3:us-west-2:123456789012:accesspoint/partners"
	for _, test := range []struct {
		name   string
		config s3.Config
		env    map[string]string
	}{
		{name: "Amazon's", config: s3.Config{Bucket: "partners", Region: "eu-central-1"}},
		{name: "China", config: s3.Config{Bucket: "partners", Region: "cn-north-1"}},
		{name: "a dot in the name", config: s3.Config{Bucket: "partners.example", Region: "us-east-1"}},
		{name: "path style", config: s3.Config{Bucket: "partners", Region: "us-east-1", PathStyle: true}},
		{name: "FIPS", config: s3.Config{Bucket: "partners", Region: "us-west-2"}, env: map[string]string{"AWS_USE_FIPS_ENDPOINT": "true"}},
		{name: "IPv6", config: s3.Config{Bucket: "partners", Region: "us-west-2"}, env: map[string]string{"AWS_USE_DUALSTACK_ENDPOINT": "true"}},
		{name: "access point", config: s3.Config{Bucket: arn, Region: "us-west-2"}},
		{
			name: "access point elsewhere", config: s3.Config{Bucket: arn, Region: "us-east-1"},
			env: map[string]string{"AWS_S3_USE_ARN_REGION": "true"},
		},
		{name: "own server", config: s3.Config{Bucket: "partners", Endpoint: "https://store.example:9000", PathStyle: true}},
		{name: "own server by name", config: s3.Config{Bucket: "partners", Endpoint: "https://store.example"}},
		{name: "own server below a path", config: s3.Config{Bucket: "partners", Endpoint: "https://store.example/s3/", PathStyle: true}},
		{
			name: "own server by the environment", config: s3.Config{Bucket: "partners", PathStyle: true},
			env: map[string]string{"AWS_ENDPOINT_URL_S3": "https://store.example:9000"},
		},
		{name: "the requester pays", config: s3.Config{Bucket: "partners", RequestPayer: true, SessionToken: "token"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			c := config(t, s3fake.Start(t, s3fake.Options{}))
			test.config.Memory, test.config.SweepEvery = c.Memory, -1
			test.config.AccessKeyID, test.config.SecretAccessKey = c.AccessKeyID, c.SecretAccessKey
			a := open(t, test.config)
			w := new(witness)
			a.Through(w)
			for _, key := range []string{"k", "a/b c", "ü+%20&=?#;'", "~-._!*()", "a/b:@$,[]"} {
				in := &awss3.HeadObjectInput{Bucket: &test.config.Bucket, Key: &key}
				if test.config.RequestPayer {
					in.RequestPayer = types.RequestPayerRequester
				}
				_, err := a.Client().HeadObject(t.Context(), in)
				want := w.last
				w.last = heading{}
				_, err2 := a.Open(t.Context(), key, backends.OpenOptions{})
				if diff := cmp.Diff(want, w.last); diff != "" || want.URL == "" {
					t.Errorf("%q: %v %v %s", key, err, err2, diff)
				}
			}
		})
	}
}

func TestUnknownSignature(t *testing.T) {
	for _, bucket := range []string{"partners--use1-az4--x-s3", "arn:aws:s3::123456789012:accesspoint:partners.mrap"} {
		c := config(t, s3fake.Start(t, s3fake.Options{}))
		c.Bucket, c.Endpoint, c.PathStyle = bucket, "", false
		_, err := s3.Open(t.Context(), c)
		if err == nil || !strings.Contains(err.Error(), "general purpose bucket") || !strings.Contains(err.Error(), bucket) {
			t.Errorf("%s: %v", bucket, err)
		}
	}
}

// A machine whose clock is wrong is told so by the store, once.
func TestSkewedClock(t *testing.T) {
	for _, ahead := range []time.Duration{time.Hour, -time.Hour} {
		f := s3fake.Start(t, s3fake.Options{Now: func() time.Time { return time.Now().Add(ahead) }})
		a := open(t, config(t, f))
		for range 2 {
			if _, err := a.Put(t.Context(), "k", strings.NewReader("content"), backends.PutOptions{}); err != nil {
				t.Errorf("%v: %v", ahead, err)
			}
		}
		before := len(f.Requests())
		if _, err := a.Put(t.Context(), "k", strings.NewReader("content"), backends.PutOptions{}); err != nil {
			t.Errorf("%v: %v", ahead, err)
		}
		if n := len(f.Requests()) - before; n != 2 {
			t.Errorf("%v: %d requests for a small file", ahead, n)
		}
	}
}

// A store that refuses an upload need not take all of it first.
func TestRefusedBeforeTheEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	served := make(chan error, 2)
	serve := func() error {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		t.Cleanup(func() { c.Close() })
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return err
		}
		answer := "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 39\r\n\r\n<ListBucketResult></ListBucketResult>\r\n"
		if r.Method == http.MethodPut {
			answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
		}
		_, err = io.WriteString(c, answer) // and the rest is never read
		return err
	}
	for range 2 {
		go func() { served <- serve() }()
	}
	c := config(t, s3fake.Start(t, s3fake.Options{}))
	c.Endpoint = "http://" + l.Addr().String()
	if c.Memory, err = pages.New(64 << 20); err != nil {
		t.Fatal(err)
	}
	a := open(t, c)
	const size = 16 << 20 // more than sockets hold
	a.SetSizes(2*size, size, size)
	_, err = a.Put(t.Context(), "k", strings.NewReader(strings.Repeat("x", size)), backends.PutOptions{})
	if backends.KindOf(err) != backends.Permission {
		t.Error(err)
	}
	for range 2 {
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
	if c.Memory.TryReserve(c.Memory.Parts()) == nil {
		t.Error("memory was not given back")
	}
}
