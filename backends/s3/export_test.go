package s3

import (
	"context"
	"net"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// SetSizes makes small what is large, so that tests need not move gigabytes.
func (a *Adapter) SetSizes(part, whole, piece int64) {
	s := a.store
	s.partSize, s.smallest, s.maxCopy, s.copyPart = part, part, whole, piece
	a.KeepAtLeast = part
}

// Dial has the adapter reach its server by dial. Nothing else of its transport changes.
func (a *Adapter) Dial(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	a.store.client.Options().HTTPClient.(*http.Client).Transport.(*http.Transport).DialContext = dial
}

// Through has all requests of the adapter made by t.
func (a *Adapter) Through(t http.RoundTripper) {
	a.store.hot.transport = t
	a.store.client.Options().HTTPClient.(*http.Client).Transport = t
}

// Client is the adapter's own client, for what others do in its bucket.
func (a *Adapter) Client() *s3.Client { return a.store.client }
