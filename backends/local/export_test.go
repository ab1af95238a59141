package local

import "os"

// RenameByLink is renameByLink within one folder.
func RenameByLink(dir, from, to string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return renameByLink(&folder{File: f}, from, &folder{File: f}, to)
}

// Translate is translate.
func Translate(err error) error { return translate("put", "key", err) }

// OnSync has f called in place of the system's fsync.
func (a *Adapter) OnSync(f func(*os.File) error) { a.sync, a.settle = f, f }

// OnSettle has f called in place of what a file has to pass before it gets its name.
func (a *Adapter) OnSettle(f func(*os.File) error) { a.settle = f }

// What needs a file system that a test machine does not have is tested by itself.
var (
	Cut     = cut
	Flush   = flush
	Product = product
)
