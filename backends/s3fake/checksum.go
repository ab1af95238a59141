package s3fake

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"net/http"
	"strconv"
	"strings"
)

// checksum is one of S3's additional checksums, beside the ETag.
type checksum struct {
	algorithm string // as in algorithms; "" is none
	value     []byte
	parts     int // > 0: the checksum of so many checksums, COMPOSITE
}

// algorithms has the checksums that S3 verifies, but for the newest that the standard library lacks.
var algorithms = map[string]func() hash.Hash{
	"CRC32":     func() hash.Hash { return crc32.NewIEEE() },
	"CRC32C":    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	"CRC64NVME": func() hash.Hash { return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5)) },
	"SHA1":      sha1.New,
	"SHA256":    sha256.New,
}

// checksumPrefix begins the headers of checksums: x-amz-checksum-crc32.
const checksumPrefix = "X-Amz-Checksum-"

func (k checksum) header() string { return checksumPrefix + k.algorithm }

// element is its name in a document: ChecksumCRC32.
func (k checksum) element() string { return "Checksum" + k.algorithm }

func (k checksum) text() string {
	s := base64.StdEncoding.EncodeToString(k.value)
	if k.parts > 0 {
		s += "-" + strconv.Itoa(k.parts)
	}
	return s
}

func (k checksum) kind() string {
	if k.parts > 0 {
		return composite
	}
	return fullObject
}

const (
	composite  = "COMPOSITE"
	fullObject = "FULL_OBJECT"
)

// set tells of the checksum in a reply.
func (k checksum) set(h http.Header) {
	if k.algorithm != "" {
		h.Set(k.header(), k.text())
		h.Set("X-Amz-Checksum-Type", k.kind())
	}
}

func (k checksum) write(d *document) {
	if k.algorithm != "" {
		d.text(k.element(), k.text())
		d.text("ChecksumType", k.kind())
	}
}

func crcSum(crc uint32) checksum {
	return checksum{algorithm: "CRC32", value: binary.BigEndian.AppendUint32(nil, crc)}
}

func badChecksum(algorithm string) *failure {
	return refuse("BadDigest", "The %s you specified did not match the calculated checksum.", algorithm)
}

// sentChecksum is the one x-amz-checksum-* header of the request; none is no error.
func (c *call) sentChecksum() (checksum, error) {
	var sent checksum
	for name, values := range c.Header {
		rest, ok := strings.CutPrefix(name, checksumPrefix)
		algorithm := strings.ToUpper(rest)
		switch {
		case !ok || algorithm == "TYPE" || algorithm == "MODE" || algorithm == "ALGORITHM":
			continue
		case algorithms[algorithm] == nil:
			return checksum{}, notImplemented(strings.ToLower(name))
		case sent.algorithm != "" || len(values) != 1:
			return checksum{}, refuse("InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple "+
				"checksum Types are not allowed.")
		}
		raw, err := base64.StdEncoding.DecodeString(values[0])
		if err != nil || len(raw) != algorithms[algorithm]().Size() {
			return checksum{}, refuse("InvalidRequest", "Value for %s header is invalid.", strings.ToLower(name))
		}
		sent = checksum{algorithm: algorithm, value: raw}
	}
	if c.Header.Get("X-Amz-Sdk-Checksum-Algorithm") != "" && sent.algorithm == "" {
		return checksum{}, refuse("InvalidRequest", "x-amz-sdk-checksum-algorithm specified, but no "+
			"corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
	}
	return sent, nil
}

// checksumsAllowed refuses every mention of checksums where the quirk says so.
func (c *call) checksumsAllowed() error {
	if !c.s.o.Quirks.NoChecksums {
		return nil
	}
	for name := range c.Header {
		if strings.HasPrefix(name, checksumPrefix) && name != checksumPrefix+"Mode" ||
			name == "X-Amz-Sdk-Checksum-Algorithm" {
			return notImplemented(strings.ToLower(name))
		}
	}
	return nil
}
