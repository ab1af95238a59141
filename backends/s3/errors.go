package s3

import (
	"context"
	"errors"
	"net"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
)

var errCredentials = errors.New("no credentials")

// noSuchUpload is the code for an upload in parts that was completed or aborted, or never was.
const noSuchUpload = "NoSuchUpload"

// Failure implements bucket.Store.
func (s *store) Failure(err error) bucket.Failure { return failure(err) }

func failure(err error) bucket.Failure {
	kind, temporary := classify(err)
	f := bucket.Failure{
		Kind: kind, Temporary: temporary, Retry: retryable(err), Unsure: unsure(err), Gone: code(err) == noSuchUpload,
	}
	var re *awshttp.ResponseError
	if errors.As(err, &re) {
		f.RequestID = re.ServiceRequestID()
	}
	return f
}

// kindsOfCodes are the codes of S3's errors that mean something to a client or an operator.
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
var kindsOfCodes = map[string]backends.Kind{
	"NoSuchKey": backends.NotExist, "NotFound": backends.NotExist, "NoSuchVersion": backends.NotExist,

	"NoSuchBucket": backends.Misconfigured, "InvalidBucketName": backends.Misconfigured,
	"AllAccessDisabled": backends.Misconfigured, "AccountProblem": backends.Misconfigured,
	"InvalidAccessKeyId": backends.Misconfigured, "SignatureDoesNotMatch": backends.Misconfigured,
	"ExpiredToken": backends.Misconfigured, "InvalidToken": backends.Misconfigured,
	"RequestTimeTooSkewed": backends.Misconfigured, "AuthorizationHeaderMalformed": backends.Misconfigured,
	"PermanentRedirect": backends.Misconfigured, "MovedPermanently": backends.Misconfigured,
	"IllegalLocationConstraintException": backends.Misconfigured, "NotSignedUp": backends.Misconfigured,
	"BadRequest":          backends.Misconfigured, // what HEAD says of an expired token or a wrong region
	"InvalidStorageClass": backends.Misconfigured, "KMS.NotFoundException": backends.Misconfigured,
	"KMS.DisabledException": backends.Misconfigured, "AccessControlListNotSupported": backends.Misconfigured,

	"AccessDenied": backends.Permission, "Forbidden": backends.Permission, "InvalidPayer": backends.Permission,
	"MethodNotAllowed": backends.Permission,

	"PreconditionFailed": backends.Conflict, "ConditionalRequestConflict": backends.Conflict,
	"OperationAborted": backends.Conflict, "NoSuchUpload": backends.Conflict,

	"KeyTooLongError": backends.InvalidName, "InvalidURI": backends.InvalidName,
	"EntityTooLarge": backends.TooLarge, "QuotaExceeded": backends.TooLarge,
	"NoSpaceLeft": backends.NoSpace, "InsufficientStorage": backends.NoSpace, "XMinioStorageFull": backends.NoSpace,

	"InvalidRange":       backends.BadOffset,
	"InvalidObjectState": backends.Archived,

	"BadDigest": backends.Corrupt, "InvalidDigest": backends.Corrupt, "InvalidPart": backends.Corrupt,
	"XAmzContentChecksumMismatch": backends.Corrupt, "XAmzContentSHA256Mismatch": backends.Corrupt,
	"IncompleteBody": backends.Unavailable,

	"NotImplemented": backends.Unsupported,

	"SlowDown": backends.Unavailable, "ServiceUnavailable": backends.Unavailable, "Throttling": backends.Unavailable,
	"InternalError": backends.Unavailable, "RequestTimeout": backends.Unavailable, "TooManyRequests": backends.Unavailable,
	"RequestLimitExceeded": backends.Unavailable,

	// versitygw's, whose folders are folders
	"ObjectParentIsFile": backends.NotDir, "ExistingObjectIsDirectory": backends.IsDir,
}

// kindsOfStatus are for answers without a body, as those to HEAD.
var kindsOfStatus = map[int]backends.Kind{
	http.StatusMovedPermanently: backends.Misconfigured, http.StatusTemporaryRedirect: backends.Misconfigured,
	http.StatusUnauthorized: backends.Misconfigured,
	http.StatusForbidden:    backends.Permission, http.StatusNotFound: backends.NotExist,
	http.StatusMethodNotAllowed: backends.Permission, http.StatusConflict: backends.Conflict,
	http.StatusPreconditionFailed: backends.Conflict, http.StatusRequestEntityTooLarge: backends.TooLarge,
	http.StatusRequestedRangeNotSatisfiable: backends.BadOffset, http.StatusNotImplemented: backends.Unsupported,
	http.StatusInsufficientStorage: backends.NoSpace, http.StatusTooManyRequests: backends.Unavailable,
}

// code returns the code of the store's error, and "" for one that is not the store's.
func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}

// classify finds the kind of an error of the SDK, and whether the same call may succeed later.
func classify(err error) (kind backends.Kind, temporary bool) {
	if errors.Is(err, errCredentials) {
		return backends.Misconfigured, false // whatever refused them
	}
	if kind, known := kindsOfCodes[code(err)]; known {
		return kind, kind == backends.Unavailable || kind == backends.NoSpace
	}
	switch {
	case bucket.IsTrust(err):
		return backends.Misconfigured, false
	case errors.Is(err, context.Canceled):
		return backends.Internal, false
	}
	var re *awshttp.ResponseError
	if errors.As(err, &re) {
		status := re.HTTPStatusCode()
		kind, known := kindsOfStatus[status]
		switch {
		case answered(status) && known:
			return kind, kind == backends.Unavailable
		case answered(status) && status < http.StatusInternalServerError:
			return backends.Internal, false
		}
		return backends.Unavailable, true
	}
	// What is left never reached the store, or its answer never came.
	return backends.Unavailable, true
}

// retryable: the same request may be sent again at once.
func retryable(err error) bool {
	switch code(err) {
	case "ConditionalRequestConflict", "OperationAborted", "RequestTimeTooSkewed":
		return true // the SDK corrects its clock by the answer
	}
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return false
	}
	kind, _ := classify(err)
	return kind == backends.Unavailable
}

// unsure: the request may have taken effect though its answer says nothing, or says no because it had.
func unsure(err error) bool {
	var re *awshttp.ResponseError
	if !errors.As(err, &re) {
		return !bucket.IsTrust(err) && !errors.Is(err, errCredentials)
	}
	status := re.HTTPStatusCode()
	return status >= http.StatusInternalServerError || !answered(status)
}

// answered: the store said what is wrong. 0 is no answer, and 200 one that broke off or made no sense.
func answered(status int) bool { return status >= http.StatusMultipleChoices }

// isMissing: there is no such key. Another kind of 404 is not meant.
func isMissing(err error) bool {
	kind, _ := classify(err)
	return err != nil && kind == backends.NotExist
}
