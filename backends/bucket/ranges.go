package bucket

import (
	"context"
	"time"

	"github.com/sluice-ftp/sluice/backends/pages"
)

const (
	// rangeSize is what one request reads ahead.
	rangeSize = 4 * mib
	// worthRanges is how much has to be left for several connections to be worth their beginning.
	worthRanges = 32 * mib
	// firstWindow and maxWindow are how many ranges are on their way at once.
	firstWindow = 2
	maxWindow   = 16
	// paceBytes is how much is watched before the store is judged.
	paceBytes = 16 * mib
	// slowShare: the store is slow if that share of the time is waiting for it, in percent.
	slowShare = 70
)

// pace tells which side of a download is the slow one.
type pace struct {
	bytes          int64
	reading, total time.Duration
}

// storeIsSlow adds what one piece took, and judges when enough was seen.
func (p *pace) storeIsSlow(n int, reading, writing time.Duration) bool {
	p.bytes += int64(n)
	p.reading += reading
	p.total += reading + writing
	if p.bytes < paceBytes {
		return false
	}
	slow := p.reading*100 > p.total*slowShare
	*p = pace{}
	return slow
}

// fetch is a range on its way.
type fetch struct {
	part *Part
	done chan struct{} // closed at its end
	err  error         // why it ended early
}

// ahead reads the rest over several connections, in order, while there is memory for it, and comes
// back when there is none. The window grows while the client waits for the store.
func (r *reader) ahead(out *taker) error {
	ctx, cancel := context.WithCancel(r.cursor.ctx)
	var queue []*fetch
	defer func() {
		cancel()
		for _, f := range queue {
			<-f.done
			f.part.release()
		}
	}()
	next := r.cursor.offset
	for window := firstWindow; r.cursor.offset < r.cursor.end; {
		for len(queue) < window && next < r.cursor.end {
			size := min(rangeSize, r.cursor.end-next)
			lease := r.adapter.Memory.TryReserve(size)
			if lease == nil {
				break
			}
			r.cursor.drop()
			queue = append(queue, r.fetch(ctx, next, size, lease))
			next += size
		}
		if len(queue) == 0 {
			return nil
		}
		f := queue[0]
		begun := time.Now()
		if <-f.done; f.err != nil {
			return f.err
		}
		if waited := time.Since(begun); waited > time.Millisecond && window < maxWindow {
			window++
		}
		queue = queue[1:]
		ok := f.pass(out)
		r.cursor.offset += f.part.size
		f.part.release()
		if !ok {
			return nil
		}
	}
	return nil
}

// fetch reads a range in the background, into memory of lease.
func (r *reader) fetch(ctx context.Context, offset, size int64, lease *pages.Lease) *fetch {
	f := &fetch{part: &Part{lease: lease, table: r.adapter.table()}, done: make(chan struct{})}
	c := &cursor{
		adapter: r.adapter, ctx: ctx, full: r.cursor.full, version: r.cursor.version, offset: offset, end: offset + size,
	}
	go func() {
		defer close(f.done)
		defer c.drop()
		for f.part.size < size && f.err == nil {
			var n int
			n, f.err = fillFrom(c, f.part.At(f.part.size, size))
			f.part.size += int64(n)
		}
		if f.part.size == size {
			f.err = nil
		}
	}()
	return f
}

// pass writes the range on.
func (f *fetch) pass(out *taker) bool {
	for offset := int64(0); offset < f.part.size; {
		p := f.part.At(offset, f.part.size)
		if !out.take(p) {
			return false
		}
		offset += int64(len(p))
	}
	return true
}
