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
func (a *Adapter) OnSync(f func(*os.File) error) { a.sync, a.settle, a.secure = f, f, f }

// OnSettle has f called in place of what a file has to pass before it gets its name.
func (a *Adapter) OnSettle(f func(*os.File) error) { a.settle = f }

// Restart makes the adapter that of another start of the machine.
func (a *Adapter) Restart() { a.boot = "another" }

// CheckpointAfter sets how often an upload is made durable.
func (a *Adapter) CheckpointAfter(n int64) { a.checkpoint = n }

// What needs a file system that a test machine does not have is tested by itself.
var (
	Cut     = cut
	Flush   = flush
	Product = product
)
