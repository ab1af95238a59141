package gcs

import (
	"cmp"
	"context"
	"encoding/json"
	"hash/crc32"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
	"github.com/sluice-ftp/sluice/backends/pages"
)

const (
	// granule: parts of a session that are not the last are of a multiple of it.
	// https://cloud.google.com/storage/docs/performing-resumable-uploads#chunked-upload
	granule = 256 << 10

	// minPart is the size of the first parts where memory allows. The store takes a moment after each,
	// so they grow with what has gone: to maxPart, each as large as a half of it.
	minPart = 8 << 20
	maxPart = 32 << 20
	growth  = 2
	// inFlight: one part is sent while the next one is filled.
	inFlight = 2
)

// store is a bucket as Google has it.
type store struct {
	Config
	wire     *wireAPI
	seal     *seal // nil if no session is kept
	partSize int64
}

var _ bucket.Store = (*store)(nil)

// Traits implements bucket.Store.
func (s *store) Traits() bucket.Traits {
	return bucket.Traits{
		Conditional: true, IfAbsent: true, CopyIfAbsent: true, Move: s.KMSKey == "", SetMetadata: true, Compose: true,
		Hierarchy: s.Hierarchical,
		MaxCopy:   math.MaxInt64, Polynomial: crc32.Castagnoli,
		PartSize: s.partSize, Smallest: granule, Granule: granule, Growth: growth, MaxPart: maxPart,
		InFlight: inFlight, Serial: true, BeginConditional: true, Expires: true,
	}
}

// firstPart is the size of an upload's first parts: less than it might be if the budget has no room for
// two.
func (c *Config) firstPart() int64 {
	size := int64(minPart)
	if c.Memory != nil {
		size = min(size, c.Memory.Parts()/2/pages.Size*pages.Size)
	}
	return max(size, granule)
}

// defaultType is what the store says of content of which nobody has said a type.
const defaultType = "application/octet-stream"

// resource is an object as the JSON API has it:
// https://cloud.google.com/storage/docs/json_api/v1/objects#resource
type resource struct {
	Name               string            `json:"name,omitempty"`
	Generation         string            `json:"generation,omitempty"`
	Size               string            `json:"size,omitempty"`
	TimeCreated        time.Time         `json:"timeCreated,omitzero"`
	ContentType        string            `json:"contentType,omitempty"`
	ContentEncoding    string            `json:"contentEncoding,omitempty"`
	ContentLanguage    string            `json:"contentLanguage,omitempty"`
	ContentDisposition string            `json:"contentDisposition,omitempty"`
	CacheControl       string            `json:"cacheControl,omitempty"`
	StorageClass       string            `json:"storageClass,omitempty"`
	CRC32C             string            `json:"crc32c,omitempty"`
	Metadata           map[string]string `json:"metadata,omitempty"`
}

// described are the fields of an object that are asked for, listed those of one in a listing.
const (
	described = "name,generation,size,timeCreated,contentType,contentEncoding,contentLanguage,contentDisposition,cacheControl,storageClass,crc32c,metadata"
	listed    = "name,generation,size,timeCreated,metadata"
)

func (r *resource) info() *bucket.Info {
	size, _ := strconv.ParseInt(r.Size, 10, 64) // the store's own number
	return &bucket.Info{
		Name: r.Name, Size: size, Version: r.Generation, Written: r.TimeCreated, Metadata: fromGoogle(r.Metadata),
		Description: bucket.Description{
			ContentType: r.ContentType, ContentEncoding: r.ContentEncoding, ContentLanguage: r.ContentLanguage,
			ContentDisposition: r.ContentDisposition, CacheControl: r.CacheControl, Class: r.StorageClass,
		},
	}
}

// objectPath is where an object is in the JSON API; "" is where all are.
func (s *store) objectPath(name string) string {
	p := "/storage/v1/b/" + url.PathEscape(s.Bucket) + "/o"
	if name != "" {
		p += "/" + escape(name)
	}
	return p
}

