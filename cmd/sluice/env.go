package main

import (
	"fmt"
	"regexp"
	"strings"
)

// variable is ${NAME}, ${NAME:-default}, or $${ for a ${ that is meant as it stands.
var variable = regexp.MustCompile(`\$?\$\{([^}]*\}?)`)

var variableForm = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)(?:(:-)(.*))?$`)

// expander returns a function that puts variables of the environment into a value. As in a shell,
// the default of ${NAME:-default} also stands in for an empty variable.
func expander(lookup func(string) (string, bool)) func(string) (string, error) {
	return func(value string) (string, error) {
		var fault error
		s := variable.ReplaceAllStringFunc(value, func(ref string) string {
			if strings.HasPrefix(ref, "$$") {
				return ref[1:]
			}
			v, err := expandOne(ref, lookup)
			if err != nil && fault == nil {
				fault = err
			}
			return v
		})
		return s, fault
	}
}

func expandOne(ref string, lookup func(string) (string, bool)) (string, error) {
	inner, closed := strings.CutSuffix(strings.TrimPrefix(ref, "${"), "}")
	f := variableForm.FindStringSubmatch(inner)
	if !closed || f == nil {
		return "", fmt.Errorf("%q is not a variable; write ${NAME} or ${NAME:-default}, or $${ for a plain ${", ref)
	}
	name, hasDefault, value := f[1], f[2] != "", f[3]
	v, ok := lookup(name)
	switch {
	case ok && (v != "" || !hasDefault):
		return v, nil
	case hasDefault:
		return value, nil
	}
	return "", fmt.Errorf("the environment has no variable %s; set it, or give a default: ${%s:-default}", name, name)
}
