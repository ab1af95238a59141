package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/yamlfile"
)

// userFile is a users file on the disk.
type userFile struct {
	path  string
	rules auth.Rules
	// config names the file, and the backends that there are; "" is none.
	config   string
	backends []string
}

// list is where the users stand in the file.
func (f *userFile) list() yamlfile.List {
	return yamlfile.List{File: f.path, Key: "users", ID: "name"}
}

// read reads the file as the gateway does, and all that is wrong with it.
func (f *userFile) read() (*auth.File, error) {
	users, err := auth.OpenFile(f.path, f.rules)
	if err != nil && !errors.As(err, new(yamlfile.Problems)) {
		return nil, hint{error: err, todo: cmp.Or(mendFile(err), "correct --users")}
	}
	return users, err
}

// find returns the file if it has a user of that name.
func (f *userFile) find(name string) (*auth.File, error) {
	users, err := f.read()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, u := range users.Users() {
		if u.Name == name {
			return users, nil
		}
		names = append(names, u.Name)
	}
	return nil, hint{
		error: fmt.Errorf("%s has no user %q", f.path, name),
		todo:  "there are " + enumerate(names) + "; add one with: sluice user add",
	}
}

// edit changes a user.
func (f *userFile) edit(ctx context.Context, name string, change func(l yamlfile.List, data []byte) ([]byte, error)) error {
	return f.rewrite(ctx, false, func(data []byte) ([]byte, error) {
		if _, err := f.find(name); err != nil {
			return nil, err
		}
		return change(f.list(), data)
	})
}

// create adds a user, to a new file if there is none.
func (f *userFile) create(ctx context.Context, name string, user yamlfile.Fields) error {
	return f.rewrite(ctx, true, func(data []byte) ([]byte, error) {
		if err := f.free(name); err != nil {
			return nil, err
		}
		if len(data) == 0 {
			data = []byte(newUserFile)
		}
		return f.list().Append(data, user)
	})
}

// free: a user of that name can be added. There may be no file, or one without a user, which a gateway
// refuses for that alone.
func (f *userFile) free(name string) error {
	data, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && f.empty(data) {
		return nil
	}
	users, err := f.read()
	if err != nil {
		return err
	}
	for _, u := range users.Users() {
		if u.Name == name {
			return hint{
				error: fmt.Errorf("%s has a user %q already", f.path, name),
				todo:  "choose another name, or change the password: sluice user passwd",
			}
		}
	}
	return nil
}

// empty: there is no user in data yet.
func (f *userFile) empty(data []byte) bool {
	doc, err := yamlfile.Parse(f.path, data)
	if err != nil {
		return false
	}
	var file struct {
		Users []yamlfile.Raw `yaml:"users"`
	}
	doc.Decode(&file)
	return len(file.Users) == 0
}

// newUserFile is what a file begins with that is made.
const newUserFile = "# Who may log in. sluice user changes this file and keeps comments; a gateway takes changes up by itself.\n"

// rewrite replaces the file by what change makes of its content, which a gateway has to take.
func (f *userFile) rewrite(ctx context.Context, create bool, change func(data []byte) ([]byte, error)) error {
	l, err := lockFile(ctx, f.path, create)
	if err != nil {
		return err
	}
	defer l.release()
	before, err := io.ReadAll(l)
	if err != nil {
		return err
	}
	after, err := change(before)
	if err != nil || slices.Equal(before, after) {
		return err
	}
	return l.replace(after, f.verify)
}

// verify reads the file at path, which is to take this one's place.
func (f *userFile) verify(path string) error {
	_, err := auth.OpenFile(path, f.rules)
	var problems yamlfile.Problems
	if errors.As(err, &problems) {
		for i := range problems {
			problems[i].File = strings.Replace(problems[i].File, path, f.path, 1)
		}
		return errors.Join(fmt.Errorf("%s would become wrong, so nothing was changed", f.path), problems)
	}
	return err
}