// escape writes a name as one element of a path.
func escape(name string) string {
	// Dots alone would be taken for a step in the path by what stands between us and the store.
	if name == "." || name == ".." {
		return strings.ReplaceAll(name, ".", "%2E")
	}
	return strings.ReplaceAll(bucket.EscapePath(name), "/", "%2F")
}

// Head implements bucket.Store.
func (s *store) Head(ctx context.Context, name string) (*bucket.Info, error) {
	var r resource
	_, err := s.wire.ask(ctx, request{
		method: http.MethodGet, path: s.objectPath(name), query: url.Values{"fields": {described}},
	}, &r)
	if err != nil {
		return nil, err
	}
	return r.info(), versioned(r.Generation)
}

// versioned: an answer of success that names no version did not come from the store.
func versioned(generation string) error {
	if generation == "" {
		return bucket.ErrNoVersion
	}
	return nil
}

// List implements bucket.Store: https://cloud.google.com/storage/docs/json_api/v1/objects/list
func (s *store) List(ctx context.Context, q bucket.Query) (*bucket.Page, error) {
	fields := listed
	if q.NamesOnly {
		fields = "name"
	}
	query := url.Values{
		"prefix": {q.Prefix}, "maxResults": {strconv.Itoa(q.Most)}, "fields": {"nextPageToken,prefixes,items(" + fields + ")"},
	}
	if q.Delimiter != "" {
		query.Set("delimiter", q.Delimiter)
	}
	if q.Empty && s.Hierarchical {
		query.Set("includeFoldersAsPrefixes", "true")
	}
	if q.Token != "" {
		query.Set("pageToken", q.Token)
	}
	var found struct {
		NextPageToken string
		Prefixes      []string
		Items         []resource
	}
	header, err := s.wire.ask(ctx, request{method: http.MethodGet, path: s.objectPath(""), query: query}, &found)
	if status(err) == http.StatusNotFound {
		return nil, bucket.Fault(backends.Misconfigured, err) // the bucket
	}
	if err != nil {
		return nil, err
	}
	p := &bucket.Page{
		Folders: found.Prefixes, More: found.NextPageToken != "", Token: found.NextPageToken, Asked: bucket.ServerTime(header),
		Objects: make([]backends.Object, len(found.Items)),
	}
	for i := range found.Items {
		info := found.Items[i].info()
		p.Objects[i] = backends.Object{Key: info.Name, Size: info.Size, ModTime: info.ModTime(), Version: info.Version}
	}
	return p, nil
}

// Get implements bucket.Store. The XML API tells with the content when it was written and by whom:
// https://cloud.google.com/storage/docs/xml-api/get-object-download
func (s *store) Get(ctx context.Context, name string, span bucket.Span, version string) (*bucket.Content, error) {
	r := request{method: http.MethodGet, xml: true, path: "/" + url.PathEscape(s.Bucket) + "/" + escapeKey(name), header: http.Header{
		// As it is: an object that is stored compressed would be sent decompressed, without its length.
		"Accept-Encoding": {"gzip"},
	}}
	if h := span.Header(); h != "" {
		r.header.Set("Range", h)
	}
	if version != "" {
		r.header.Set("X-Goog-If-Generation-Match", version)
	}
	resp, err := s.wire.do(ctx, r)
	if err != nil {
		return nil, err
	}
	h := resp.Header
	written, _ := http.ParseTime(h.Get("Last-Modified")) // without one there is none
	c := &bucket.Content{
		Info: bucket.Info{
			Name: name, Version: h.Get("X-Goog-Generation"), Written: written,
			Metadata: fromGoogle(map[string]string{
				metaModTime: h.Get("X-Goog-Meta-" + metaModTime), metaReserved: h.Get("X-Goog-Meta-" + metaReserved),
			}),
		},
		Length: resp.ContentLength, Body: resp.Body, Asked: bucket.ServerTime(h),
	}
	c.From = bucket.RangeBegin(h.Get("Content-Range"))
	if err := versioned(c.Version); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return c, nil
}

// escapeKey writes a name as a path.
func escapeKey(name string) string {
	elements := strings.Split(name, "/")
	for i, e := range elements {
		elements[i] = escape(e)
	}
	return strings.Join(elements, "/")
}

