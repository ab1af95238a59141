package s3fake

import "net/http"

// unknownOp is the name of what S3 may know and this package does not.
const unknownOp = "Unknown"

var operations = map[string]func(*call) (*reply, error){
	"AbortMultipartUpload":            (*call).abortMultipartUpload,
	"CompleteMultipartUpload":         (*call).completeMultipartUpload,
	"CopyObject":                      (*call).copyObject,
	"CreateMultipartUpload":           (*call).createMultipartUpload,
	"DeleteObject":                    (*call).deleteObject,
	"DeleteObjects":                   (*call).deleteObjects,
	"GetBucketLifecycleConfiguration": (*call).getLifecycle,
	"GetBucketLocation":               (*call).getBucketLocation,
	"GetObject":                       (*call).getObject,
	"GetObjectTagging":                (*call).getObjectTagging,
	"HeadBucket":                      (*call).headBucket,
	"HeadObject":                      (*call).getObject,
	"ListMultipartUploads":            (*call).listMultipartUploads,
	"ListObjectsV2":                   (*call).listObjectsV2,
	"ListParts":                       (*call).listParts,
	"PutObject":                       (*call).putObject,
	"PutObjectTagging":                (*call).putObjectTagging,
	"UploadPart":                      (*call).uploadPart,
	"UploadPartCopy":                  (*call).uploadPartCopy,
}

// resources are the parameters that make a request mean something else and that nothing here
// implements. A parameter that S3 does not know either changes nothing.
var resources = []string{
	"accelerate", "acl", "analytics", "attributes", "cors", "encryption", "intelligent-tiering",
	"inventory", "legal-hold", "logging", "metrics", "notification", "object-lock", "ownershipControls",
	"policy", "policyStatus", "publicAccessBlock", "renameObject", "replication", "requestPayment",
	"response-cache-control", "response-content-disposition", "response-content-encoding",
	"response-content-language", "response-content-type", "response-expires", "restore", "retention",
	"select", "session", "torrent", "versionId", "versioning", "versions", "website",
}

// operation names what the request asks for.
func (c *call) operation() string {
	for _, name := range resources {
		if c.Query.Has(name) {
			return unknownOp
		}
	}
	switch {
	case c.bucket == "":
		return unknownOp
	case c.Key == "":
		return c.bucketOperation()
	}
	return c.objectOperation()
}

func (c *call) bucketOperation() string {
	q := c.Query
	switch c.R.Method {
	case http.MethodHead:
		return "HeadBucket"
	case http.MethodPost:
		if q.Has("delete") {
			return "DeleteObjects"
		}
	case http.MethodGet:
		switch {
		case q.Has("location"):
			return "GetBucketLocation"
		case q.Has("lifecycle"):
			return "GetBucketLifecycleConfiguration"
		case q.Has("uploads"):
			return "ListMultipartUploads"
		case q.Get("list-type") == "2":
			return "ListObjectsV2"
		}
	}
	return unknownOp
}

func (c *call) objectOperation() string {
	q, copied := c.Query, len(c.Header.Values("X-Amz-Copy-Source")) > 0
	var names map[string]string // by method
	switch {
	case q.Has("uploadId") && copied:
		names = map[string]string{http.MethodPut: "UploadPartCopy"}
	case q.Has("uploadId"):
		names = map[string]string{
			http.MethodPut:    "UploadPart",
			http.MethodGet:    "ListParts",
			http.MethodPost:   "CompleteMultipartUpload",
			http.MethodDelete: "AbortMultipartUpload",
		}
	case q.Has("uploads"):
		names = map[string]string{http.MethodPost: "CreateMultipartUpload"}
	case q.Has("tagging"):
		names = map[string]string{http.MethodGet: "GetObjectTagging", http.MethodPut: "PutObjectTagging"}
	case copied:
		names = map[string]string{http.MethodPut: "CopyObject"}
	default:
		names = map[string]string{
			http.MethodGet:    "GetObject",
			http.MethodHead:   "HeadObject",
			http.MethodPut:    "PutObject",
			http.MethodDelete: "DeleteObject",
		}
	}
	if name, ok := names[c.R.Method]; ok {
		return name
	}
	return unknownOp
}

// unknown refuses what has no name: 405 where S3 knows no such method, 501 where it may do more
// than this package.
func (c *call) unknown() error {
	switch c.R.Method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete:
		return notImplemented(c.R.Method + " " + c.R.URL.RawQuery)
	}
	return refuse("MethodNotAllowed", "The specified method is not allowed against this resource.").
		with("Method", c.R.Method)
}
