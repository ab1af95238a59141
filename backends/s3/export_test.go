package s3

import (
	"context"
	"io"
	"net"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// SetSizes makes small what is large, so that tests need not move gigabytes.
func (a *Adapter) SetSizes(part, whole, piece int64) {
	a.partSize, a.smallest, a.maxCopy, a.copyPart = part, part, whole, piece
	a.KeepAtLeast = part
}

// Dial has the adapter reach its server by dial. Nothing else of its transport changes.
func (a *Adapter) Dial(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	a.client.Options().HTTPClient.(*http.Client).Transport.(*http.Transport).DialContext = dial
}

// Through has all requests of the adapter made by t.
func (a *Adapter) Through(t http.RoundTripper) {
	a.hot.transport = t
	a.client.Options().HTTPClient.(*http.Client).Transport = t
}

// Outgoing is the body of a request.
func Outgoing(content string) io.ReadCloser {
	return &outgoing{parts: []*part{bytesPart([]byte(content))}}
}

// Client is the adapter's own client, for what others do in its bucket.
func (a *Adapter) Client() *s3.Client { return a.client }
