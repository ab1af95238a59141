package s3

import (
	"context"
	"net"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// SetSizes makes small what is large, so that tests need not move gigabytes.
func (a *Adapter) SetSizes(part, whole, piece int64) {
	a.partSize, a.maxCopy, a.copyPart = part, whole, piece
}

// Dial has the adapter reach its server by dial. Nothing else of its transport changes.
func (a *Adapter) Dial(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	a.client.Options().HTTPClient.(*http.Client).Transport.(*http.Transport).DialContext = dial
}

// Client is the adapter's own client, for what others do in its bucket.
func (a *Adapter) Client() *s3.Client { return a.client }
