package bucket

import (
	"hash/crc32"

	"github.com/sluice-ftp/sluice/backends/pages"
)

// Part is content on its way into the store: a few bytes, or pages of the budget. It is not safe for
// concurrent use while it is filled.
type Part struct {
	head  []byte
	lease *pages.Lease
	from  int64 // where in them the part begins
	table *crc32.Table
	size  int64
	crc   uint32
}

// BytesPart makes a part of content that is in memory anyway.
func BytesPart(content []byte) *Part { return &Part{head: content, size: int64(len(content))} }

// CheckedPart makes one with its checksum by a polynomial.
func CheckedPart(content []byte, polynomial uint32) *Part {
	p := BytesPart(content)
	p.crc = crc32.Checksum(content, crc32.MakeTable(polynomial))
	return p
}

// Size is how many bytes the part has.
func (p *Part) Size() int64 { return p.size }

// CRC is their checksum, by the polynomial of the store.
func (p *Part) CRC() uint32 { return p.crc }

// bytes is how much the part can hold.
func (p *Part) bytes() int64 {
	if p.lease == nil {
		return int64(len(p.head))
	}
	return p.lease.Bytes()
}

// At is what the part holds from offset on, up to the end of a page and to limit.
func (p *Part) At(offset, limit int64) []byte {
	offset, limit = offset+p.from, limit+p.from
	if p.lease == nil {
		return p.head[offset:limit]
	}
	page := p.lease.Page(int(offset / pages.Size))
	begin := offset % pages.Size
	return page[begin:min(pages.Size, begin+limit-offset)]
}

// write adds what fits.
func (p *Part) write(b []byte) {
	for len(b) > 0 {
		n := copy(p.At(p.size, p.bytes()), b)
		p.wrote(n)
		b = b[n:]
	}
}

// wrote counts bytes that were put behind the others.
func (p *Part) wrote(n int) {
	p.crc = crc32.Update(p.crc, p.table, p.At(p.size, p.size+int64(n)))
	p.size += int64(n)
}

func (p *Part) release() {
	if p.lease != nil {
		p.lease.Release()
	}
}

// slice is a piece of the part, in the same memory.
func (p *Part) slice(from, to int64) *Part {
	s := &Part{head: p.head, lease: p.lease, table: p.table, from: p.from + from}
	for s.size < to-from {
		s.wrote(len(s.At(s.size, to-from)))
	}
	return s
}
