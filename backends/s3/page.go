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
	"github.com/sluice-ftp/sluice/backends/bucket"
)

// maxPage bounds a page: 1,000 entries with names of 1,024 bytes, all of them percent-encoded.
const maxPage = 8 * mib

// List implements bucket.Store.
func (s *store) List(ctx context.Context, q bucket.Query) (*bucket.Page, error) {
	return s.hot.list(ctx, q)
}

// list asks for a page: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
// Keys come percent-encoded where the server can do that: XML has no way to write some of the
// characters that they may have.
func (h *hot) list(ctx context.Context, q bucket.Query) (*bucket.Page, error) {
	query := url.Values{
		"list-type": {"2"}, "encoding-type": {string(types.EncodingTypeUrl)},
		"prefix": {q.Prefix}, "max-keys": {strconv.Itoa(q.Most)},
	}
	if q.Delimiter != "" {
		query.Set("delimiter", q.Delimiter)
	}
	if q.Token != "" {
		query.Set("continuation-token", q.Token)
	}
	resp, err := h.do(ctx, request{method: http.MethodGet, query: query}) //nolint:bodyclose // Drain does
	if err != nil {
		return nil, err
	}
	defer bucket.Drain(resp)
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
	p := &bucket.Page{More: found.IsTruncated, Token: found.Token, Asked: bucket.ServerTime(resp.Header)}
	p.Objects = make([]backends.Object, len(found.Contents))
	for i, o := range found.Contents {
		p.Objects[i] = backends.Object{
			Key: decode(found.EncodingType, o.Key), Size: o.Size, ModTime: o.LastModified, Version: o.ETag,
		}
	}
	p.Folders = make([]string, len(found.CommonPrefixes))
	for i, f := range found.CommonPrefixes {
		p.Folders[i] = decode(found.EncodingType, f.Prefix)
	}
	return p, nil
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
