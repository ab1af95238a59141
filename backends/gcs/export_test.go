package gcs

// SetSizes makes small what is large, so that tests need not move gigabytes.
func (a *Adapter) SetSizes(part int64) {
	a.store.partSize = part
	a.KeepAtLeast = part
}
