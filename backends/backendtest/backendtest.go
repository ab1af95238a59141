// Package backendtest is the storage contract in code.
//
// Run is what every adapter, and every wrapper of one, has to pass. Memory is the simplest adapter
// that does, an oracle for Compare, which plays random operations on two adapters and wants the same
// answers. Faulty makes any adapter fail where a test wants it to.
package backendtest

import (
	"testing"

	"github.com/sluice-ftp/sluice/backends"
)

// Store is an empty store and what the suite has to know about it.
type Store struct {
	Adapter backends.CloudStorageAdapter
	// PartSize is where the adapter begins to work differently (a part, a buffer); the suite tests
	// around it. 0 is 64 KiB.
	PartSize int64
	// NoControls: the store's listings lose control characters in keys, which are not tried then.
	NoControls bool
	// MaxElement is the longest element of a key in bytes that may be tried; 0 is any. A store that
	// refuses a longer one after it has made folders for it is not tried with one.
	MaxElement int
	// Leftovers lists what must not be there when no call is running: temporary files, open
	// multipart uploads. nil if the store cannot tell.
	Leftovers func(t testing.TB) []string
}

// Run tests that the adapter keeps the contract. open returns a new, empty store each time and
// closes it with t.Cleanup; the tests run in parallel. What Capabilities denies is skipped.
func Run(t *testing.T, open func(t *testing.T) Store) {
	for _, test := range []struct {
		name string
		run  func(*fixture)
	}{
		{"RoundTrip", testRoundTrip},
		{"Overwrite", testOverwrite},
		{"OverwriteWhileReading", testOverwriteWhileReading},
		{"ConcurrentWriters", testConcurrentWriters},
		{"MaxSize", testMaxSize},
		{"ModTime", testModTime},
		{"Metadata", testMetadata},
		{"PutMakesFolders", testPutMakesFolders},
		{"PutOnFolder", testPutOnFolder},
		{"Cancelled", testCancelled},
		{"Abort", testAbort},
		{"AbortLooksLikeStoreError", testAbortLooksLikeStoreError},
		{"AbortByContext", testAbortByContext},
		{"IfAbsent", testIfAbsent},
		{"IfAbsentRace", testIfAbsentRace},
		{"IfVersion", testIfVersion},
		{"Offset", testOffset},
		{"OffsetAbort", testOffsetAbort},
		{"OffsetConflict", testOffsetConflict},
		{"Resume", testResume},
		{"ResumeRefused", testResumeRefused},
		{"ResumeDropped", testResumeDropped},
		{"ResumeRace", testResumeRace},
		{"Read", testRead},
		{"ReadOffset", testReadOffset},
		{"ReadVersion", testReadVersion},
		{"ReadMissing", testReadMissing},
		{"List", testList},
		{"ListPrefix", testListPrefix},
		{"ListMany", testListMany},
		{"ListFolders", testListFolders},
		{"NastyKeys", testNastyKeys},
		{"RefusedKeys", testRefusedKeys},
		{"Private", testPrivate},
		{"Root", testRoot},
		{"Mkdir", testMkdir},
		{"Rmdir", testRmdir},
		{"Remove", testRemove},
		{"RenameFile", testRenameFile},
		{"RenameFolder", testRenameFolder},
		{"RenameRefused", testRenameRefused},
		{"RenameIfAbsentRace", testRenameIfAbsentRace},
		{"Copy", testCopy},
		{"Available", testAvailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, open(t))
			test.run(f)
			f.wantClean()
		})
	}
}
