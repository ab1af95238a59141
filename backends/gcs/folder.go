package gcs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
)

// Folders of a bucket with a hierarchical namespace:
// https://cloud.google.com/storage/docs/json_api/v1/folders

var _ bucket.Hierarchy = (*store)(nil)

// operationPause is how long is waited before it is asked again whether a renaming has ended. It
// mostly has after one.
const operationPause = 200 * time.Millisecond

// folderPath is where a folder is in the JSON API; "" is where all are.
func (s *store) folderPath(name string) string {
	p := "/storage/v1/b/" + url.PathEscape(s.Bucket) + "/folders"
	if name != "" {
		p += "/" + escape(name)
	}
	return p
}

// Folder implements bucket.Hierarchy.
func (s *store) Folder(ctx context.Context, name string) (time.Time, error) {
	var found struct{ UpdateTime time.Time }
	_, err := s.wire.ask(ctx, request{
		method: http.MethodGet, path: s.folderPath(name), query: url.Values{"fields": {"updateTime"}},
	}, &found)
	return found.UpdateTime, err
}

// MakeFolder implements bucket.Hierarchy.
func (s *store) MakeFolder(ctx context.Context, name string) error {
	_, err := s.wire.ask(ctx, request{
		method: http.MethodPost, path: s.folderPath(""), query: url.Values{"recursive": {"true"}},
		json: map[string]string{"name": name},
	}, nil)
	if status(err) == http.StatusConflict {
		return bucket.Fault(backends.Exist, err)
	}
	return err
}

// RemoveFolder implements bucket.Hierarchy.
func (s *store) RemoveFolder(ctx context.Context, name string) error {
	_, err := s.wire.ask(ctx, request{method: http.MethodDelete, path: s.folderPath(name)}, nil)
	if s := status(err); s == http.StatusConflict || s == http.StatusPreconditionFailed {
		return bucket.Fault(backends.NotEmpty, err)
	}
	return err
}

// operation is what the store does after it has answered.
type operation struct {
	Name  string
	Done  bool
	Error struct {
		Code    int
		Message string
	}
}

// MoveFolder implements bucket.Hierarchy.
func (s *store) MoveFolder(ctx context.Context, from, to string, again bool) error {
	if again {
		if done, err := s.moved(ctx, from, to); done || err != nil {
			return err
		}
	}
	var op operation
	_, err := s.wire.ask(ctx, request{
		method: http.MethodPost, path: s.folderPath(from) + "/renameTo/folders/" + escape(to),
	}, &op)
	if code := status(err); code == http.StatusConflict || code == http.StatusPreconditionFailed {
		// There is such a folder, or it or what it will be is being renamed. What Google says of that is for people.
		if _, other := s.Folder(ctx, to); status(other) != http.StatusNotFound {
			return cmp.Or[error](other, bucket.Fault(backends.Exist, err))
		}
		return fmt.Errorf("%w: %w", errRenaming, err)
	}
	for err == nil && !op.Done {
		if err = bucket.Pause(ctx, operationPause); err == nil {
			_, err = s.wire.ask(ctx, request{
				method: http.MethodGet, path: "/storage/v1/b/" + url.PathEscape(s.Bucket) + "/operations/" + escape(path.Base(op.Name)),
			}, &op)
		}
	}
	if err == nil && op.Error.Code != 0 {
		kind := kindsOfOperations[op.Error.Code]
		err = fmt.Errorf("%w: %d %s", errOperation, op.Error.Code, op.Error.Message)
		if kind != backends.Unavailable {
			err = bucket.Fault(kind, err)
		}
	}
	return err
}

// kindsOfOperations are for the codes of operations that failed:
// https://cloud.google.com/apis/design/errors#handling_errors
var kindsOfOperations = map[int]backends.Kind{
	4: backends.Unavailable, 8: backends.Unavailable, 10: backends.Unavailable, 13: backends.Unavailable, 14: backends.Unavailable,
	5: backends.NotExist, 6: backends.Exist, 7: backends.Permission, 9: backends.Conflict, 16: backends.Misconfigured,
}

var (
	errOperation = errors.New("the store did not rename the folder")
	errRenaming  = errors.New("a folder is being renamed, by others or by an attempt before")
)

// moved says whether an attempt before has succeeded.
func (s *store) moved(ctx context.Context, from, to string) (bool, error) {
	_, err := s.Folder(ctx, from)
	if status(err) != http.StatusNotFound {
		return false, err
	}
	_, err = s.Folder(ctx, to)
	return err == nil, err
}

// folders returns the names of those that begin with prefix.
func (s *store) folders(ctx context.Context, prefix string) ([]string, error) {
	var names []string
	for token := ""; ; {
		var page struct {
			NextPageToken string
			Items         []struct{ Name string }
		}
		query := url.Values{"prefix": {prefix}, "fields": {"nextPageToken,items(name)"}}
		if token != "" {
			query.Set("pageToken", token)
		}
		if _, err := s.wire.ask(ctx, request{method: http.MethodGet, path: s.folderPath(""), query: query}, &page); err != nil {
			return nil, err
		}
		for _, f := range page.Items {
			names = append(names, f.Name)
		}
		if token = page.NextPageToken; token == "" {
			return names, nil
		}
	}
}
