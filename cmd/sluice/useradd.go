package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/yamlfile"
)

func userAddCommand() *cobra.Command {
	var file userFlags
	var m mountFlags
	c := &cobra.Command{
		Use:   "add NAME --config FILE",
		Short: "Add a user",
		Long: "Add puts a user at the end of the users file, which is made if there is none. On a terminal it\n" +
			"asks for the password twice; otherwise it reads one line. No flag takes it: every user of the\n" +
			"machine can see the arguments of a command.\n\n" +
			"The user gets one mount: all permissions in the folder NAME/ of the backend, if there is only\n" +
			"one. With --group and no --backend it gets the mounts of the group.",
		Example: "  sluice user add acme --config sluice.yaml\n" +
			"  sluice user add acme --config sluice.yaml --permissions list,read --prefix out/acme/\n" +
			"  sluice user add bolt --users users.yaml --group partners < password.txt",
		Args: oneName,
		RunE: func(c *cobra.Command, args []string) error {
			f, err := file.open(c)
			if err != nil {
				return err
			}
			user, err := m.user(c, f, args[0])
			if err != nil {
				return err
			}
			return addUser(c, f, args[0], user)
		},
	}
	file.add(c)
	m.add(c)
	return c
}

// addUser asks for the password when nothing else can go wrong any more.
func addUser(c *cobra.Command, f *userFile, name string, user yamlfile.Fields) error {
	if err := f.free(name); err != nil {
		return failed(c, err)
	}
	hash, err := readHash(c)
	if err != nil {
		return failed(c, err)
	}
	user[slices.IndexFunc(user, func(f yamlfile.Field) bool { return f.Key == passwordKey })].Value = hash
	if err := f.create(c.Context(), name, user); err != nil {
		return failed(c, err)
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %s added\n", f.path, name)
	return err
}

// mountFlags are the one mount of a new user, or the group that has them.
type mountFlags struct {
	group, backend, path, prefix string
	permissions                  []string
}

// ofMount are the flags that need a mount.
var ofMount = []string{"path", "prefix", "permissions"}

func (m *mountFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&m.group, "group", "", "`name` of the group")
	c.Flags().StringVar(&m.backend, "backend", "", "`name` of the backend (default the only one of the configuration)")
	c.Flags().StringVar(&m.path, "path", "/", "`path` where the user sees it")
	c.Flags().StringVar(&m.prefix, "prefix", "", "`key` in the backend that all is below (default NAME/)")
	c.Flags().StringSliceVar(&m.permissions, "permissions", strings.Split(auth.All.String(), ","), "what the user may do there, a `list`")
}

// user returns the new user, whose password is still to come.
func (m *mountFlags) user(c *cobra.Command, f *userFile, name string) (yamlfile.Fields, error) {
	user := yamlfile.Fields{{Key: "name", Value: name}}
	if m.group != "" {
		user = append(user, yamlfile.Field{Key: "group", Value: m.group})
	}
	user = append(user, yamlfile.Field{Key: passwordKey})
	if m.group != "" && m.backend == "" {
		for _, flag := range ofMount {
			if c.Flags().Changed(flag) {
				return nil, usage(c, "--%s is for a mount beside those of the group; name its --backend", flag)
			}
		}
		return user, nil
	}
	mount, err := m.mount(c, f, name)
	return append(user, yamlfile.Field{Key: "mounts", Value: []yamlfile.Fields{mount}}), err
}

func (m *mountFlags) mount(c *cobra.Command, f *userFile, name string) (yamlfile.Fields, error) {
	backend, prefix := m.backend, m.prefix
	switch {
	case backend != "":
	case f.config == "":
		return nil, usage(c, "--backend is missing; only a configuration tells the backends")
	case len(f.backends) != 1:
		return nil, usage(c, "--backend is missing; there are %s", strings.Join(f.backends, ", "))
	default:
		backend = f.backends[0]
	}
	if !c.Flags().Changed("prefix") {
		if strings.Contains(name, "/") {
			return nil, usage(c, "%q has a slash, and would be a folder in that of another user; give a --prefix", name)
		}
		prefix = name + "/"
	}
	for _, p := range m.permissions {
		if !slices.Contains(strings.Split(auth.All.String(), ","), p) {
			return nil, usage(c, "--permissions: unknown permission %q; there are %s", p, auth.All)
		}
	}
	mount := yamlfile.Fields{{Key: "path", Value: m.path}, {Key: "backend", Value: backend}}
	if prefix != "" {
		mount = append(mount, yamlfile.Field{Key: "prefix", Value: prefix})
	}
	return append(mount, yamlfile.Field{Key: "permissions", Value: m.permissions}), nil
}
