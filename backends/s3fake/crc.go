package s3fake

import "hash/crc32"

// joinCRC returns the CRC-32 of a and b in a row from theirs and the length of b. A CRC is the
// remainder of a polynomial over GF(2), so what comes before n more bytes counts times x^(8n); the
// idea is that of crc32_combine in zlib, by Mark Adler. The inversions before and after the
// division cancel each other out.
func joinCRC(a, b uint32, n int64) uint32 {
	power, square := uint32(1)<<31, uint32(1)<<(31-8) // 1 and x^8: bit 31 is x^0
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			power = timesCRC(power, square)
		}
		square = timesCRC(square, square)
	}
	return timesCRC(power, a) ^ b
}

// timesCRC multiplies two polynomials modulo that of CRC-32, all of them with their bits reversed.
func timesCRC(a, b uint32) uint32 {
	var product uint32
	for bit := uint32(1) << 31; bit != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
		}
		if b&1 != 0 {
			b = b>>1 ^ crc32.IEEE
		} else {
			b >>= 1
		}
	}
	return product
}
