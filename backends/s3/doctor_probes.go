package s3

// probes are all of them, in order: who can reach the bucket, what the credentials may do, what the
// server can do. Nothing is written before it is known that it can be removed.
var probes = []probe{
	{"credentials", nil, (*doctor).credentials},
	{"endpoint", []string{"credentials"}, (*doctor).endpoint},
	{"clock", []string{"endpoint"}, (*doctor).clock},
	{"region", []string{"endpoint"}, (*doctor).region},
	{"access", []string{"region"}, (*doctor).access},

	{"list", []string{"access"}, (*doctor).list},
	{"missing key", []string{"access"}, (*doctor).missingKey},
	{"put", []string{"access"}, (*doctor).putObject},
	{"delete", []string{"put"}, (*doctor).deleteObject},
	{"get", []string{"put"}, (*doctor).getObject},
	{"get a range", []string{"get"}, (*doctor).getRange},
	{"copy", []string{"get", "delete"}, (*doctor).copyObject},
	{"begin an upload", []string{"put", "delete"}, (*doctor).beginUpload},
	{"list parts", []string{"begin an upload"}, (*doctor).listParts},
	{"list uploads", []string{"begin an upload"}, (*doctor).listUploads},
	{"abort an upload", []string{"begin an upload"}, (*doctor).abortUpload},

	{"put if absent", []string{"get", "delete"}, (*doctor).putIfAbsent},
	{"put if unchanged", []string{"get", "delete"}, (*doctor).putIfUnchanged},
	{"copy if absent", []string{"copy"}, (*doctor).copyIfAbsent},
	{"complete if absent", []string{"abort an upload"}, (*doctor).completeIfAbsent},
	{"complete if unchanged", []string{"abort an upload"}, (*doctor).completeIfUnchanged},
	{"delete if unchanged", []string{"get", "delete"}, (*doctor).deleteIfUnchanged},

	{"checksum of an object", []string{"get", "delete"}, (*doctor).checksumOfObject},
	{"checksum of a part", []string{"abort an upload"}, (*doctor).checksumOfPart},
	{"checksum of a whole", []string{"abort an upload"}, (*doctor).checksumOfWhole},

	{"parts of any size", []string{"get", "abort an upload"}, (*doctor).partsOfAnySize},
	{"part 10,000", []string{"abort an upload"}, (*doctor).lastPart},
	{"copy in parts", []string{"copy", "parts of any size"}, (*doctor).copyInParts},
	{"complete twice", []string{"abort an upload"}, (*doctor).completeTwice},
	{"complete after abort", []string{"abort an upload"}, (*doctor).completeAfterAbort},
	{"size at complete", []string{"abort an upload"}, (*doctor).sizeAtComplete},
	{"resume", []string{"put if absent", "put if unchanged"}, (*doctor).resume},

	{"names", []string{"list", "delete"}, (*doctor).names},
	{"folder beside file", []string{"list", "delete"}, (*doctor).folderBesideFile},
	{"lifecycle rule", []string{"access"}, (*doctor).lifecycleRule},
}
