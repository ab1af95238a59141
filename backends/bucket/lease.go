package bucket

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-ftp/sluice/backends"
)

// leaseKeeper tells other processes that this one is alive. A nil one does nothing.
type leaseKeeper struct {
	adapter *Adapter
	record  *Record
	done    chan struct{}
	// pieces are those that are in a row, if they are to be in the record; early has that written before
	// its time, written is when it was.
	pieces  atomic.Pointer[[]Piece]
	early   chan struct{}
	written atomic.Int64
	running sync.WaitGroup

	mu    sync.Mutex
	taken *atomic.Bool // someone else has the upload
}

func (m *multipart) keepLease() {
	k := &leaseKeeper{
		adapter: m.adapter, record: m.record, taken: &m.upload.fenced,
		done: make(chan struct{}), early: make(chan struct{}, 1),
	}
	k.written.Store(time.Now().UnixNano())
	if parts := m.record.Parts; m.traits.Serial {
		k.pieces.Store(&parts)
	}
	m.lease = k
	m.record.hurry = true
	ctx := background(m.upload.ctx)
	k.running.Go(func() {
		tick := time.NewTicker(renewal)
		defer tick.Stop()
		var soon <-chan time.Time
		for {
			select {
			case <-k.done:
				return
			case <-tick.C:
			case <-k.early:
				if soon == nil {
					soon = time.After(k.untilEarly())
				}
				continue
			case <-soon:
			}
			soon = nil
			if err := k.renew(ctx); backends.KindOf(err) == backends.Fenced {
				return
			} else if err != nil {
				k.adapter.Log.Warn("the lease of an upload was not renewed", "key", k.record.Key, "err", err)
			}
		}
	})
}

func (k *leaseKeeper) renew(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.taken.Load() {
		return Fault(backends.Fenced, nil)
	}
	if pieces := k.pieces.Load(); pieces != nil {
		k.record.Parts = *pieces
	}
	err := k.record.write(ctx, k.adapter, nil)
	k.written.Store(time.Now().UnixNano())
	if backends.KindOf(err) == backends.Conflict {
		k.taken.Store(true)
		return Fault(backends.Fenced, err)
	}
	return err
}

// arrived has the record tell that the store has another piece: only of what it tells is the checksum
// known when the process is killed, so it is not left to the next renewal if that is far. It is called for
// one piece after the other.
func (k *leaseKeeper) arrived(piece Piece) {
	if k == nil {
		return
	}
	pieces := k.adapter.merged(append(slices.Clone(*k.pieces.Load()), piece))
	k.pieces.Store(&pieces)
	select {
	case k.early <- struct{}{}:
	default:
	}
}

// untilEarly is how long the record had better wait: stores let one object be written once a second. The
// first piece is more than nothing, so it waits less.
func (k *leaseKeeper) untilEarly() time.Duration {
	const least, first = 5 * time.Second, time.Second
	wait := least
	if len(*k.pieces.Load()) == 1 {
		wait = first
	}
	return wait - time.Since(time.Unix(0, k.written.Load()))
}

// confirm makes sure that the upload is ours for a while.
func (k *leaseKeeper) confirm(ctx context.Context) error {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	fresh := time.Since(k.record.renewed) < lease/2 && !k.taken.Load()
	k.mu.Unlock()
	if fresh {
		return nil
	}
	return k.renew(background(ctx))
}

// lost: someone else has the upload.
func (k *leaseKeeper) lost() bool {
	return k != nil && k.taken.Load()
}

// stop ends the renewals.
func (k *leaseKeeper) stop() {
	if k != nil {
		close(k.done)
		k.running.Wait()
	}
}
