package gcsfake

import "strings"

func (c *call) getBucket() (*reply, error) {
	v := map[string]any{
		"kind":             "storage#bucket",
		"id":               c.s.o.Bucket,
		"selfLink":         "http://" + c.R.Host + "/storage/v1/b/" + c.s.o.Bucket,
		"name":             c.s.o.Bucket,
		"projectNumber":    "1",
		"generation":       "1",
		"metageneration":   "1",
		"etag":             "CAE=",
		"location":         "US",
		"locationType":     "multi-region",
		"storageClass":     storageClasses[0],
		"iamConfiguration": map[string]any{"uniformBucketLevelAccess": map[string]any{"enabled": true}},
	}
	if c.s.o.Hierarchical {
		v["hierarchicalNamespace"] = map[string]any{"enabled": true}
	}
	if c.s.o.RequesterPays {
		v["billing"] = map[string]any{"requesterPays": true}
	}
	return c.document(v)
}

func (c *call) getStorageLayout() (*reply, error) {
	return c.document(map[string]any{
		"kind":                  "storage#storageLayout",
		"bucket":                c.s.o.Bucket,
		"location":              "US",
		"locationType":          "multi-region",
		"hierarchicalNamespace": map[string]any{"enabled": c.s.o.Hierarchical},
	})
}

// testPermissions grants what is asked for: the one user may do all.
func (c *call) testPermissions() (*reply, error) {
	asked := c.Query["permissions"]
	if len(asked) == 0 {
		return nil, refuse("required", "Required parameter: permissions").at("permissions")
	}
	for _, p := range asked {
		if !strings.HasPrefix(p, "storage.") {
			return nil, invalid("Permission %s is not valid for this resource.", p).at("permissions")
		}
	}
	return c.document(map[string]any{"kind": "storage#testIamPermissionsResponse", "permissions": asked})
}
