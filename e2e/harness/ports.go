package harness

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
)

// Ports is what one server listens on.
type Ports struct {
	FTP, FTPS int
	// First and Last bound the passive range, both included.
	First, Last int
}

// Passive is the range as the configuration wants it.
func (p Ports) Passive() string { return fmt.Sprintf("%d-%d", p.First, p.Last) }

const (
	// Blocks lie below the ports that Linux hands out by itself (32768 and up).
	firstBlock, lastBlock = 21000, 32000
	blockSize             = 32
)

var nextBlock atomic.Int64

// FreePorts finds a block of ports that nobody listens on; no two calls share one, nor do test processes
// that run at once.
func FreePorts() (Ports, error) {
	for {
		base := firstBlock + int(nextBlock.Add(1)-1)*blockSize
		if base+blockSize > lastBlock {
			return Ports{}, errors.New("harness: no free block of ports")
		}
		if reserve(base) && blockFree(base) {
			return Ports{FTP: base, FTPS: base + 1, First: base + 2, Last: base + blockSize - 1}, nil
		}
	}
}

// reserve holds a block for as long as this process lives, by a name that the system has once (unix(7),
// "abstract").
func reserve(base int) bool {
	l, err := new(net.ListenConfig).Listen(context.Background(), "unix", fmt.Sprintf("@sluice-e2e-%d", base))
	if err == nil {
		reserved.Store(base, l) // or it would be closed when it is collected
	}
	return err == nil
}

var reserved sync.Map

func blockFree(base int) bool {
	for p := base; p < base+blockSize; p++ {
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", fmt.Sprintf(":%d", p))
		if err != nil {
			return false
		}
		_ = l.Close() // it was only a question
	}
	return true
}
