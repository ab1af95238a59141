package audit

import (
	"bytes"
	"slices"
)

const (
	// blockSize is what one write takes when many events wait, and what memory is taken in, in bytes.
	blockSize = 64 << 10
	// perEvent is how much memory each event of a queue's bound stands for, several times what an
	// ordinary one needs, and minBytes is what the smallest queue has: any one event fits.
	perEvent = 2 << 10
	minBytes = 1 << 20
)

// queue holds lines in the order in which they came, in blocks that are written at once. What is
// being written counts as waiting until it is.
type queue struct {
	blocks [][]byte
	taken  []byte // the block that is being written
	rest   []byte // what of it is not written yet
	spare  []byte // an empty block

	events, maxEvents int
	bytes, maxBytes   int // the sizes of the blocks, without the spare one
}

func newQueue(events int) queue {
	return queue{maxEvents: events, maxBytes: max(events*perEvent, minBytes)}
}

// add appends a line, or reports that there is no room.
func (q *queue) add(line []byte) bool {
	if q.events >= q.maxEvents {
		return false
	}
	last := len(q.blocks) - 1
	if last < 0 || len(q.blocks[last])+len(line) > cap(q.blocks[last]) {
		size := max(len(line), blockSize)
		if q.bytes+size > q.maxBytes {
			return false
		}
		q.blocks = append(q.blocks, q.block(size))
		last++
	}
	q.blocks[last] = append(q.blocks[last], line...)
	q.events++
	return true
}

// block returns an empty one of size bytes.
func (q *queue) block(size int) []byte {
	q.bytes += size
	b := q.spare
	if size > cap(b) {
		return make([]byte, 0, size)
	}
	q.spare = nil
	return b
}

// next returns the lines that are to be written first; none is an empty queue.
func (q *queue) next() []byte {
	if len(q.rest) == 0 && len(q.blocks) > 0 {
		q.taken = q.blocks[0]
		q.rest = q.taken
		q.blocks = slices.Delete(q.blocks, 0, 1)
	}
	return q.rest
}

// written takes the first n bytes, whole lines, off what next returned.
func (q *queue) written(n int) {
	q.events -= bytes.Count(q.rest[:n], []byte{'\n'})
	q.rest = q.rest[n:]
	if len(q.rest) > 0 {
		return
	}
	q.bytes -= cap(q.taken)
	if cap(q.taken) == blockSize {
		q.spare = q.taken[:0]
	}
	q.taken, q.rest = nil, nil
}

// crowded reports that less than a quarter is left: work that is under way still finds room.
func (q *queue) crowded() bool {
	return q.maxEvents-q.events < q.maxEvents/4 || q.maxBytes-q.bytes < q.maxBytes/4
}

// roomy reports that at least a half is left.
func (q *queue) roomy() bool { return q.events <= q.maxEvents/2 && q.bytes <= q.maxBytes/2 }
