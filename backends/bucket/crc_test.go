package bucket_test

import (
	"bytes"
	"hash/crc32"
	"testing"

	"github.com/sluice-ftp/sluice/backends/bucket"
)

func TestAppendCRC(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef!"), 5000)
	for _, polynomial := range []uint32{crc32.IEEE, crc32.Castagnoli} {
		table := crc32.MakeTable(polynomial)
		want := crc32.Checksum(data, table)
		for _, n := range []int{0, 1, 7, 8, 4096, 65535, len(data) - 1, len(data)} {
			a, b := crc32.Checksum(data[:n], table), crc32.Checksum(data[n:], table)
			if got := bucket.AppendCRC(polynomial, a, b, int64(len(data)-n)); got != want {
				t.Errorf("%08x cut at %d: %08x, want %08x", polynomial, n, got, want)
			}
		}
	}
}

func TestBase64(t *testing.T) {
	// The check value of CRC-32.
	if got := bucket.Base64(crc32.ChecksumIEEE([]byte("123456789"))); got != "y/Q5Jg==" {
		t.Errorf("got %q", got)
	}
}
