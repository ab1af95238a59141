package s3fake

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"hash/crc32"
	"strconv"

	"github.com/sluice-ftp/sluice/backends/storefake"
)

// completion is the body of CompleteMultipartUpload.
type completion struct {
	XMLName xml.Name        `xml:"CompleteMultipartUpload"`
	Part    []completedPart `xml:"Part"`
}

type completedPart struct {
	PartNumber    int
	ETag          string
	ChecksumCRC32 string
}

func (c *call) completeMultipartUpload() (*reply, error) {
	if err := c.checksumsAllowed(); err != nil {
		return nil, err
	}
	q := c.s.o.Quirks
	cond, err := c.condition(q.NoConditionalComplete, q.IgnoreConditionalComplete)
	if err != nil {
		return nil, err
	}
	var list completion
	if err := c.document(&list, false); err != nil {
		return nil, err
	}
	if len(list.Part) == 0 {
		return nil, malformedXML()
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	u, err := c.upload()
	if err != nil {
		return c.completeAgain(cond, err)
	}
	parts, err := c.choose(u, list.Part)
	if err != nil {
		return nil, err
	}
	o := c.s.assemble(u, parts)
	if err := c.checkWhole(u, o); err != nil {
		return nil, err
	}
	// A condition that fails leaves the upload open, so that its owner may still decide.
	if err := c.s.admit(c.Key, cond); err != nil {
		return nil, err
	}
	if err := c.s.place(c.Key); err != nil {
		return nil, err
	}
	c.s.publish(o)
	delete(c.s.uploads, u.id)
	return c.completed(o), nil
}

func (c *call) completed(o *object) *reply {
	d := &document{}
	rep := answer("CompleteMultipartUploadResult", d, func() {
		d.text("Location", "http://"+c.R.Host+"/"+c.bucket+"/"+signEncode(c.Key, false))
		d.text("Bucket", c.bucket)
		d.text("Key", c.Key)
		d.text("ETag", o.etag)
		o.checksum.write(d)
	})
	o.sayEncryption(rep.Header)
	return rep
}

// completeAgain answers for an upload that is not open: as the first time as long as its object is
// there, so that who lost the first answer may ask again. The condition is checked again as well,
// and the object itself is what it fails of.
func (c *call) completeAgain(cond condition, missing error) (*reply, error) {
	q, o := c.s.o.Quirks, c.s.objects[c.Key]
	made := o != nil && o.upload == c.Query.Get("uploadId") && !q.CompleteOnce
	if !made && (o == nil || !q.CompleteAfterAbort) {
		return nil, missing
	}
	if err := c.s.admit(c.Key, cond); err != nil {
		return nil, err
	}
	return c.completed(o), nil
}

// choose returns the parts that the list names, if the list is right.
func (c *call) choose(u *upload, list []completedPart) ([]*part, error) {
	parts := make([]*part, len(list))
	for i, l := range list {
		if i > 0 && l.PartNumber <= list[i-1].PartNumber {
			return nil, refuse("InvalidPartOrder", "The list of parts was not in ascending order. Parts must be "+
				"ordered by part number.")
		}
	}
	for i, l := range list {
		p := u.parts[l.PartNumber]
		switch {
		case p == nil, l.ETag == "", !sameETag(p.etag(), l.ETag),
			l.ChecksumCRC32 != "" && (u.algorithm == "" || !p.blurred && l.ChecksumCRC32 != crcSum(p.crc).text()):
			return nil, refuse("InvalidPart", "One or more of the specified parts could not be found. The part "+
				"may not have been uploaded, or the specified entity tag may not match the part's entity tag.").
				with("PartNumber", strconv.Itoa(l.PartNumber)).with("ETag", l.ETag)
		case l.ChecksumCRC32 == "" && u.kind == composite:
			return nil, refuse("InvalidRequest", "The upload was created using a crc32 checksum. The complete "+
				"request must include the checksum for each part. It was missing for part %d in the request.",
				l.PartNumber)
		}
		parts[i] = p
	}
	return parts, c.checkSizes(parts)
}

func (c *call) checkSizes(parts []*part) error {
	q := c.s.o.Quirks
	for _, p := range parts[:len(parts)-1] {
		switch {
		case p.size < q.MinPartSize:
			return refuse("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size").
				with("ProposedSize", fmt.Sprint(p.size)).with("MinSizeAllowed", fmt.Sprint(q.MinPartSize)).
				with("PartNumber", strconv.Itoa(p.number))
		case q.UniformParts && p.size != parts[0].size:
			return refuse("InvalidPart", "All non-trailing parts must have the same length.")
		}
	}
	return nil
}

// assemble makes the object of the upload. Its date is that of the upload's beginning, as at AWS.
func (s *Server) assemble(u *upload, parts []*part) *object {
	o := &object{attrs: u.attrs, key: u.key, modified: u.initiated, upload: u.id}
	var sums, crcs []byte
	for _, p := range parts {
		sums = append(sums, p.sum[:]...)
		crcs = binary.BigEndian.AppendUint32(crcs, p.crc)
		o.crc = storefake.JoinCRC(crc32.IEEE, o.crc, p.crc, p.size)
		o.size += p.size
		o.blurred = o.blurred || p.blurred
	}
	if s.o.Discard {
		o.sum = surrogate(o.size, o.crc)
	} else {
		o.data = make([]byte, 0, o.size)
		for _, p := range parts {
			o.data = append(o.data, p.data...)
		}
	}
	sum := md5.Sum(sums)
	o.etag = fmt.Sprintf(`"%s-%d"`, hex.EncodeToString(sum[:]), len(parts))
	switch {
	case u.algorithm == "" || o.blurred:
	case u.kind == composite:
		o.checksum = crcSum(crc32.ChecksumIEEE(crcs))
		o.checksum.parts = len(parts)
	default:
		o.checksum = crcSum(o.crc)
	}
	return o
}

// checkWhole compares the object with what the headers say about it.
func (c *call) checkWhole(u *upload, o *object) error {
	if size := c.Header.Get("X-Amz-Mp-Object-Size"); size != "" && size != strconv.FormatInt(o.size, 10) {
		return refuse("InvalidRequest", "The provided 'x-amz-mp-object-size' header value %s does not match "+
			"what was computed: %d", size, o.size)
	}
	if kind := c.Header.Get("X-Amz-Checksum-Type"); kind != "" && kind != u.kind {
		return refuse("InvalidRequest", "The upload was created using the %s checksum mode. The complete request "+
			"must use the same checksum mode.", u.kind)
	}
	for name := range algorithms {
		want := c.Header.Get(checksumPrefix + name)
		switch {
		case want == "":
		case name != u.algorithm:
			return checksumMismatch(u.algorithm, name)
		case !o.blurred && want != o.checksum.text() && want+"-"+strconv.Itoa(o.checksum.parts) != o.checksum.text():
			return badChecksum(name)
		}
	}
	return nil
}
