package s3

import (
	"bytes"
	"hash/crc32"
	"testing"
)

func TestAppendCRC(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef!"), 5000)
	want := crc32.ChecksumIEEE(data)
	for _, n := range []int{0, 1, 7, 8, 4096, 65535, len(data) - 1, len(data)} {
		a, b := crc32.ChecksumIEEE(data[:n]), crc32.ChecksumIEEE(data[n:])
		if got := appendCRC(a, b, int64(len(data)-n)); got != want {
			t.Errorf("cut at %d: %08x, want %08x", n, got, want)
		}
	}
}

func TestHeader(t *testing.T) {
	// The check value of CRC-32.
	if got := header(crc32.ChecksumIEEE([]byte("123456789"))); got != "y/Q5Jg==" {
		t.Errorf("got %q", got)
	}
}
