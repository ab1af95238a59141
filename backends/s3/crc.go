package s3

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// appendCRC returns the CRC-32 of two pieces one after another, from theirs and the length of the
// second. A CRC is the remainder of a polynomial over GF(2), so the first one's counts for as many
// powers of x more as the second has bits.
func appendCRC(first, second uint32, n int64) uint32 {
	return times(first, powerOfX(uint64(n)*8)) ^ second
}

// times multiplies two polynomials modulo that of CRC-32. The highest bit is the coefficient of x⁰,
// as everywhere in this CRC.
func times(a, b uint32) uint32 {
	var product uint32
	for ; a != 0; a <<= 1 {
		if a>>31 != 0 {
			product ^= b
		}
		b = b>>1 ^ crc32.IEEE&-(b&1)
	}
	return product
}

// powerOfX returns x to the n, by squaring.
func powerOfX(n uint64) uint32 {
	const one, x = 1 << 31, 1 << 30
	result, square := uint32(one), uint32(x)
	for ; n != 0; n >>= 1 {
		if n&1 != 0 {
			result = times(result, square)
		}
		square = times(square, square)
	}
	return result
}

// header is a CRC as S3 writes it.
func header(crc uint32) string {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], crc)
	return base64.StdEncoding.EncodeToString(b[:])
}

// parseHeader reads one.
func parseHeader(s string) (uint32, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != 4 {
		return 0, fmt.Errorf("%q is not a CRC-32: %w", s, cmp.Or(err, errShort))
	}
	return binary.BigEndian.Uint32(b), nil
}
