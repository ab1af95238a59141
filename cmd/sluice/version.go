package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  sluice version",
		Args:    unknownCommand,
		RunE: func(c *cobra.Command, _ []string) error {
			info, _ := debug.ReadBuildInfo()
			_, err := fmt.Fprintln(c.OutOrStdout(), versionLine(info))
			return err
		},
	}
}

// versionLine says what was built from what, as far as the build recorded it.
func versionLine(info *debug.BuildInfo) string {
	var extra []string
	if r := revision(info); r != "" {
		extra = append(extra, "revision "+r)
	}
	extra = append(extra, runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH)
	return "sluice " + version(info) + " (" + strings.Join(extra, ", ") + ")"
}

// release is the version where the build cannot know it: a Dockerfile has no .git. It is set by the linker
// (-X main.release=).
var release string

// version is the number alone.
func version(info *debug.BuildInfo) string {
	if release != "" {
		return release
	}
	if info == nil || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

// revision is what the build recorded of the source, "" if it did not.
func revision(info *debug.BuildInfo) string {
	if info == nil {
		return ""
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	r := settings["vcs.revision"]
	if r != "" && settings["vcs.modified"] == "true" {
		r += " with changes"
	}
	return r
}