// conditions adds what has to be true of the object of that name.
func conditions(query url.Values, ifAbsent bool, ifVersion string) {
	if ifAbsent {
		ifVersion = "0"
	}
	if ifVersion != "" {
		query.Set("ifGenerationMatch", ifVersion)
	}
}

// resource is what the store is to know of a new object.
func (s *store) resource(o *bucket.NewObject) *resource {
	r := &resource{Name: o.Name, ContentType: o.ContentType, Metadata: toGoogle(o.Metadata)}
	r.StorageClass = s.StorageClass
	if o.Purpose != bucket.File {
		r.StorageClass = "STANDARD" // what lives for a minute costs as much as a month in other classes
	}
	if like := o.Like; like != nil {
		r.describe(like.Description)
		if s.StorageClass != "" {
			r.StorageClass = s.StorageClass
		}
		if o.ContentType != "" {
			r.ContentType = o.ContentType
		}
	}
	if o.Class != "" {
		r.StorageClass = o.Class
	}
	return r
}

func (r *resource) describe(d bucket.Description) {
	r.ContentType, r.ContentEncoding, r.ContentLanguage = d.ContentType, d.ContentEncoding, d.ContentLanguage
	r.ContentDisposition, r.CacheControl, r.StorageClass = d.ContentDisposition, d.CacheControl, d.Class
}

// kms adds the key that new objects are encrypted with.
func (s *store) kms(query url.Values, name string) {
	if s.KMSKey != "" {
		query.Set(name, s.KMSKey)
	}
}

// Write implements bucket.Store: description and content go in one request.
// https://cloud.google.com/storage/docs/uploading-objects#rest-upload-objects
func (s *store) Write(ctx context.Context, o *bucket.NewObject, content ...*bucket.Part) (string, error) {
	r := s.resource(o)
	if o.Purpose == bucket.File && len(content) == 1 {
		r.CRC32C = bucket.Base64(content[0].CRC())
	}
	description, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	boundary := newBoundary()
	// The type is said twice, and the store refuses two that differ.
	head := "--" + boundary + "\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n" + string(description) +
		"\r\n--" + boundary + "\r\nContent-Type: " + cmp.Or(r.ContentType, defaultType) + "\r\n\r\n"
	parts := make([]*bucket.Part, 0, len(content)+2)
	parts = append(parts, bucket.BytesPart([]byte(head)))
	parts = append(parts, content...)
	parts = append(parts, bucket.BytesPart([]byte("\r\n--"+boundary+"--\r\n")))

	query := url.Values{"uploadType": {"multipart"}, "fields": {"generation"}}
	conditions(query, o.IfAbsent, o.IfVersion)
	s.kms(query, "kmsKeyName")
	return s.publish(ctx, request{
		method: http.MethodPost, path: "/upload" + s.objectPath(""), query: query,
		header:  http.Header{"Content-Type": {"multipart/related; boundary=" + boundary}},
		content: bucket.NewBody(0, parts...),
	})
}

// publish sends a request whose answer is an object, and returns that one's version.
func (s *store) publish(ctx context.Context, r request) (string, error) {
	var made resource
	if _, err := s.wire.ask(ctx, r, &made); err != nil {
		return "", err
	}
	return made.Generation, versioned(made.Generation)
}

// Delete implements bucket.Store.
func (s *store) Delete(ctx context.Context, name, version string) error {
	query := url.Values{}
	conditions(query, false, version)
	_, err := s.wire.ask(ctx, request{method: http.MethodDelete, path: s.objectPath(name), query: query}, nil)
	return err
}

// Move implements bucket.Store: https://cloud.google.com/storage/docs/json_api/v1/objects/move
// Not everybody who may copy and delete may do that (storage.objects.move), and a configured class or
// key is given by copying only.
func (s *store) Move(ctx context.Context, c *bucket.Copying) (string, error) {
	if s.StorageClass != "" && s.StorageClass != c.From.Class {
		return "", bucket.Fault(backends.Unsupported, nil)
	}
	query := url.Values{"ifSourceGenerationMatch": {c.From.Version}, "fields": {"generation"}}
	conditions(query, c.IfAbsent, "")
	version, err := s.publish(ctx, request{
		method: http.MethodPost, path: s.objectPath(c.From.Name) + "/moveTo/o/" + escape(c.To), query: query,
	})
	switch status(err) {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return "", bucket.Fault(backends.Unsupported, err)
	}
	return version, err
}

