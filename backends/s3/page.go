package s3

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/sluice-ftp/sluice/backends"
)

// maxPage bounds a page: 1,000 entries with names of 1,024 bytes, all of them percent-encoded.
const maxPage = 8 * mib

// page is a part of a listing. Names are those in the bucket.
type page struct {
	objects   []backends.Object
	folders   []string // with the slash at their end
	truncated bool
	token     string    // by which the next page is asked for
	asked     time.Time // the store's time of the answer
}

// list asks for a page of at most n entries: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
// Keys come percent-encoded where the server can do that: XML has no way to write some of the
// characters that they may have.
func (h *hot) list(ctx context.Context, prefix, delimiter, token string, n int) (*page, error) {
	query := url.Values{
		"list-type": {"2"}, "encoding-type": {string(types.EncodingTypeUrl)},
		"prefix": {prefix}, "max-keys": {strconv.Itoa(n)},
	}
	if delimiter != "" {
		query.Set("delimiter", delimiter)
	}
	if token != "" {
		query.Set("continuation-token", token)
	}
	resp, err := h.do(ctx, request{method: http.MethodGet, query: query})
	if err != nil {
		return nil, err
	}
	defer drain(resp)
	var found struct {
		XMLName      xml.Name `xml:"ListBucketResult"`
		EncodingType types.EncodingType
		IsTruncated  bool
		Token        string `xml:"NextContinuationToken"`
		Contents     []struct {
			Key          string
			Size         int64
			LastModified time.Time
			ETag         string
		}
		CommonPrefixes []struct{ Prefix string }
	}
	if err := xml.NewDecoder(io.LimitReader(resp.Body, maxPage)).Decode(&found); err != nil {
		return nil, fmt.Errorf("s3: a page of a listing: %w", err)
	}
	p := &page{truncated: found.IsTruncated, token: found.Token, asked: serverTime(resp)}
	p.objects = make([]backends.Object, len(found.Contents))
	for i, o := range found.Contents {
		p.objects[i] = backends.Object{
			Key: decode(found.EncodingType, o.Key), Size: o.Size, ModTime: o.LastModified, Version: o.ETag,
		}
	}
	p.folders = make([]string, len(found.CommonPrefixes))
	for i, f := range found.CommonPrefixes {
		p.folders[i] = decode(found.EncodingType, f.Prefix)
	}
	return p, nil
}

// serverTime is what the store's clock said when it answered, or ours if it said nothing.
func serverTime(resp *http.Response) time.Time {
	if t, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		return t
	}
	return time.Now()
}

// unescape decodes a name, if the server encoded it: it says so.
func unescape(encoding types.EncodingType, s *string) string {
	return decode(encoding, aws.ToString(s))
}

func decode(encoding types.EncodingType, s string) string {
	if encoding != types.EncodingTypeUrl {
		return s
	}
	if decoded, err := url.QueryUnescape(s); err == nil {
		return decoded
	}
	return s
}
