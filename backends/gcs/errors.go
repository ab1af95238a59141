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
	"regexp"
	"strconv"
	"strings"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/compute/metadata"

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
// The id of a request to a session is that of the session, which is a credential.
func refusal(resp *http.Response, session bool) error {
	r := &refused{status: resp.StatusCode}
	if !session {
		r.id = resp.Header.Get("X-Guploader-Uploadid")
	}
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
	errOther  = errors.New("another process has completed the upload, with something else")
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
	case errors.Is(err, errRenaming), errors.Is(err, errOperation):
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
	// 409 is two at once, or a folder that is being renamed: https://cloud.google.com/storage/docs/retry-strategy
	f.Retry = f.Temporary || r.status == http.StatusConflict
	f.Unsure = r.status >= http.StatusInternalServerError || r.status < http.StatusMultipleChoices ||
		r.status == http.StatusRequestTimeout
	return f
}

// credentialsFailure: who gives out tokens may be out of reach for a moment, or has refused for good.
func credentialsFailure(err error) bucket.Failure {
	var way *url.Error
	switch code := tokenStatus(err); {
	case code >= http.StatusInternalServerError, code == http.StatusTooManyRequests,
		code == 0 && errors.As(err, &way), errors.Is(err, context.DeadlineExceeded):
		return bucket.Failure{Kind: backends.Unavailable, Temporary: true, Retry: true}
	}
	return bucket.Failure{Kind: backends.Misconfigured}
}

// statusInText is how parts of Google's library say what they were answered.
var statusInText = regexp.MustCompile(`\bstatus code:? (\d{3})\b`)

// tokenStatus is what who gives out tokens has answered, 0 if nothing.
func tokenStatus(err error) int {
	var answered *auth.Error
	var instance *metadata.Error
	switch {
	case errors.As(err, &answered) && answered.Response != nil:
		return answered.Response.StatusCode
	case errors.As(err, &instance):
		return instance.Code
	}
	if m := statusInText.FindStringSubmatch(err.Error()); m != nil {
		code, _ := strconv.Atoi(m[1]) // three digits
		return code
	}
	return 0
}

func (r *refused) kind() backends.Kind {
	if kind, known := kindsOfReasons[r.reason]; known {
		return kind
	}
	kind, known := kindsOfStatus[r.status]
	switch {
	case r.status == http.StatusNotFound && r.message == "The specified bucket does not exist.":
		return backends.Misconfigured
	case r.status == http.StatusBadRequest && r.isChecksum():
		return backends.Corrupt
	case r.status == http.StatusBadRequest && r.mentionsPayer():
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
	return strings.HasPrefix(strings.ToLower(r.reason), "userproject") || strings.HasPrefix(r.message, "Bucket is a requester pays bucket")
}

// isChecksum: the content is not what its checksum says. Only the beginning of what Google says is its own:
// names of partners may follow.
func (r *refused) isChecksum() bool {
	return strings.HasPrefix(r.message, "Provided CRC32C") || strings.HasPrefix(r.message, "Provided MD5")
}

// status is that of the store's answer, 0 if there was none.
func status(err error) int {
	var r *refused
	if errors.As(err, &r) {
		return r.status
	}
	return 0
}
