package gcs

import (
	"context"
	"net"
	"net/http"
)

// SetSizes makes small what is large, so that tests need not move gigabytes.
func (a *Adapter) SetSizes(part int64) {
	a.store.partSize = part
	a.KeepAtLeast = part
}

// Dial has the adapter reach its server by dial. Nothing else of its transport changes.
func (a *Adapter) Dial(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	a.store.wire.transport.(*http.Transport).DialContext = dial
}
