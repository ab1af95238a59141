package s3fake

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-ftp/sluice/backends/storefake"
)

// upload is an open multipart upload.
type upload struct {
	attrs
	key, id   string
	initiated time.Time
	algorithm string // of its checksums: "CRC32" or ""
	kind      string // COMPOSITE or FULL_OBJECT
	parts     map[int]*part
}

type part struct {
	content
	number   int
	modified time.Time
}

func (c *call) createMultipartUpload() (*reply, error) {
	if err := c.checksumsAllowed(); err != nil {
		return nil, err
	}
	attrs, err := c.attributes()
	if err != nil {
		return nil, err
	}
	u := &upload{attrs: attrs, key: c.Key, parts: map[int]*part{}}
	if err := c.chooseChecksum(u); err != nil {
		return nil, err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	u.id, u.initiated = c.s.newUploadID(), c.s.now()
	c.s.uploads[u.id] = u
	d := &document{}
	rep := answer("InitiateMultipartUploadResult", d, func() {
		d.text("Bucket", c.bucket)
		d.text("Key", u.key)
		d.text("UploadId", u.id)
	})
	if u.algorithm != "" {
		rep.Header.Set("X-Amz-Checksum-Algorithm", u.algorithm)
		rep.Header.Set("X-Amz-Checksum-Type", u.kind)
	}
	u.sayEncryption(rep.Header)
	return rep, nil
}

// chooseChecksum reads which checksum the upload is to have.
func (c *call) chooseChecksum(u *upload) error {
	u.algorithm, u.kind = c.Header.Get("X-Amz-Checksum-Algorithm"), c.Header.Get("X-Amz-Checksum-Type")
	switch {
	case u.algorithm == "" && u.kind != "":
		return refuse("InvalidRequest", "The x-amz-checksum-type header can only be used with the "+
			"x-amz-checksum-algorithm header.")
	case u.algorithm == "":
		return nil
	case algorithms[u.algorithm] == nil:
		return refuse("InvalidRequest", "Checksum algorithm provided is unsupported. Please try again with "+
			"any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
	case u.algorithm != "CRC32":
		return notImplemented("x-amz-checksum-algorithm: " + u.algorithm)
	case u.kind != "" && u.kind != composite && u.kind != fullObject:
		return refuse("InvalidRequest", "Value for x-amz-checksum-type header is invalid.")
	}
	u.kind = cmp.Or(u.kind, composite)
	return nil
}

// newUploadID returns an ID that sorts by age. The caller holds the lock.
func (s *Server) newUploadID() string {
	s.made++
	return storefake.ID(s.made)
}

// openUploads returns the uploads by key and then by age. The caller holds the lock.
func (s *Server) openUploads() []*upload {
	return slices.SortedFunc(maps.Values(s.uploads), func(a, b *upload) int {
		return cmp.Or(strings.Compare(a.key, b.key), strings.Compare(a.id, b.id))
	})
}

// upload finds the upload that the request is about. The caller holds the lock.
func (c *call) upload() (*upload, error) {
	id := c.Query.Get("uploadId")
	u := c.s.uploads[id]
	if u == nil || u.key != c.Key {
		return nil, noSuchUpload(id)
	}
	return u, nil
}

// findUpload is upload for who does not hold the lock; the upload may be gone the moment after.
func (c *call) findUpload() (*upload, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.upload()
}

func (c *call) abortMultipartUpload() (*reply, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	u, err := c.upload()
	if err != nil {
		return nil, err
	}
	delete(c.s.uploads, u.id)
	return &reply{Status: http.StatusNoContent, Header: http.Header{}}, nil
}

func (c *call) uploadPart() (*reply, error) {
	if err := c.checksumsAllowed(); err != nil {
		return nil, err
	}
	number, err := c.partNumber()
	if err != nil {
		return nil, err
	}
	u, err := c.findUpload()
	if err != nil {
		return nil, err
	}
	got, sum, err := c.receive(intake{limit: maxObject, discard: c.s.o.Discard, checksums: true})
	if err != nil {
		return nil, err
	}
	if sum.algorithm != u.algorithm && (sum.algorithm != "" || u.kind == composite) {
		return nil, checksumMismatch(u.algorithm, sum.algorithm)
	}
	p, err := c.store(got, number)
	if err != nil {
		return nil, err
	}
	c.Took(got.size)
	rep := &reply{Status: http.StatusOK, Header: http.Header{"Etag": {p.etag()}}}
	if sum.algorithm != "" {
		rep.Header.Set(sum.header(), sum.text())
	}
	return rep, nil
}

// store makes content a part of the upload, unless that has been closed in the meantime.
func (c *call) store(got content, number int) (*part, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	u, err := c.upload()
	if err != nil {
		return nil, err
	}
	p := &part{got, number, c.s.now()}
	u.parts[number] = p
	return p, nil
}

func (c *call) partNumber() (int, error) {
	most := c.s.o.Quirks.MaxParts
	n, err := strconv.Atoi(c.Query.Get("partNumber"))
	if err != nil || n < 1 || n > most {
		return 0, refuse("InvalidArgument", "Part number must be an integer between 1 and %d, inclusive", most).
			with("ArgumentName", "partNumber").with("ArgumentValue", c.Query.Get("partNumber"))
	}
	return n, nil
}

func checksumMismatch(want, got string) *failure {
	return refuse("InvalidRequest", "Checksum Type mismatch occurred, expected checksum Type: %s, actual "+
		"checksum Type: %s", cmp.Or(strings.ToLower(want), "null"), cmp.Or(strings.ToLower(got), "null"))
}
