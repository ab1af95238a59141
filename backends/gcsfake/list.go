package gcsfake

import (
	"strings"

	"github.com/sluice-ftp/sluice/backends/storefake"
)

// parseListing reads what objects.list and folders.list have in common; size is the name of the
// parameter that bounds a page.
func (c *call) parseListing(size string) (*storefake.Listing, error) {
	q := c.Query
	l := &storefake.Listing{
		Prefix: q.Get("prefix"), From: q.Get("startOffset"), End: q.Get("endOffset"), Max: c.s.o.PageSize,
	}
	most, err := c.number(size)
	if err != nil {
		return nil, err
	}
	if most == 0 {
		return nil, notImplemented(size + "=0")
	}
	if most > 0 {
		l.Max = int(min(most, int64(l.Max)))
	}
	if token := q.Get("pageToken"); token != "" {
		from, ok := storefake.DecodeToken(token)
		if !ok {
			return nil, invalid("Invalid page token").at("pageToken")
		}
		l.From = max(l.From, from)
	}
	return l, nil
}

func (c *call) listObjects() (*reply, error) {
	l, err := c.parseListing("maxResults")
	if err != nil {
		return nil, err
	}
	l.Delimiter, l.Repeat = c.Query.Get("delimiter"), c.s.o.Quirks.RepeatPrefixes
	if l.Both, err = c.flag("includeTrailingDelimiter"); err != nil {
		return nil, err
	}
	folders, err := c.flag("includeFoldersAsPrefixes")
	switch {
	case err != nil:
		return nil, err
	case folders && !c.s.o.Hierarchical:
		return nil, invalid("includeFoldersAsPrefixes can only be used with a bucket that has a hierarchical " +
			"namespace.").at("includeFoldersAsPrefixes")
	case folders && l.Delimiter != "/":
		return nil, invalid("The delimiter must be '/' for includeFoldersAsPrefixes.").at("includeFoldersAsPrefixes")
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	ceil := c.s.keys.Ceil
	if folders {
		ceil = c.s.ceilOfBoth(l.Prefix)
	}
	entries, next := l.Page(ceil)
	v := map[string]any{"kind": "storage#objects"}
	var items []map[string]any
	var prefixes []string
	for _, e := range entries {
		switch {
		case e.Rolled:
			prefixes = append(prefixes, e.Name)
		case c.s.objects[e.Name] != nil: // a folder that is the same as what it is rolled up into is none
			items = append(items, c.resource(c.s.objects[e.Name]))
		}
	}
	if items != nil {
		v["items"] = items
	}
	if prefixes != nil {
		v["prefixes"] = prefixes
	}
	if next != "" {
		v["nextPageToken"] = storefake.EncodeToken(next)
	}
	return c.document(v)
}

// ceilOfBoth finds the next object or folder, but for the folder that is being listed.
func (s *Server) ceilOfBoth(prefix string) func(string) (string, bool) {
	return func(at string) (string, bool) {
		key, more := s.keys.Ceil(at)
		folder, ok := s.folderKeys.Ceil(at)
		if ok && strings.HasPrefix(prefix, folder) {
			folder, ok = s.folderKeys.Ceil(storefake.After(folder))
		}
		if ok && (!more || folder < key) {
			return folder, true
		}
		return key, more
	}
}
