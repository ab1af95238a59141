package auth

import (
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// At returns what may be done at p, a clean and absolute path in the mount. The folder with the
// longest path counts. A path that is only alike, in other letters of upper and lower case or another
// form of Unicode, may be that folder, depending on the store: what both allow is allowed there.
func (m *Mount) At(p string) Permissions {
	if len(m.Folders) == 0 {
		return m.Permissions
	}
	may, exact := m.Permissions, ""
	for _, f := range m.Folders {
		if within(f.Path, p) && len(f.Path) > len(exact) {
			may, exact = f.Permissions, f.Path
		}
	}
	folded := fold(p)
	longest, alike := len(fold(exact)), Permissions(All)
	for _, f := range m.Folders {
		if path := fold(f.Path); f.Path != exact && within(path, folded) && len(path) >= longest {
			if len(path) > longest {
				longest, alike = len(path), All
			}
			alike &= f.Permissions
		}
	}
	return may & alike
}

// HoldsFolder reports whether a folder with permissions of its own is below p, or may be: whoever
// moved p would take it out of them.
func (m *Mount) HoldsFolder(p string) bool {
	if len(m.Folders) == 0 {
		return false
	}
	p = fold(p)
	for _, f := range m.Folders {
		if within(p, fold(f.Path)) {
			return true
		}
	}
	return false
}

// fold makes equal what some stores take for one name: letters of upper and lower case, the forms of
// Unicode, and dots and spaces at the end of an element.
func fold(s string) string {
	s = cases.Fold().String(norm.NFKC.String(s))
	if !strings.Contains(s, ". ") && !strings.Contains(s, "./") && !strings.Contains(s, " /") &&
		!strings.HasSuffix(s, ".") && !strings.HasSuffix(s, " ") {
		return s
	}
	elements := strings.Split(s, "/")
	for i, e := range elements {
		elements[i] = strings.TrimRight(e, ". ")
	}
	return strings.Join(elements, "/")
}

// within reports whether p is dir or below it.
func within(dir, p string) bool {
	_, inside := Below(dir, p)
	return inside
}

// Below returns the rest of p under dir, "" for dir itself. Both are clean and absolute.
func Below(dir, p string) (rel string, inside bool) {
	if dir == "/" {
		return strings.TrimPrefix(p, "/"), true
	}
	rest, found := strings.CutPrefix(p, dir)
	if !found || rest != "" && rest[0] != '/' {
		return "", false
	}
	return strings.TrimPrefix(rest, "/"), true
}
