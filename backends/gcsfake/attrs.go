package gcsfake

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// attrs is what a client may say about an object.
type attrs struct {
	meta  map[string]string
	texts map[string]string // the fields of textFields that are there
	class string
	kms   string // with its version
}

// description is an object resource as it is sent.
type description struct {
	attrs
	name    string
	claim   claim
	removed []string // fields and, with a slash, entries of metadata that are null
	fields  int      // how many say something
	wipe    bool     // metadata as a whole is null
}

const (
	defaultType = "application/octet-stream"
	maxDocument = 1 << 20 // bytes of a JSON document
)

// textFields are the fields that are a text and no more, with their headers.
var textFields = map[string]string{
	"cacheControl":       "Cache-Control",
	"contentDisposition": "Content-Disposition",
	"contentEncoding":    "Content-Encoding",
	"contentLanguage":    "Content-Language",
	"contentType":        "Content-Type",
}

// givenFields are those that only Google sets: who sends an object back as it came is not refused.
var givenFields = []string{
	"bucket", "componentCount", "etag", "generation", "id", "kind", "kmsKeyName", "mediaLink", "metageneration",
	"owner", "selfLink", "size", "timeCreated", "timeDeleted", "timeFinalized", "timeStorageClassUpdated", "updated",
}

var storageClasses = []string{"STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"}

// check fills in what has a default and refuses what Google does not store.
func (a *attrs) check() error {
	if a.texts["contentType"] == "" {
		a.texts["contentType"] = defaultType
	}
	if a.class == "" {
		a.class = storageClasses[0]
	}
	if !slices.Contains(storageClasses, a.class) {
		return invalid("Invalid Storage Class: %s", a.class).at("storageClass")
	}
	size := 0
	for name, value := range a.meta {
		size += len(name) + len(value)
	}
	if size > maxMeta {
		return invalid("Metadata is too large: %d bytes, the limit is %d", size, maxMeta).at("metadata")
	}
	return nil
}

// parseDescription reads an object resource. An empty document says nothing.
func parseDescription(raw []byte) (description, error) {
	d := description{attrs: attrs{meta: map[string]string{}, texts: map[string]string{}}}
	if len(bytes.TrimSpace(raw)) == 0 {
		return d, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil || fields == nil {
		return d, refuse("parseError", "Parse Error")
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if err := d.field(name, fields[name]); err != nil {
			return d, err
		}
	}
	return d, d.claim.valid()
}

// field reads one field.
func (d *description) field(name string, raw json.RawMessage) error {
	null := string(raw) == "null"
	into := map[string]*string{"name": &d.name, "storageClass": &d.class, "crc32c": &d.claim.crc, "md5Hash": &d.claim.md5}[name]
	switch {
	case slices.Contains(givenFields, name):
		return nil
	case name == "metadata":
		d.fields++
		return d.metadata(raw, null)
	case textFields[name] == "" && into == nil:
		if null || slices.Contains([]string{"false", `""`, "[]", "{}"}, string(raw)) {
			return nil
		}
		return notImplemented("the field " + name + " of an object")
	case null:
		d.removed = append(d.removed, name)
		d.fields++
		return nil
	}
	var value string
	if json.Unmarshal(raw, &value) != nil {
		return invalid("Invalid value for: %s is not a valid string", name).at(name)
	}
	if into == nil || name == "storageClass" {
		d.fields++
	}
	if into != nil {
		*into = value
	} else {
		d.texts[name] = value
	}
	return nil
}

func (d *description) metadata(raw json.RawMessage, null bool) error {
	var entries map[string]*string
	if json.Unmarshal(raw, &entries) != nil {
		return invalid("Invalid value for: metadata is not a map of strings").at("metadata")
	}
	d.wipe = null
	for name, value := range entries {
		switch {
		case name == "":
			return invalid("Metadata entry names cannot be empty.").at("metadata")
		case value == nil:
			d.removed = append(d.removed, "metadata/"+name)
		default:
			d.meta[name] = *value
		}
	}
	return nil
}

var kmsKeys = regexp.MustCompile(`^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$`)

// kmsKey is the name of a key as an object keeps it.
func kmsKey(name string) (string, error) {
	switch {
	case name == "":
		return "", nil
	case !kmsKeys.MatchString(name):
		return "", invalid("Malformed Cloud KMS crypto key: %s", name).at("kmsKeyName")
	}
	return name + "/cryptoKeyVersions/1", nil
}

// checkName refuses names that Google does not give to objects.
func checkName(name string) error {
	switch {
	case name == "":
		return refuse("required", "Required parameter: name").at("name")
	case len(name) > maxName, name == ".", name == "..", strings.ContainsAny(name, "\r\n"),
		strings.HasPrefix(name, ".well-known/acme-challenge/"):
		return invalid("Invalid object name: %q", name).at("name")
	}
	return nil
}
