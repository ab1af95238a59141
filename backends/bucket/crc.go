package bucket

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
)

// AppendCRC returns the CRC-32 of two pieces one after another, from theirs and the length of the
// second. A CRC is the remainder by a polynomial over GF(2), so the first one's counts for as many
// powers of x more as the second has bits. The polynomial is reversed, as crc32.IEEE is.
func AppendCRC(polynomial, first, second uint32, n int64) uint32 {
	return times(polynomial, first, powerOfX(polynomial, uint64(n)*8)) ^ second
}

// times multiplies two polynomials modulo a third. The highest bit is the coefficient of x⁰,
// as everywhere in this CRC.
func times(polynomial, a, b uint32) uint32 {
	var product uint32
	for ; a != 0; a <<= 1 {
		if a>>31 != 0 {
			product ^= b
		}
		b = b>>1 ^ polynomial&-(b&1)
	}
	return product
}

// powerOfX returns x to the n, by squaring.
func powerOfX(polynomial uint32, n uint64) uint32 {
	const one, x = 1 << 31, 1 << 30
	result, square := uint32(one), uint32(x)
	for ; n != 0; n >>= 1 {
		if n&1 != 0 {
			result = times(polynomial, result, square)
		}
		square = times(polynomial, square, square)
	}
	return result
}

// Base64 is a CRC as stores write it: big-endian, in base64.
func Base64(crc uint32) string {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], crc)
	return base64.StdEncoding.EncodeToString(b[:])
}

// ParseBase64 reads one.
func ParseBase64(s string) (uint32, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != 4 {
		return 0, fmt.Errorf("%q is not a CRC-32: %w", s, cmp.Or(err, io.ErrUnexpectedEOF))
	}
	return binary.BigEndian.Uint32(b), nil
}
