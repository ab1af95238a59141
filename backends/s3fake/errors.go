package s3fake

import (
	"fmt"
	"net/http"

	"github.com/sluice-ftp/sluice/backends/storefake"
)

// failure is an error as S3 answers it.
type failure struct {
	status  int
	code    string
	message string
	extra   [][2]string // further elements of the document
	header  http.Header
}

func (f *failure) Error() string { return f.code + ": " + f.message }

// statuses has every code this package answers or a test is likely to inject.
var statuses = map[string]int{
	"AccessDenied":                 403,
	"AuthorizationHeaderMalformed": 400,
	"BadDigest":                    400,
	"ConditionalRequestConflict":   409,
	"EntityTooLarge":               400,
	"EntityTooSmall":               400,
	"ExistingObjectIsDirectory":    409,
	"ExpiredToken":                 400,
	"IncompleteBody":               400,
	"InternalError":                500,
	"InvalidAccessKeyId":           403,
	"InvalidArgument":              400,
	"InvalidDigest":                400,
	"InvalidObjectState":           403,
	"InvalidPart":                  400,
	"InvalidPartOrder":             400,
	"InvalidRange":                 416,
	"InvalidRequest":               400,
	"InvalidStorageClass":          400,
	"InvalidTag":                   400,
	"InvalidURI":                   400,
	"KeyTooLongError":              400,
	"MalformedXML":                 400,
	"MetadataTooLarge":             400,
	"MethodNotAllowed":             405,
	"MissingContentLength":         411,
	"NoSuchBucket":                 404,
	"NoSuchKey":                    404,
	"NoSuchLifecycleConfiguration": 404,
	"NoSuchUpload":                 404,
	"NotImplemented":               501,
	"NotModified":                  304,
	"ObjectParentIsFile":           409,
	"OperationAborted":             409,
	"PermanentRedirect":            301,
	"PreconditionFailed":           412,
	"RequestTimeTooSkewed":         403,
	"RequestTimeout":               400,
	"ServiceUnavailable":           503,
	"SignatureDoesNotMatch":        403,
	"SlowDown":                     503,
	"XAmzContentSHA256Mismatch":    400,
}

// codes is what S3 says most often with a status; for a Fault that has only the status.
var codes = map[int]string{
	301: "PermanentRedirect",
	400: "InvalidRequest",
	403: "AccessDenied",
	404: "NoSuchKey",
	405: "MethodNotAllowed",
	409: "ConditionalRequestConflict",
	411: "MissingContentLength",
	412: "PreconditionFailed",
	416: "InvalidRange",
	500: "InternalError",
	501: "NotImplemented",
	503: "SlowDown",
}

func refuse(code, format string, args ...any) *failure {
	return &failure{status: statuses[code], code: code, message: fmt.Sprintf(format, args...)}
}

// with adds an element to the document.
func (f *failure) with(name, value string) *failure {
	f.extra = append(f.extra, [2]string{name, value})
	return f
}

// injected is the failure that a Fault asks for.
func injected(status int, code string) *failure {
	status, code = storefake.Injected(status, code, codes, statuses)
	return &failure{status: status, code: code, message: "injected by the test"}
}

func noSuchKey() *failure { return refuse("NoSuchKey", "The specified key does not exist.") }

func noSuchUpload(id string) *failure {
	return refuse("NoSuchUpload", "The specified multipart upload does not exist. The upload ID may be "+
		"invalid, or the upload may have been aborted or completed.").with("UploadId", id)
}

func preconditionFailed(condition string) *failure {
	return refuse("PreconditionFailed", "At least one of the pre-conditions you specified did not hold").
		with("Condition", condition)
}

func notImplemented(what string) *failure {
	return refuse("NotImplemented", "A header or parameter you provided implies functionality that is "+
		"not implemented").with("Header", what)
}

func malformedXML() *failure {
	return refuse("MalformedXML", "The XML you provided was not well-formed or did not validate against "+
		"our published schema")
}
