package audit

import "os"

// OpenWith is Open with other calls of the system.
func OpenWith(o Options, write func(*os.File, []byte) (int, error), sync func(*os.File) error) (*Log, error) {
	return open(o, calls{write, sync})
}

// Stalled is what is called when a write may have taken too long.
func (l *Log) Stalled() { l.stalled() }

// Line returns e as it is written.
func Line(e Event) []byte { return newEncoder().encode(&e) }
