// Package buckettest tests what all object stores have in common, in each of them: that an operation
// which is killed at any request leaves the old or the new, that a lost answer is no lost object, that
// uploads go on where they broke off, and what it costs in requests and memory.
//
// A store is plugged in by a Kind: how its fake is started, how an adapter is opened on it, how its
// faults and its requests are called there, and in what it differs by design.
package buckettest

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/backends/bucket"
	"github.com/sluice-ftp/sluice/backends/pages"
	"github.com/sluice-ftp/sluice/backends/storefake"
)

// Part is the size of an upload's first part in these tests, the smallest that there can be.
const Part = pages.Size

// What requests are for, whatever a store calls them. A Fake may have others besides.
const (
	Write      = "write"     // a whole object
	Begin      = "begin"     // an upload in parts
	SendPart   = "part"      // of it
	CopyPart   = "copy part" // of an object into an upload
	Complete   = "complete"  // publishes an upload
	Abort      = "abort"     // ends it without an object
	Copy       = "copy"      // an object
	Move       = "move"      // an object to another name
	Compose    = "compose"   // an object of others
	Change     = "change"    // its metadata
	Head       = "head"      // asks for them
	Get        = "get"       // reads an object
	Delete     = "delete"    // an object
	List       = "list"      // objects
	Login      = "login"     // asks for credentials
	Status     = "status"    // asks what of an upload is there
	MakeFolder = "make a folder"
	MoveFolder = "move a folder"
)

// Request is one request as a fault sees it: Op is one of the above, Part the number of the part of an
// object that it brings: 0 is all of one, below 0 is none.
type Request struct {
	storefake.Request
	Part int
}

// Fault is what goes wrong with a request; the zero value is nothing. Status and Code answer with
// that error of the store; one of them is enough.
type Fault struct {
	storefake.Fault
	Status int
	Code   string
}

// Object is what a fake holds. Version is what the adapter calls it.
type Object struct {
	Data     []byte
	Size     int64
	CRC      uint32 // by Kind.Polynomial
	Version  string
	Metadata map[string]string
}

// Upload is one in parts that is open.
type Upload struct{ Key, ID string }

// Fake is a bucket in memory, of the name "bucket".
type Fake interface {
	http.Handler
	// Put and Remove change it directly, without a request.
	Put(key string, data []byte, metadata map[string]string)
	Remove(key string)
	// Keys are in order. In a bucket with folders of their own these are among them, with a slash.
	Keys() []string
	Object(key string) (Object, bool)
	Uploads() []Upload
	// OnRequest sets what goes wrong, nil is nothing. It is called for one request after another.
	OnRequest(each func(Request) Fault)
	// Requests are those since the fake was made or Reset; Count is how many.
	Requests() []Request
	Count(op string) int
	// Received is how many bytes of objects and of parts were taken since then.
	Received() int64
	Reset()
	Close()
}

// Options are how a fake behaves; the zero value is fast and faultless.
type Options struct {
	// Variant is one of those that a Kind has; "" is the first.
	Variant  string
	PageSize int
	Rate     int64 // bytes per second of each body; 0 is any
	Discard  bool  // keep no bytes
	// Latency is before each answer, after the effect. It is the Bubble's concern.
	Latency time.Duration
}

// Setup is what an adapter is opened with.
type Setup struct {
	Fake Fake
	Options
	// Endpoint is where the fake is, reached by Dial unless that is nil.
	Endpoint string
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
	// Change changes the configuration, unless it is nil.
	Change func(c *bucket.Config)
	// Part is the size of the first parts. Above Whole an object is copied in pieces of Part, if the
	// store copies in pieces at all. 0 is what the store would have outside of a test.
	Part, Whole int64
}

// Wired puts what the adapter's transport dials with where it has to be, and around it what was to be
// there, if anything: it is for bucket.Config.Transport.
func (s *Setup) Wired(around func(http.RoundTripper) http.RoundTripper) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		if s.Dial != nil {
			next.(*http.Transport).DialContext = s.Dial
		}
		if around != nil {
			return around(next)
		}
		return next
	}
}

// Append is what an upload that goes on from an object is to do about what stays of it.
type Append struct {
	Name, Variant string
	Size, Offset  int64
	// Op is asked for so many times; "" is none. Read is whether what stays is read.
	Op    string
	Times int
	Read  bool
}

