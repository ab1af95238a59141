//go:build unix && !race

package pages

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// allocate takes a page from the system and not from Go's heap: the collector would leave as much
// again for garbage as the pages hold, and they are none.
func allocate() *Page {
	b, err := unix.Mmap(-1, 0, Size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		panic(fmt.Sprintf("pages: no memory from the system: %v", err)) // as the runtime does
	}
	return (*Page)(unsafe.Pointer(unsafe.SliceData(b)))
}

func forget(pages []*Page) {
	for _, p := range pages {
		if err := unix.Munmap(p[:]); err != nil {
			panic(fmt.Sprintf("pages: %v", err)) // not a page of ours
		}
	}
}
