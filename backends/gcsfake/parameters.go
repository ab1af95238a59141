package gcsfake

import (
	"slices"
	"strconv"
	"strings"
)

// method is an operation: what does it, and which parameters it takes beside those that all take.
type method struct {
	perform    func(*call) (*reply, error)
	parameters string // "*" is any
}

const (
	onTarget = " ifGenerationMatch ifGenerationNotMatch ifMetagenerationMatch ifMetagenerationNotMatch"
	onSource = " ifSourceGenerationMatch ifSourceGenerationNotMatch ifSourceMetagenerationMatch ifSourceMetagenerationNotMatch"
	onFolder = " ifMetagenerationMatch ifMetagenerationNotMatch"
	everyOp  = "alt fields key prettyPrint quotaUser userProject"
)

var operations = map[string]method{
	"buckets.get":                {(*call).getBucket, "projection"},
	"buckets.storageLayout":      {(*call).getStorageLayout, "prefix"},
	"buckets.testIamPermissions": {(*call).testPermissions, "permissions"},
	"folders.delete":             {(*call).deleteFolder, onFolder},
	"folders.get":                {(*call).getFolder, onFolder},
	"folders.insert":             {(*call).insertFolder, "recursive"},
	"folders.list":               {(*call).listFolders, "prefix delimiter startOffset endOffset pageSize pageToken"},
	"folders.rename":             {(*call).renameFolder, "ifSourceMetagenerationMatch ifSourceMetagenerationNotMatch"},
	"generateAccessToken":        {(*call).generateAccessToken, ""},
	"objects.compose":            {(*call).compose, "ifGenerationMatch ifMetagenerationMatch kmsKeyName"},
	"objects.delete":             {(*call).deleteObject, "generation" + onTarget},
	"objects.get":                {(*call).getObject, "generation projection" + onTarget},
	"objects.insert":             {(*call).insert, "uploadType name contentEncoding kmsKeyName projection" + onTarget},
	"objects.list": {
		(*call).listObjects, "prefix delimiter startOffset endOffset pageToken maxResults " +
			"includeTrailingDelimiter includeFoldersAsPrefixes projection",
	},
	"objects.media": {(*call).media, "generation projection" + onTarget},
	"objects.move":  {(*call).move, "projection" + onTarget + onSource},
	"objects.patch": {(*call).patch, "generation projection" + onTarget},
	"objects.rewrite": {
		(*call).rewriteObject, "sourceGeneration rewriteToken maxBytesRewrittenPerCall destinationKmsKeyName " +
			"projection" + onTarget + onSource,
	},
	"operations.get": {(*call).getOperation, ""},
	"session.cancel": {(*call).cancelSession, "*"},
	"session.put":    {(*call).putSession, "*"},
	"session.start":  {(*call).startSession, "uploadType name contentEncoding kmsKeyName projection" + onTarget},
	"session.status": {(*call).askSession, "*"},
	"token":          {(*call).token, ""},
}

// checkParameters refuses what the operation has no use for, unless it says nothing: Google's
// clients send many parameters that are empty or false.
func (c *call) checkParameters(known string) error {
	if known == "*" { // of a session, whose address is Google's own
		return nil
	}
	names := strings.Fields(everyOp + " " + known)
	for name, values := range c.Query {
		switch {
		case slices.Contains(names, name):
			if len(values) > 1 && name != "permissions" {
				return invalid("Parameter %s is given more than once", name).at(name)
			}
		case slices.ContainsFunc(values, func(v string) bool { return v != "" && v != "false" }):
			return notImplemented("the parameter " + name + " of " + c.Op)
		}
	}
	return c.checkValues()
}

// checkValues looks at what has the same few values everywhere.
func (c *call) checkValues() error {
	for name, values := range map[string][]string{
		"alt": {"", "json"}, "projection": {"", "full", "noAcl"}, "prettyPrint": {"", "true", "false"},
	} {
		if c.Op == "objects.media" && name == "alt" {
			continue // it is what makes it that
		}
		if v := c.Query.Get(name); !slices.Contains(values, v) {
			return refuse("invalidParameter", "Invalid value '%s'", v).at(name)
		}
	}
	for name := range c.Header {
		if strings.HasPrefix(name, "X-Goog-Encryption-") || strings.HasPrefix(name, "X-Goog-Copy-Source-") {
			return notImplemented("the header " + name)
		}
	}
	return nil
}

// flag reads a parameter that is true or false.
func (c *call) flag(name string) (bool, error) {
	switch v := c.Query.Get(name); v {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, refuse("invalidParameter", "Invalid boolean value: '%s'.", v).at(name)
	}
}

// number reads a parameter that counts something; absent is -1.
func (c *call) number(name string) (int64, error) {
	v := c.Query.Get(name)
	if v == "" {
		return -1, nil
	}
	n, err := strconv.ParseUint(v, 10, 63)
	if err != nil {
		return 0, invalid("Invalid value for: %s is not a valid value", name).at(name)
	}
	return int64(n), nil
}