// Kind is one kind of store.
type Kind struct {
	// New makes a fake that does not listen.
	New func(o Options) Fake
	// Open opens an adapter as another process would. It is closed at the end of the test.
	Open func(t testing.TB, s Setup) *bucket.Adapter

	// Variants are other servers of the kind, by what may be different there: processes that are
	// killed during any operation, or one that moves many bytes, answers that are lost, uploads that
	// are gone on with, configurations that the smallest budget has to do for.
	Killed, KilledInParts, Lost, Continued, Small []string

	// Folders are those variants whose folders are things of their own. In all but the first their
	// renaming goes on only while somebody asks for it.
	Folders []string

	// SlowDown, Internal, Denied and Unreadable are the store's words for: later; a fault of its own;
	// this is not yours; you may not copy that. Oops is the second with all around it.
	SlowDown, Internal, Denied string
	Unreadable                 []string
	Oops                       string
	// ReadHeader is what an answer to a read has to have to be believed.
	ReadHeader http.Header
	// Pinned is the version that a request to read wants; "" is any.
	Pinned func(r Request) string
	// Polynomial is that of the store's checksums, reversed.
	Polynomial uint32
	// NoLines: names with ends of lines in them cannot be.
	NoLines bool

	// Serial: the parts of an upload are in one row, each behind the one before; a late one of a dead
	// process is in it. Expires: uploads that nobody ends are no concern, for the store forgets them.
	Serial, Expires bool
	// CopiesLarge is what publishes a copy of a large object, Renames the new name of any object,
	// Appends an object that was appended to at its end.
	CopiesLarge, RenamesSmall, RenamesLarge, AppendsParts string
	// AtOnce is the most parts of an upload that are on their way at once, and WideTime how long 120
	// of them may take that are answered after a second.
	AtOnce   int
	WideTime time.Duration
	// Requests are what each of the operations of the suite of that name asks for.
	Requests map[string]Cost
	// Appends are what can be told from requests of going on from an object.
	Appends []Append
	// Stranger begins uploads that are not ours, if others can see such; nil if they cannot.
	Stranger func(b *Bubble)
	// Late sends what a dead process had on its way behind the first bytes of an open upload.
	Late func(b *Bubble, u Upload, kept int64, content string)
}

// Cost is what an operation asks for.
type Cost struct {
	requests string
	trips    int
}

// Asks is for those requests, in the order of the alphabet, and how many there are one after another.
func Asks(trips int, requests string) Cost { return Cost{requests, trips} }

// Run tests a kind of store.
func Run(t *testing.T, k Kind) {
	for _, suite := range []struct {
		name string
		run  func(t *testing.T, k *Kind)
	}{
		{"Kill", testKill},
		{"KillSweep", testKillSweep},
		{"ErrorMeansNothing", testErrorMeansNothing},
		{"LostReply", testLostReply},
		{"LostReplyOfAnIntent", testLostReplyOfAnIntent},
		{"LostRepliesOfTwo", testLostRepliesOfTwo},
		{"Continued", testContinued},
		{"SentAgain", testSentAgain},
		{"Takeover", testTakeover},
		{"AnotherOwner", testAnotherOwner},
		{"Zombie", testZombie},
		{"ZombieAtItsEnd", testZombieAtItsEnd},
		{"LatePart", testLatePart},
		{"TwoOwners", testTwoOwners},
		{"StaleVersion", testStaleVersion},
		{"KeptIsOlder", testKeptIsOlder},
		{"StartedAfresh", testStartedAfresh},
		{"Discard", testDiscard},
		{"NotKept", testNotKept},
		{"KilledAndContinued", testKilledAndContinued},
		{"ResumableCost", testResumableCost},
		{"SweepTellsWhatIsKept", testSweepTellsWhatIsKept},
		{"WorkAfterKilledRename", testWorkAfterKilledRename},
		{"WorkDuringRename", testWorkDuringRename},
		{"OverwriteDuringRename", testOverwriteDuringRename},
		{"FolderAppearsDuringRename", testFolderAppearsDuringRename},
		{"RenameThatCannotBe", testRenameThatCannotBe},
		{"Throttled", testThrottled},
		{"ThrottledForGood", testThrottledForGood},
		{"FlippedBit", testFlippedBit},
		{"NobodyListens", testNobodyListens},
		{"BrokenBody", testBrokenBody},
		{"EmptyBodies", testEmptyBodies},
		{"RangeIgnored", testRangeIgnored},
		{"NoLength", testNoLength},
		{"CloseEndsRead", testCloseEndsRead},
		{"Requests", testRequests},
		{"PartsAtOnce", testPartsAtOnce},
		{"ManyUploads", testManyUploads},
		{"WideUploads", testWideUploads},
		{"WaitingUploadEnds", testWaitingUploadEnds},
		{"EndsWithContext", testEndsWithContext},
		{"DownloadWidens", testDownloadWidens},
		{"DownloadStaysNarrow", testDownloadStaysNarrow},
		{"DownloadEndsInTheMiddle", testDownloadEndsInTheMiddle},
		{"SmallBudget", testSmallBudget},
		{"OddKeys", testOddKeys},
		{"RefusedKeys", testRefusedKeys},
		{"LongestKey", testLongestKey},
		{"ObjectBesideFolder", testObjectBesideFolder},
		{"KeysOfOthers", testKeysOfOthers},
		{"AppendReadsLittle", testAppendReadsLittle},
		{"AppendSourceChanges", testAppendSourceChanges},
		{"TransportIsWatched", testTransportIsWatched},
	} {
		t.Run(suite.name, func(t *testing.T) {
			t.Parallel()
			suite.run(t, &k)
		})
	}
}
