package gcsfake

import (
	"cmp"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"

	"github.com/sluice-ftp/sluice/backends/storefake"
)

// failure is an error as Google answers it.
type failure struct {
	status   int
	reason   string
	message  string
	location string // the header or parameter that is at fault
	code     string // its name in the XML API; "" is what goes with the status
	header   http.Header
}

func (f *failure) Error() string { return f.reason + ": " + f.message }

// statuses has every reason this package answers or a test is likely to inject.
var statuses = map[string]int{
	"authError":                    401,
	"backendError":                 503,
	"badRequest":                   400,
	"clientClosedRequest":          499,
	"conditionNotMet":              412,
	"conflict":                     409,
	"countryBlocked":               403,
	"dailyLimitExceeded":           403,
	"forbidden":                    403,
	"gone":                         410,
	"insufficientPermissions":      403,
	"internalError":                500,
	"invalid":                      400,
	"invalidParameter":             400,
	"lengthRequired":               411,
	"methodNotAllowed":             405,
	"notFound":                     404,
	"notImplemented":               501,
	"notModified":                  304,
	"parseError":                   400,
	"quotaExceeded":                403,
	"rateLimitExceeded":            429,
	"requestTimeout":               408,
	"requestedRangeNotSatisfiable": 416,
	"required":                     400,
	"sslRequired":                  403,
	"uploadBrokenConnection":       503,
	"uploadTooLarge":               413,
	"userProjectMissing":           400,
	"userRateLimitExceeded":        429,
}

// reasons is what Google says most often with a status; for a Fault that has only the status.
var reasons = map[int]string{
	304: "notModified",
	400: "invalid",
	401: "authError",
	403: "forbidden",
	404: "notFound",
	405: "methodNotAllowed",
	408: "requestTimeout",
	409: "conflict",
	410: "gone",
	411: "lengthRequired",
	412: "conditionNotMet",
	413: "uploadTooLarge",
	416: "requestedRangeNotSatisfiable",
	429: "rateLimitExceeded",
	499: "clientClosedRequest",
	500: "internalError",
	501: "notImplemented",
	503: "backendError",
}

// codes are the names of errors in the XML API.
var codes = map[int]string{
	400: "InvalidArgument",
	401: "AuthenticationRequired",
	403: "AccessDenied",
	404: "NoSuchKey",
	412: "PreconditionFailed",
	416: "InvalidRange",
	429: "SlowDown",
	500: "InternalError",
	501: "NotImplemented",
	503: "ServiceUnavailable",
}

func refuse(reason, format string, args ...any) *failure {
	return &failure{status: statuses[reason], reason: reason, message: fmt.Sprintf(format, args...)}
}

// at says which header or parameter is at fault.
func (f *failure) at(location string) *failure {
	f.location = location
	return f
}

func invalid(format string, args ...any) *failure { return refuse("invalid", format, args...) }

func notImplemented(what string) *failure {
	return refuse("notImplemented", "gcsfake does not know %s", what)
}

func (c *call) noSuchObject(key string) *failure {
	return refuse("notFound", "No such object: %s/%s", c.s.o.Bucket, key)
}

// injected is the failure that a Fault asks for.
func injected(status int, reason string) *failure {
	status, reason = storefake.Injected(status, reason, reasons, statuses)
	return &failure{status: status, reason: reason, message: "injected by the test"}
}

// json is the body of the error in the JSON API.
func (f *failure) json() []byte {
	detail := map[string]string{"domain": "global", "reason": f.reason, "message": f.message}
	if f.location != "" {
		detail["location"], detail["locationType"] = f.location, "parameter"
		if http.CanonicalHeaderKey(f.location) == f.location {
			detail["locationType"] = "header"
		}
	}
	b, _ := json.Marshal(map[string]any{"error": map[string]any{
		"code": f.status, "message": f.message, "errors": []any{detail},
	}})
	return b
}

// xml is the body of the error in the XML API.
func (f *failure) xml() []byte {
	code := cmp.Or(f.code, codes[f.status], strings.ReplaceAll(http.StatusText(f.status), " ", ""))
	b, _ := xml.Marshal(struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
		Message string
	}{Code: code, Message: f.message})
	return append([]byte(xml.Header), b...)
}
