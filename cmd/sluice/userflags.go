package main

import (
	"os"

	"github.com/spf13/cobra"
)

// userFlags say which users file is meant.
type userFlags struct{ users, config string }

func (f *userFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.config, "config", "", "configuration `file` that names the users file")
	c.Flags().StringVar(&f.users, "users", "", "users `file`, without a configuration")
}

// open finds the file. What else is wrong with the configuration does not matter here: a variable for
// a backend may be set for the gateway alone.
func (f *userFlags) open(c *cobra.Command) (*userFile, error) {
	if err := refuseEmptyConfig(c); err != nil {
		return nil, err
	}
	switch {
	case c.Flag("users").Changed && f.users == "":
		return nil, usage(c, "--users is empty; name a file")
	case f.users != "" && f.config != "":
		return nil, usage(c, "--config and --users exclude each other")
	case f.users != "":
		// What only a configuration could tell is not asked.
		r := rules(defaultConfig())
		r.Backend, r.Subjects = nil, true
		return &userFile{path: f.users, rules: r}, nil
	case f.config == "":
		return nil, usage(c, "--config is missing; or name the users file: --users FILE")
	}
	conf, err := loadConfig(f.config, os.LookupEnv)
	if conf == nil || conf.UsersFile == "" {
		return nil, err
	}
	return &userFile{path: conf.UsersFile, rules: rules(conf), config: f.config, backends: conf.backendNames()}, nil
}
