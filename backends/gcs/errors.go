package gcs

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"cloud.google.com/go/auth"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
)

// refused is an error that the store answered.
type refused struct {
	status          int
	reason, message string // the code, in answers of the XML API
	id              string // of the request
}

// Error says what the store did.
func (r *refused) Error() string {
	s := fmt.Sprintf("%d %s", r.status, r.reason)
	if r.message != "" {
		s += ": " + r.message
	}
	return s
}

// refusal makes an error of an answer: https://cloud.google.com/storage/docs/json_api/v1/status-codes
func refusal(resp *http.Response) error {
	r := &refused{status: resp.StatusCode, id: resp.Header.Get("X-Guploader-Uploadid")}
	content, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorDocument)) // what came of it is enough
	_ = resp.Body.Close()
	var document struct {
		Error struct {
			Message string
			Errors  []struct{ Reason string }
		}
	}
	var other struct{ Code, Message string }
	switch {
	case json.Unmarshal(content, &document) == nil && document.Error.Message != "":
		r.message = document.Error.Message
		if len(document.Error.Errors) > 0 {
			r.reason = document.Error.Errors[0].Reason
		}
	case xml.Unmarshal(content, &other) == nil && other.Code != "":
		r.reason, r.message = other.Code, other.Message
	}
	if r.reason == "" {
		r.reason = http.StatusText(resp.StatusCode)
	}
	return r
}

// kindsOfReasons are the reasons of the JSON API, and the codes of the XML API, that tell more than
// the status.
var kindsOfReasons = map[string]backends.Kind{
	"rateLimitExceeded": backends.Unavailable, "userRateLimitExceeded": backends.Unavailable,
	"backendError": backends.Unavailable, "internalError": backends.Unavailable,
	"uploadBrokenConnection": backends.Unavailable, "SlowDown": backends.Unavailable,

	"quotaExceeded": backends.TooLarge,

	"accountDisabled": backends.Misconfigured, "accessNotConfigured": backends.Misconfigured,
	"sslRequired": backends.Misconfigured, "UserProjectMissing": backends.Misconfigured,
	"userProjectMissing": backends.Misconfigured, "UserProjectAccountProblem": backends.Misconfigured,
	"userProjectAccountProblem": backends.Misconfigured, "NoSuchBucket": backends.Misconfigured,
	"AccountProblem": backends.Misconfigured, "InvalidSecurity": backends.Misconfigured,

	"NoSuchKey": backends.NotExist,
}

var kindsOfStatus = map[int]backends.Kind{
	http.StatusUnauthorized: backends.Misconfigured,
	http.StatusForbidden:    backends.Permission, http.StatusNotFound: backends.NotExist,
	http.StatusMethodNotAllowed: backends.Permission, http.StatusRequestTimeout: backends.Unavailable,
	http.StatusConflict: backends.Conflict, http.StatusGone: backends.Conflict,
	http.StatusPreconditionFailed: backends.Conflict, http.StatusNotModified: backends.Conflict,
	http.StatusRequestEntityTooLarge:        backends.TooLarge,
	http.StatusRequestedRangeNotSatisfiable: backends.BadOffset,
	http.StatusTooManyRequests:              backends.Unavailable,
	http.StatusNotImplemented:               backends.Unsupported,
	statusCancelled:                         backends.Conflict,
}

// statusCancelled is the answer about a session that was cancelled, and to the request that does it.
const statusCancelled = 499

var (
	errForgot = errors.New("the store has lost some of an upload")
	errStuck  = errors.New("the store takes nothing of an upload")
	errMore   = errors.New("the store has more of an upload than was sent")
	// errGone is a session that is not there any more: it was cancelled, or is older than a week.
	errGone = errors.New("the upload is not there any more")
)

// gone marks an answer that says that a session is.
func gone(err error) error {
	switch status(err) {
	case http.StatusNotFound, http.StatusGone, statusCancelled:
		return fmt.Errorf("%w: %w", errGone, err)
	}
	return err
}

// errFinished is an upload that was completed, where one was to be gone on with.
var errFinished = errors.New("the upload was completed")

// Failure implements bucket.Store.
func (s *store) Failure(err error) bucket.Failure { return failure(err) }

func failure(err error) bucket.Failure {
	switch {
	case errors.Is(err, errCredentials):
		return credentialsFailure(err)
	case errors.Is(err, errFinished), errors.Is(err, errGone), errors.Is(err, errSeal):
		return bucket.Failure{Kind: backends.Conflict, Gone: true}
	case errors.Is(err, errRenaming):
		return bucket.Failure{Kind: backends.Unavailable, Temporary: true, Retry: true}
	case errors.Is(err, errForgot):
		return bucket.Failure{Kind: backends.Corrupt}
	}
	var r *refused
	if !errors.As(err, &r) {
		return bucket.Unanswered(err)
	}
	f := bucket.Failure{Kind: r.kind(), RequestID: r.id}
	f.Temporary = f.Kind == backends.Unavailable
	f.Retry = f.Temporary
	f.Unsure = r.status >= http.StatusInternalServerError || r.status < http.StatusMultipleChoices
	return f
}

// credentialsFailure: who gives out tokens may be out of reach for a moment, or has refused for good.
func credentialsFailure(err error) bucket.Failure {
	var answered *auth.Error
	var way *url.Error
	switch {
	case errors.As(err, &answered) && answered.Response != nil:
		if s := answered.Response.StatusCode; s < http.StatusInternalServerError && s != http.StatusTooManyRequests {
			return bucket.Failure{Kind: backends.Misconfigured}
		}
	case errors.As(err, &way), errors.Is(err, context.DeadlineExceeded):
	default:
		return bucket.Failure{Kind: backends.Misconfigured}
	}
	return bucket.Failure{Kind: backends.Unavailable, Temporary: true, Retry: true}
}

func (r *refused) kind() backends.Kind {
	if kind, known := kindsOfReasons[r.reason]; known {
		return kind
	}
	kind, known := kindsOfStatus[r.status]
	switch {
	case r.status == http.StatusNotFound && strings.Contains(r.message, "bucket does not exist"):
		return backends.Misconfigured
	case r.status == http.StatusBadRequest && r.isChecksum():
		return backends.Corrupt
	case r.status == http.StatusBadRequest && (strings.Contains(r.message, "KMS") || r.mentionsPayer()):
		return backends.Misconfigured
	case known:
		return kind
	case r.status >= http.StatusInternalServerError || r.status < http.StatusMultipleChoices:
		return backends.Unavailable
	}
	return backends.Internal
}

// mentionsPayer: the requester has to pay, and did not say so.
func (r *refused) mentionsPayer() bool {
	return strings.HasPrefix(strings.ToLower(r.reason), "userproject") || strings.Contains(r.message, "requester pays")
}

// isChecksum: the content is not what its checksum says.
func (r *refused) isChecksum() bool {
	text := strings.ToLower(r.message)
	return strings.Contains(text, "crc32c") || strings.Contains(text, "hash") || strings.Contains(text, "md5")
}

// status is that of the store's answer, 0 if there was none.
func status(err error) int {
	var r *refused
	if errors.As(err, &r) {
		return r.status
	}
	return 0
}
