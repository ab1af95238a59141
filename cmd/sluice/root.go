package main

import (
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// rootCommand returns the command line, a fresh one for each run.
func rootCommand() *cobra.Command {
	info, _ := debug.ReadBuildInfo()
	root := &cobra.Command{
		Use:   "sluice",
		Short: "An FTPS gateway to cloud storage",
		Long: "Sluice lets partners who speak FTP put files into, and take files out of, cloud object\n" +
			"storage: FTPS on one side, objects on the other, nothing kept in between.",
		Example: "  sluice serve                          # serve ./sluice-data, for a first look\n" +
			"  sluice check --config sluice.yaml     # is the configuration right?\n" +
			"  sluice serve --config sluice.yaml",
		Args:          unknownCommand,
		RunE:          needsCommand,
		Version:       versionLine(info),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usage(c, "%w", err) })
	root.AddCommand(serveCommand(), checkCommand(), doctorCommand(), healthcheckCommand(), userCommand(), bansCommand(), quotaCommand(), versionCommand())
	return root
}

// needsCommand is what a command does that only has others below it.
func needsCommand(c *cobra.Command, _ []string) error {
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return usage(c, "name a command: %s", strings.Join(names, ", "))
}

// unknownCommand refuses arguments, and suggests the command that may have been meant.
func unknownCommand(c *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case !c.HasSubCommands():
		return usage(c, "takes no argument, but got %q", args[0])
	}
	c.SuggestionsMinimumDistance = 2
	if s := c.SuggestionsFor(args[0]); len(s) > 0 {
		return usage(c, "unknown command %q; did you mean %s?", args[0], strings.Join(s, " or "))
	}
	return usage(c, "unknown command %q", args[0])
}

// refuseEmptyConfig keeps --config "$FILE" with an unset variable from meaning no --config.
func refuseEmptyConfig(c *cobra.Command) error {
	if f := c.Flag("config"); f.Changed && f.Value.String() == "" {
		return usage(c, "--config is empty; name a file")
	}
	return nil
}

// usage is an error in how the program was called.
func usage(c *cobra.Command, format string, args ...any) error {
	if _, path, ok := strings.Cut(c.CommandPath(), " "); ok {
		format = path + ": " + format
	}
	return hint{
		error: fmt.Errorf(format, args...),
		todo:  "see: " + c.CommandPath() + " --help",
		code:  exitUsage,
	}
}
