package main

import (
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"
)

// newLogger returns the log that a configuration asks for, and its level, which may be changed.
func newLogger(w io.Writer, c logConfig) (*slog.Logger, *slog.LevelVar) {
	level := &slog.LevelVar{}
	level.Set(levels[c.Level])
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "json" || c.Format == "" && !isTerminal(w) {
		return slog.New(slog.NewJSONHandler(w, options)), level
	}
	return slog.New(slog.NewTextHandler(w, options)), level
}

// isTerminal reports whether people read w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

var levels = map[string]slog.Level{
	"debug": slog.LevelDebug,
	"info":  slog.LevelInfo,
	"warn":  slog.LevelWarn,
	"error": slog.LevelError,
}
