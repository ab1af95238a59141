package gcsfake

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-ftp/sluice/backends/storefake"
)

// folder is a folder of a bucket with a hierarchical namespace. Its name ends with a slash.
type folder struct {
	name             string
	metageneration   int64
	created, updated time.Time
}

// makeFolder makes a folder that is not there. The caller holds the lock.
func (s *Server) makeFolder(name string) *folder {
	if f := s.folders[name]; f != nil {
		return f
	}
	f := &folder{name: name, metageneration: 1, created: s.now(), updated: s.now()}
	s.folders[name] = f
	s.folderKeys.Add(name)
	return f
}

func (s *Server) removeFolder(name string) {
	delete(s.folders, name)
	s.folderKeys.Remove(name)
}

// hierarchical refuses what only a bucket with folders can do, and names that no folder has.
func (c *call) hierarchical(names ...string) error {
	if !c.s.o.Hierarchical {
		return refuse("conflict", "The bucket does not have hierarchical namespace enabled.")
	}
	for _, name := range names {
		if !strings.HasSuffix(name, "/") || strings.HasPrefix(name, "/") || strings.Contains(name, "//") || len(name) > maxName {
			return invalid("Invalid folder name: %q", name).at("name")
		}
	}
	return nil
}

// folder finds a folder. The caller holds the lock.
func (c *call) folder(name string) (*folder, error) {
	f := c.s.folders[name]
	if f == nil {
		return nil, refuse("notFound", "The folder does not exist.")
	}
	return f, nil
}

func (c *call) folderResource(f *folder) map[string]any {
	return map[string]any{
		"kind":           "storage#folder",
		"id":             c.s.o.Bucket + "/" + f.name,
		"selfLink":       "http://" + c.R.Host + "/storage/v1/b/" + c.s.o.Bucket + "/folders/" + url.PathEscape(f.name),
		"bucket":         c.s.o.Bucket,
		"name":           f.name,
		"metageneration": strconv.FormatInt(f.metageneration, 10),
		"createTime":     timeText(f.created),
		"updateTime":     timeText(f.updated),
	}
}

func (c *call) insertFolder() (*reply, error) {
	recursive, err := c.flag("recursive")
	if err != nil {
		return nil, err
	}
	raw, err := takeAll(c.Body, maxDocument)
	if err != nil {
		return nil, err
	}
	var sent struct{ Name string }
	if json.Unmarshal(raw, &sent) != nil {
		return nil, refuse("parseError", "Parse Error")
	}
	if err := c.hierarchical(sent.Name); err != nil {
		return nil, err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	up := parent(sent.Name)
	switch {
	case c.s.pending(sent.Name):
		return nil, beingRenamed(sent.Name)
	case c.s.folders[sent.Name] != nil:
		return nil, refuse("conflict", "The folder you tried to create already exists.")
	case up != "" && c.s.folders[up] == nil && !recursive:
		return nil, noParent(up)
	}
	c.s.makeFolders(sent.Name)
	return c.document(c.folderResource(c.s.folders[sent.Name]))
}

// noParent is a failure that Google documents without saying which it is.
func noParent(name string) *failure {
	return refuse("conflict", "The parent folder %s does not exist.", name)
}

// onFolder does something with the folder that the request is about, under the lock.
func (c *call) onFolder(do func(*folder, condition) (*reply, error)) (*reply, error) {
	cond, err := c.condition("if")
	if err != nil {
		return nil, err
	}
	if err := c.hierarchical(c.Key); err != nil {
		return nil, err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	f, err := c.folder(c.Key)
	if err != nil {
		return nil, err
	}
	return do(f, cond)
}

func (c *call) getFolder() (*reply, error) {
	return c.onFolder(func(f *folder, cond condition) (*reply, error) {
		if err := cond.compareRead(0, f.metageneration); err != nil {
			return nil, err
		}
		return c.document(c.folderResource(f))
	})
}

func (c *call) deleteFolder() (*reply, error) {
	return c.onFolder(func(f *folder, cond condition) (*reply, error) {
		object, objects := c.s.keys.Ceil(f.name)
		below, folders := c.s.folderKeys.Ceil(storefake.After(f.name))
		switch {
		case c.s.pending(f.name):
			return nil, beingRenamed(f.name)
		case objects && strings.HasPrefix(object, f.name), folders && strings.HasPrefix(below, f.name):
			return nil, refuse("conflict", "The folder you tried to delete is not empty.")
		}
		if err := cond.compare(0, f.metageneration); err != nil {
			return nil, err
		}
		c.s.removeFolder(f.name)
		return empty(http.StatusNoContent), nil
	})
}

func (c *call) listFolders() (*reply, error) {
	l, err := c.parseListing("pageSize")
	if err != nil {
		return nil, err
	}
	if err := c.hierarchical(); err != nil {
		return nil, err
	}
	delimiter := c.Query.Get("delimiter")
	if delimiter != "" && delimiter != "/" {
		return nil, invalid("The only delimiter for folders is '/'.").at("delimiter")
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	entries, next := l.Page(func(at string) (string, bool) {
		name, ok := c.s.folderKeys.Ceil(at)
		for delimiter != "" && ok && deeper(name, l.Prefix) {
			name, ok = c.s.folderKeys.Ceil(storefake.After(name))
		}
		return name, ok
	})
	v := map[string]any{"kind": "storage#folders"}
	var items []map[string]any
	for _, e := range entries {
		items = append(items, c.folderResource(c.s.folders[e.Name]))
	}
	if items != nil {
		v["items"] = items
	}
	if next != "" {
		v["nextPageToken"] = storefake.EncodeToken(next)
	}
	return c.document(v)
}

// deeper says whether a folder is more than one level below what is listed.
func deeper(name, prefix string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	return ok && strings.Count(rest, "/") > 1
}
