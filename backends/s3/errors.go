package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/sluice-ftp/sluice/backends"
)

var (
	errTooLong   = errors.New("with the prefix longer than 1,024 bytes")
	errTooMany   = errors.New("more objects in it than max_rename_objects")
	errParts     = errors.New("more parts than the store takes")
	errShort     = errors.New("the store sent less than it announced")
	errStalled   = errors.New("the store sent nothing for a while")
	errNoVersion = errors.New("the store gave no ETag")
	errNoLength  = errors.New("the store did not say how long the object is")
	errNoUpload  = errors.New("the store gave no upload id")
	errOccupied  = errors.New("another object has come to the new place of one of them, which stays at its old one")
	errIgnored   = errors.New("the store, or something before it, ignored the range that was asked for")
	errParting   = errors.New("parts of an upload go on arriving after it was aborted")

	errCredentials = errors.New("no credentials")
)

// fault is an error whose kind is known where it happens; translate adds what was being done.
func fault(kind backends.Kind, err error) *backends.Error {
	return &backends.Error{Kind: kind, Err: err}
}

// translate makes every error that leaves the package a *backends.Error. Only the error itself is
// asked whether it is one: an error that came out of a reader may have anything in its tree.
func translate(op, key string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := err.(*backends.Error); ok { //nolint:errorlint // see above
		known := *e
		known.Op, known.Key = op, key
		return &known
	}
	kind, temporary := classify(err)
	e := &backends.Error{Op: op, Key: key, Kind: kind, Temporary: temporary, Err: err}
	var re *awshttp.ResponseError
	if errors.As(err, &re) {
		e.RequestID = re.ServiceRequestID()
	}
	return e
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
	case isTrust(err):
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

// ignoreMissing makes the lack of a key no error.
func ignoreMissing(err error) error {
	if isMissing(err) {
		return nil
	}
	return err
}

// isTrust: the other side is not who it should be, or does not speak TLS.
func isTrust(err error) bool {
	var verify *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var record tls.RecordHeaderError
	return errors.As(err, &verify) || errors.As(err, &unknown) || errors.As(err, &record) ||
		errors.Is(err, http.ErrSchemeMismatch)
}

// retryable: the same request may be sent again at once. ctx is the caller's, not the attempt's.
func retryable(ctx context.Context, err error) bool {
	var known *backends.Error
	if ctx.Err() != nil || errors.As(err, &known) {
		return false
	}
	switch code(err) {
	case "ConditionalRequestConflict", "OperationAborted", "RequestTimeTooSkewed":
		return true // the SDK corrects its clock by the answer
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return true
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
		return !isTrust(err) && !errors.Is(err, errCredentials)
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
