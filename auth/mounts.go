package auth

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// userMark stands for the user's name in paths and prefixes.
const userMark = "{user}"

func (c checker) mounts(entries []mountEntry, user string) []Mount {
	if len(entries) == 0 {
		c.problem("mounts", "missing; without a mount the user sees nothing")
	}
	mounts := make([]Mount, 0, len(entries))
	first := map[string]int{}
	for i, e := range entries {
		m := checker{c.doc, fmt.Sprintf("%s.mounts[%d]", c.key, i), c.rules}.mount(e, user)
		if j, ok := first[m.Path]; ok {
			c.problem(fmt.Sprintf("mounts[%d].path", i), "%q is the path of mounts[%d] already; change one", m.Path, j)
		} else if m.Path != "" {
			first[m.Path] = i
		}
		for j, other := range mounts {
			if m.Path != "" && other.Path != "" && m.Path != other.Path && overlap(m, other) {
				c.problem(fmt.Sprintf("mounts[%d].prefix", i), "holds files that mounts[%d] holds too, "+
					"with permissions of their own; use one mount, and folders in it", j)
			}
		}
		mounts = append(mounts, m)
	}
	return mounts
}

// overlap: one has files that the other has. What one forbids the other might allow.
func overlap(a, b Mount) bool {
	return a.Backend == b.Backend && a.Backend != "" &&
		(within("/"+a.Prefix, "/"+b.Prefix) || within("/"+b.Prefix, "/"+a.Prefix) || a.Prefix == "" || b.Prefix == "")
}

func (c checker) mount(e mountEntry, user string) Mount {
	fill := strings.NewReplacer(userMark, user)
	m := Mount{Backend: e.Backend, Prefix: strings.TrimSuffix(fill.Replace(e.Prefix), "/")}
	if e.Path == "" {
		c.problem("path", "missing; / is the root of what the user sees")
	} else {
		m.Path = c.path("path", fill.Replace(e.Path))
	}
	if e.Backend == "" {
		c.problem("backend", "missing; name one of the configuration's backends")
	} else if c.rules.Backend != nil {
		c.report("backend", c.rules.Backend(e.Backend))
	}
	c.report("prefix", c.prefix(m.Prefix))
	m.Permissions = e.Permissions.set()
	if len(e.Permissions) == 0 {
		c.problem("permissions", "missing; list some of %s", permissionNames())
	}
	for i, f := range e.Folders {
		m.Folders = append(m.Folders, c.folder(fmt.Sprintf("folders[%d]", i), f, fill, m))
	}
	m.Names = Names{
		Allowed: c.patterns("names.allowed", e.Names.Allowed),
		Denied:  c.patterns("names.denied", e.Names.Denied),
		Hidden:  c.patterns("names.hidden", e.Names.Hidden),
	}
	return m
}

func (c checker) folder(key string, e folderEntry, fill *strings.Replacer, m Mount) Folder {
	f := Folder{Permissions: e.Permissions.set()}
	if e.Path == "" {
		c.problem(key+".path", "missing; name the folder as the user sees it")
		return f
	}
	f.Path = c.path(key+".path", fill.Replace(e.Path))
	switch {
	case f.Path != "" && m.Path != "" && (!within(m.Path, f.Path) || f.Path == m.Path):
		c.problem(key+".path", "%q is not a folder in the mount %q", f.Path, m.Path)
	case indexFolder(m.Folders, f.Path) >= 0:
		c.problem(key+".path", "%q is the path of folders[%d] already; change one", f.Path, indexFolder(m.Folders, f.Path))
	}
	return f
}

func indexFolder(folders []Folder, p string) int {
	for i, f := range folders {
		if f.Path == p {
			return i
		}
	}
	return -1
}

// path returns p clean, or "" if it cannot be a path of the user's.
func (c checker) path(key, p string) string {
	switch {
	case p[0] != '/':
		c.problem(key, "%q does not begin with a slash; write %q", p, path.Clean("/"+p))
	case !utf8.ValidString(p) || strings.ContainsFunc(p, unicode.IsControl):
		c.problem(key, "has control characters or is not UTF-8")
	default:
		return path.Clean(p)
	}
	return ""
}

func (c checker) prefix(p string) error {
	switch {
	case p == "" || path.Clean("/"+p) == "/"+p:
	case strings.HasPrefix(p, "/"):
		return errors.New("begins with a slash; leave that out")
	default:
		return errors.New("has an empty or dot element; write it without")
	}
	if c.rules.Prefix == nil {
		return nil
	}
	return c.rules.Prefix(p)
}

// patterns are checked, and folded as names will be.
func (c checker) patterns(key string, texts []string) []string {
	var all []string
	for i, text := range texts {
		if _, err := path.Match(text, "x"); err != nil || text == "" || strings.Contains(text, "/") {
			c.problem(fmt.Sprintf("%s[%d]", key, i), "%q is not a pattern of a name; write it like *.csv or report-[0-9]*", text)
			continue
		}
		all = append(all, fold(text))
	}
	return all
}

func (ps permissions) set() Permissions {
	var all Permissions
	for _, p := range ps {
		all |= Permissions(p)
	}
	return all
}
