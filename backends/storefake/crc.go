package storefake

// JoinCRC returns the CRC-32 of a and b in a row from theirs and the length of b; poly is that of
// the CRC, with its bits reversed as in hash/crc32. A CRC is the remainder of a polynomial over
// GF(2), so what comes before n more bytes counts times x^(8n); the idea is that of crc32_combine
// in zlib, by Mark Adler. The inversions before and after the division cancel each other out.
func JoinCRC(poly, a, b uint32, n int64) uint32 {
	power, square := uint32(1)<<31, uint32(1)<<(31-8) // 1 and x^8: bit 31 is x^0
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			power = timesCRC(poly, power, square)
		}
		square = timesCRC(poly, square, square)
	}
	return timesCRC(poly, power, a) ^ b
}

// timesCRC multiplies two polynomials modulo poly, all of them with their bits reversed.
func timesCRC(poly, a, b uint32) uint32 {
	var product uint32
	for bit := uint32(1) << 31; bit != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
		}
		if b&1 != 0 {
			b = b>>1 ^ poly
		} else {
			b >>= 1
		}
	}
	return product
}
