package s3_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/backends/buckettest"
)

// Where the store lists no checksums of the parts that a killed process left, what is sent again takes
// their place, and the rest stays.
func TestSentAgainWithoutChecksums(t *testing.T) {
	const partSize = testPart
	want := buckettest.Content(5, 5*partSize+9)
	for _, offset := range []int{0, 10, partSize, partSize + 1, 3 * partSize} {
		t.Run(fmt.Sprint(offset), func(t *testing.T) {
			buckettest.InBubble(t, &kind, buckettest.Options{Variant: "r2"}, func(b *buckettest.Bubble) {
				b.DieSending(b.Open(), "k", want[:4*partSize+1], time.Second)
				a := b.Open()
				p := b.Pending(a, "k")
				if p.Size < 3*partSize {
					b.Fatalf("%+v", p)
				}
				b.Reset()
				if err := buckettest.Put(b.Context(), a, "k", want[offset:], buckettest.Continuing(p, int64(offset))); err != nil {
					b.Fatal(err)
				}
				b.WantObject("k", want)
				stays := (offset + partSize - 1) / partSize * partSize
				if sent, most := b.Received(), int64(len(want)-stays+4096); sent > most {
					b.Errorf("%d bytes were sent, %d at most", sent, most)
				}
			})
		})
	}
}
