package s3

import (
	"net/http"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// SetSizes makes small what is large, so that tests need not move gigabytes.
func (a *Adapter) SetSizes(part, whole, piece int64) {
	s := a.store
	s.partSize, s.smallest, s.maxCopy, s.copyPart = part, part, whole, piece
	a.KeepAtLeast = part
}

// Through has all requests of the adapter made by t.
func (a *Adapter) Through(t http.RoundTripper) {
	a.store.hot.transport = t
	a.store.client.Options().HTTPClient.(*http.Client).Transport = t
}

// Client is the adapter's own client, for what others do in its bucket.
func (a *Adapter) Client() *s3.Client { return a.store.client }
