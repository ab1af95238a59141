package gcsfake

import "strings"

// operation is the renaming of a folder, which goes on after its request has been answered.
type operation struct {
	id             string
	source, target string
	asked          int
	done           bool
}

func beingRenamed(name string) *failure {
	return refuse("conflict", "The folder of %s is being renamed.", name)
}

// pending says whether name is in a folder that is being renamed, or in what it will become. The
// caller holds the lock.
func (s *Server) pending(name string) bool {
	for _, op := range s.operations {
		if !op.done && (strings.HasPrefix(name, op.source) || strings.HasPrefix(name, op.target)) {
			return true
		}
	}
	return false
}

func (c *call) renameFolder() (*reply, error) {
	cond, err := c.condition("ifSource")
	if err != nil {
		return nil, err
	}
	source, target := c.route.source, c.Key
	if err := c.hierarchical(source, target); err != nil {
		return nil, err
	}
	if strings.HasPrefix(target, source) {
		return nil, invalid("The folder %s cannot become %s.", source, target)
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	f, err := c.folder(source)
	if err != nil {
		return nil, err
	}
	if err := cond.compare(0, f.metageneration); err != nil {
		return nil, err
	}
	up := parent(target)
	switch {
	case c.s.pending(source) || c.s.pending(target):
		return nil, beingRenamed(source)
	case c.s.occupied(target):
		return nil, refuse("conflict", "The folder you tried to create already exists.")
	case up != "" && c.s.folders[up] == nil:
		return nil, noParent(up)
	}
	op := &operation{id: c.s.newID(), source: source, target: target}
	if !c.s.o.Quirks.SlowRename {
		c.s.rename(source, target)
		op.done = true
	}
	c.s.operations[op.id] = op
	return c.document(c.operationResource(op))
}

// occupied says whether there is a folder, or an object in it. The caller holds the lock.
func (s *Server) occupied(name string) bool {
	object, ok := s.keys.Ceil(name)
	return s.folders[name] != nil || ok && strings.HasPrefix(object, name)
}

// rename moves a folder and everything in it. What is in it stays what it is, generations as well.
// The caller holds the lock.
func (s *Server) rename(source, target string) {
	for {
		key, ok := s.keys.Ceil(source)
		if !ok || !strings.HasPrefix(key, source) {
			break
		}
		o := s.objects[key].same()
		o.key = target + key[len(source):]
		s.remove(key)
		s.objects[o.key] = o
		s.keys.Add(o.key)
	}
	for {
		name, ok := s.folderKeys.Ceil(source)
		if !ok || !strings.HasPrefix(name, source) {
			break
		}
		f := *s.folders[name]
		f.name = target + name[len(source):]
		f.updated = s.now()
		s.removeFolder(name)
		s.folders[f.name] = &f
		s.folderKeys.Add(f.name)
	}
}

// getOperation tells whether a renaming is done. With SlowRename the second time that somebody asks
// it is.
func (c *call) getOperation() (*reply, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	op := c.s.operations[c.route.id]
	if op == nil {
		return nil, refuse("notFound", "The operation does not exist.")
	}
	if op.asked++; op.asked >= 2 && !op.done {
		c.s.rename(op.source, op.target)
		op.done = true
	}
	return c.document(c.operationResource(op))
}

func (c *call) operationResource(op *operation) map[string]any {
	name := "projects/_/buckets/" + c.s.o.Bucket
	v := map[string]any{
		"kind":     "storage#operation",
		"name":     name + "/operations/" + op.id,
		"selfLink": "http://" + c.R.Host + "/storage/v1/b/" + c.s.o.Bucket + "/operations/" + op.id,
		"done":     op.done,
		"metadata": map[string]any{
			"@type":               "type.googleapis.com/google.storage.control.v2.RenameFolderMetadata",
			"sourceFolderId":      op.source,
			"destinationFolderId": op.target,
		},
	}
	if op.done {
		v["response"] = map[string]any{
			"@type": "type.googleapis.com/google.storage.control.v2.Folder",
			"name":  name + "/folders/" + op.target,
		}
	}
	return v
}
