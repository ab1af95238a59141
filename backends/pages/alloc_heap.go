//go:build !unix || race

package pages

// allocate makes a page on Go's heap, where the race detector sees what is done with it.
func allocate() *Page { return new(Page) }

func forget([]*Page) {}
