package backends

import "time"

// Kept is what an adapter has found, when it last looked, of uploads of which a part is in the store:
// those that run and those that broke off and may go on.
type Kept struct {
	Uploads int
	// Oldest is when the one that was not written to for the longest time was; zero without one.
	Oldest time.Time
}

// Add notes one that was last written to at t.
func (k *Kept) Add(t time.Time) {
	k.Uploads++
	if k.Oldest.IsZero() || t.Before(k.Oldest) {
		k.Oldest = t
	}
}
