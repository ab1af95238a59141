package s3fake

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"hash"
	"hash/crc32"
	"io"

	"github.com/sluice-ftp/sluice/backends/storefake"
)

// content is what came in a body, or the part of an object.
type content struct {
	data    []byte // nil with Options.Discard
	size    int64
	crc     uint32
	sum     [md5.Size]byte // MD5; with Options.Discard something as good for an ETag
	blurred bool           // crc is not known: a range of discarded bytes
}

func (c *content) etag() string { return `"` + hex.EncodeToString(c.sum[:]) + `"` }

// contentOf is the content of bytes that are at hand.
func contentOf(data []byte, discard bool) content {
	c := content{size: int64(len(data)), crc: crc32.ChecksumIEEE(data)}
	if discard {
		c.sum = surrogate(c.size, c.crc)
	} else {
		c.data, c.sum = data, md5.Sum(data)
	}
	return c
}

// surrogate stands for the MD5 of bytes that nobody keeps: MD5 is most of what a body of 100 GiB
// would cost.
func surrogate(size int64, crc uint32) [md5.Size]byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(size))
	return md5.Sum(binary.BigEndian.AppendUint32(b, crc))
}

// intake says how to read a body.
type intake struct {
	limit     int64
	discard   bool
	checksums bool // x-amz-checksum-* is of this body, not of an object
}

// digest is a hash of the body on its way and what the client says it is.
type digest struct {
	hash.Hash
	want    []byte // nil: it said nothing
	failure *failure
}

// receive reads the body and compares it with all that the headers say about it.
func (c *call) receive(in intake) (content, checksum, error) {
	length := c.R.ContentLength
	switch {
	case length < 0 || length == 0 && c.Header.Get("Content-Length") == "":
		return content{}, checksum{}, refuse("MissingContentLength",
			"You must provide the Content-Length HTTP header.")
	case length > in.limit:
		return content{}, checksum{}, refuse("EntityTooLarge", "Your proposed upload exceeds the maximum "+
			"allowed size")
	case c.Header.Get("Content-Encoding") == "aws-chunked":
		return content{}, checksum{}, notImplemented("Content-Encoding: aws-chunked")
	}
	crc, sum := crc32.NewIEEE(), md5.New()
	digests, sent, err := c.digests(in, crc, sum)
	if err != nil {
		return content{}, checksum{}, err
	}
	got, err := c.pass(length, in.discard, append(digests, digest{Hash: crc}))
	if err != nil {
		return content{}, checksum{}, err
	}
	for _, d := range digests {
		if d.want != nil && !bytes.Equal(d.want, d.Sum(nil)) {
			return content{}, checksum{}, d.failure
		}
	}
	got.crc = crc.Sum32()
	if in.discard {
		got.sum = surrogate(got.size, got.crc)
	} else {
		sum.Sum(got.sum[:0])
	}
	return got, sent, nil
}

// digests returns the hashes the body has to go through, beside crc.
func (c *call) digests(in intake, crc hash.Hash32, sum hash.Hash) ([]digest, checksum, error) {
	var all []digest
	if want := c.Header.Get("Content-Md5"); want != "" {
		raw, err := base64.StdEncoding.DecodeString(want)
		if err != nil || len(raw) != md5.Size {
			return nil, checksum{}, refuse("InvalidDigest", "The Content-MD5 you specified was invalid.")
		}
		all = append(all, digest{sum, raw, refuse("BadDigest",
			"The Content-MD5 you specified did not match what we received.")})
	} else if !in.discard {
		all = append(all, digest{Hash: sum})
	}
	if payload := c.Header.Get("X-Amz-Content-Sha256"); payload != unsigned {
		raw, _ := hex.DecodeString(payload) // checked with the signature
		all = append(all, digest{sha256.New(), raw, refuse("XAmzContentSHA256Mismatch",
			"The provided 'x-amz-content-sha256' header does not match what was computed.")})
	}
	if !in.checksums {
		return all, checksum{}, nil
	}
	sent, err := c.sentChecksum()
	if err != nil || sent.algorithm == "" {
		return all, checksum{}, err
	}
	d := digest{want: sent.value, failure: badChecksum(sent.algorithm)}
	if sent.algorithm == "CRC32" {
		// crc sees the bytes anyway, but must not see them twice.
		d.Hash = summed{crc}
	} else {
		d.Hash = algorithms[sent.algorithm]()
	}
	return append(all, d), sent, nil
}

// summed is a hash that somebody else feeds.
type summed struct{ hash.Hash }

func (summed) Write(p []byte) (int, error) { return len(p), nil }

// pass reads the body through the digests.
func (c *call) pass(length int64, discard bool, digests []digest) (content, error) {
	sums := make([]io.Writer, len(digests))
	for i, d := range digests {
		sums[i] = d
	}
	data, size, err := storefake.Take(c.Content(c.Body), length, discard, sums...)
	if err != nil {
		return content{}, refuse("IncompleteBody", "You did not provide the number of bytes specified by "+
			"the Content-Length HTTP header")
	}
	return content{data: data, size: size}, nil
}

// maxDocument bounds the XML of a request: 10,000 parts with their checksums are 2 MB.
const maxDocument = 8 << 20

// document reads a body of XML into v.
func (c *call) document(v any, checksums bool) error {
	got, _, err := c.receive(intake{limit: maxDocument, checksums: checksums})
	if err != nil {
		return err
	}
	if err := xml.Unmarshal(got.data, v); err != nil {
		return malformedXML()
	}
	return nil
}