// Copy implements bucket.Store. A large object that changes its class or its key is copied by several
// requests: https://cloud.google.com/storage/docs/json_api/v1/objects/rewrite
func (s *store) Copy(ctx context.Context, c *bucket.Copying) (string, bool, error) {
	to := &resource{Metadata: toGoogle(c.Metadata)}
	to.describe(c.From.Description)
	if s.StorageClass != "" {
		to.StorageClass = s.StorageClass
	}
	query := url.Values{"ifSourceGenerationMatch": {c.From.Version}}
	conditions(query, c.IfAbsent, "")
	s.kms(query, "destinationKmsKeyName")
	if c.State != "" {
		query.Set("rewriteToken", c.State)
	}
	var answer struct {
		Done         bool
		RewriteToken string
		Resource     resource
	}
	_, err := s.wire.ask(ctx, request{
		method: http.MethodPost, query: query, json: to,
		path: s.objectPath(c.From.Name) + "/rewriteTo/b/" + url.PathEscape(s.Bucket) + "/o/" + escape(c.To),
	}, &answer)
	switch {
	case err != nil:
		return "", false, err
	case !answer.Done && answer.RewriteToken == "":
		return "", false, bucket.ErrNoVersion // neither done nor begun: it did not come from the store
	case !answer.Done:
		c.State = answer.RewriteToken
		return "", false, nil
	}
	c.State = ""
	return answer.Resource.Generation, true, versioned(answer.Resource.Generation)
}

// SetMetadata implements bucket.Store. The version stays what it is.
func (s *store) SetMetadata(ctx context.Context, of *bucket.Info, metadata map[string]string) error {
	query := url.Values{"fields": {"generation"}}
	conditions(query, false, of.Version)
	change := &resource{Metadata: toGoogle(metadata)}
	_, err := s.wire.ask(ctx, request{method: http.MethodPatch, path: s.objectPath(of.Name), query: query, json: change}, nil)
	return err
}

// Compose implements bucket.Store: https://cloud.google.com/storage/docs/json_api/v1/objects/compose
func (s *store) Compose(ctx context.Context, o *bucket.NewObject, pieces ...*bucket.Info) (string, error) {
	type condition struct {
		IfGenerationMatch string `json:"ifGenerationMatch"`
	}
	type source struct {
		Name                string    `json:"name"`
		Generation          string    `json:"generation"`
		ObjectPreconditions condition `json:"objectPreconditions"`
	}
	body := struct {
		SourceObjects []source  `json:"sourceObjects"`
		Destination   *resource `json:"destination"`
	}{Destination: s.resource(o)}
	for _, p := range pieces {
		body.SourceObjects = append(body.SourceObjects, source{p.Name, p.Version, condition{p.Version}})
	}
	query := url.Values{"fields": {"generation"}}
	conditions(query, o.IfAbsent, o.IfVersion)
	s.kms(query, "kmsKeyName")
	return s.publish(ctx, request{method: http.MethodPost, path: s.objectPath(o.Name) + "/compose", query: query, json: body})
}

// TagsOf implements bucket.Store: objects have none.
func (s *store) TagsOf(context.Context, string) (string, error) { return "", nil }

// CopyPiece implements bucket.Store: sessions take no pieces of other objects.
func (s *store) CopyPiece(context.Context, *bucket.Copying, string, int32, bucket.Span) (bucket.Piece, error) {
	return bucket.Piece{}, bucket.Fault(backends.Unsupported, nil)
}

// AbortStrays implements bucket.Store: nobody can find a session whose name was not heard, and the
// store forgets it after a week.
func (s *store) AbortStrays(context.Context, *bucket.Record, time.Time) error { return nil }
