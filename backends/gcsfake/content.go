package gcsfake

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"hash/crc32"
	"io"
	"strings"

	"github.com/sluice-ftp/sluice/backends/storefake"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// content is what came in a body, or all of an object.
type content struct {
	data []byte // nil with Options.Discard
	size int64
	crc  uint32
	md5  []byte // nil: nobody computed it
}

// contentOf is the content of bytes that are at hand.
func contentOf(data []byte, discard bool) content {
	c := content{size: int64(len(data)), crc: crc32.Checksum(data, castagnoli)}
	if !discard {
		sum := md5.Sum(data)
		c.data, c.md5 = data, sum[:]
	}
	return c
}

func crcText(crc uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc))
}

// claim is what a client says the checksums are; "" is nothing.
type claim struct{ crc, md5 string }

// also adds a claim. Two that contradict each other cannot both hold, and that is found out later.
func (k claim) also(other claim) []claim { return []claim{k, other} }

// check compares a claim with the content.
func (k claim) check(c *content) error {
	switch {
	case k.crc != "" && k.crc != crcText(c.crc):
		return invalid("Provided CRC32C \"%s\" doesn't match calculated CRC32C \"%s\".", k.crc, crcText(c.crc))
	case k.md5 == "":
		return nil
	case c.md5 == nil:
		return notImplemented("the MD5 of what is discarded, unless it is said at the start")
	case k.md5 != base64.StdEncoding.EncodeToString(c.md5):
		return invalid("Provided MD5 hash \"%s\" doesn't match calculated MD5 hash \"%s\".", k.md5,
			base64.StdEncoding.EncodeToString(c.md5))
	}
	return nil
}

// valid refuses what cannot be a checksum.
func (k claim) valid() error {
	for value, size := range map[string]int{k.crc: crc32.Size, k.md5: md5.Size} {
		raw, err := base64.StdEncoding.DecodeString(value)
		if value != "" && (err != nil || len(raw) != size) {
			return invalid("Invalid checksum: \"%s\"", value).at("X-Goog-Hash")
		}
	}
	return nil
}

// claimed reads X-Goog-Hash.
func (c *call) claimed() (claim, error) {
	var k claim
	for _, header := range c.Header.Values("X-Goog-Hash") {
		for part := range strings.SplitSeq(header, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			switch {
			case name == "crc32c" && k.crc == "" && value != "":
				k.crc = value
			case name == "md5" && k.md5 == "" && value != "":
				k.md5 = value
			default:
				return claim{}, invalid("Invalid X-Goog-Hash: \"%s\"", header).at("X-Goog-Hash")
			}
		}
	}
	return k, k.valid()
}

// receive reads the content of an object to the end of r, which is length bytes if that is known,
// and compares it with what is said about it.
func (c *call) receive(r io.Reader, length int64, claims []claim) (content, error) {
	crc := crc32.New(castagnoli)
	sums := []io.Writer{crc}
	var sum hash.Hash
	if !c.s.o.Discard || claims[0].md5 != "" || claims[1].md5 != "" {
		sum = md5.New()
		sums = append(sums, sum)
	}
	data, size, err := storefake.Take(io.LimitReader(r, maxObject+1), length, c.s.o.Discard, sums...)
	switch {
	case err != nil:
		return content{}, refuse("badRequest", "Your client has issued a malformed or illegal request.")
	case size > maxObject:
		return content{}, refuse("uploadTooLarge", "The object is larger than 5 TiB.")
	}
	got := content{data: data, size: size, crc: crc.Sum32()}
	if sum != nil {
		got.md5 = sum.Sum(nil)
	}
	for _, k := range claims {
		if err := k.check(&got); err != nil {
			return content{}, err
		}
	}
	return got, nil
}

// join is the content of several in a row. What is composed has no MD5.
func join(all []*content, discard bool) content {
	var whole content
	var data [][]byte
	for _, c := range all {
		whole.crc = storefake.JoinCRC(crc32.Castagnoli, whole.crc, c.crc, c.size)
		whole.size += c.size
		data = append(data, c.data)
	}
	if !discard {
		whole.data = bytes.Join(data, nil)
	}
	return whole
}
