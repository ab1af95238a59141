package bucket_test

import (
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/sluice-ftp/sluice/backends/bucket"
	"github.com/sluice-ftp/sluice/backends/pages"
)

// What is closed belongs to someone else.
func TestClosedBody(t *testing.T) {
	for name, read := range map[string]func(b *bucket.Body) (int64, error){
		"Read":    func(b *bucket.Body) (int64, error) { n, err := b.Read(make([]byte, pages.Size)); return int64(n), err },
		"WriteTo": func(b *bucket.Body) (int64, error) { return b.WriteTo(io.Discard) },
	} {
		t.Run(name, func(t *testing.T) {
			b := bucket.NewBody(0, bucket.BytesPart([]byte("content")))
			if n, err := read(b); n != int64(len("content")) || err != nil {
				t.Error(n, err)
			}
			b = bucket.NewBody(0, bucket.BytesPart([]byte("content")))
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			if n, err := read(b); n != 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
				t.Error(n, err)
			}
		})
	}
}
