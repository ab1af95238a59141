package bucket

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

const (
	// dialTimeout and the next bound what comes before a request; its own deadline bounds the rest.
	dialTimeout      = 10 * time.Second
	handshakeTimeout = 10 * time.Second
	// idleConns is how many connections wait for the next request: a burst of small files would pay a
	// TLS handshake for each of the others.
	idleConns = 512
	// idleTimeout is less than the 20 to 60 s after which stores and their balancers hang up.
	idleTimeout = 18 * time.Second
	// ioBuffer is for headers and short answers: bodies go past it.
	ioBuffer = 16 << 10
	// maxRest is what of an answer is read before its connection is used again.
	maxRest = 4 << 10
)

// NewTransport speaks HTTP/1.1 only: on one HTTP/2 connection all parts would share one window. roots
// are the authorities by which stores are known; nil is the system's.
func NewTransport(roots *x509.CertPool) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			return plainConn{c}, err
		},
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, RootCAs: roots, ClientSessionCache: tls.NewLRUClientSessionCache(0),
		},
		TLSHandshakeTimeout: handshakeTimeout,
		Protocols:           &protocols,
		MaxIdleConns:        idleConns,
		MaxIdleConnsPerHost: idleConns,
		IdleConnTimeout:     idleTimeout,
		ReadBufferSize:      ioBuffer,
		WriteBufferSize:     ioBuffer,
		DisableCompression:  true,
	}
}

// Authorities are those of the system and those in a PEM file.
func Authorities(file string) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca_file %q: no certificate in it", file)
	}
	return pool, nil
}

// CheckEndpoint refuses what cannot be an endpoint. "" is the store's own.
func CheckEndpoint(endpoint string, allowHTTP bool) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%q is not a URL; write it like https://host or https://host:port", endpoint)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("it has more than a host and a path; leave out user, query and fragment")
	case u.Scheme == "http" && !allowHTTP:
		return fmt.Errorf("%q is not encrypted; write https, or set allow_http: true", endpoint)
	}
	return nil
}

// ServerTime is what the store's clock said when it answered, or ours if it said nothing.
func ServerTime(h http.Header) time.Time {
	if t, err := http.ParseTime(h.Get("Date")); err == nil {
		return t
	}
	return time.Now()
}

// Drain reads what is left of an answer, so that its connection can be used again.
func Drain(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, maxRest)
	_ = resp.Body.Close()
}

// EscapePath writes a name as stores have it in paths: everything but the unreserved characters of RFC 3986,
// section 2.3, and the slash is percent-encoded.
func EscapePath(key string) string {
	const hexadecimal = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(key) + len(key)/4)
	for i := range len(key) {
		c := key[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("/-._~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', hexadecimal[c>>4], hexadecimal[c&15]})
	}
	return b.String()
}
