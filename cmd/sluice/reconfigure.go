package main

import (
	"log/slog"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"
)

// live are the keys that hold for a gateway that runs, once SIGHUP has come; those that end with a dot
// stand for all below them.
var live = []string{
	"limits.", "bans.", "allow_from", "deny_from", "denied_commands", "log.level", "drain_delay", "shutdown_grace",
}

// dead are those among them that do not.
var dead = []string{"limits.quota_recount"}

func isLive(key string) bool {
	return !slices.Contains(dead, key) && slices.ContainsFunc(live, func(l string) bool {
		return key == l || strings.HasSuffix(l, ".") && strings.HasPrefix(key, l)
	})
}

// configuration reads the file of c again at SIGHUP: what can change does, and the rest is named.
func (a *app) configuration(c *config, level *slog.LevelVar) *source {
	s := newSource("configuration")
	var waiting []string
	s.reload = func() error {
		next, err := loadConfig(c.path, os.LookupEnv)
		if err != nil {
			return err
		}
		a.server.SetPolicy(next.policy())
		level.Set(levels[next.Log.Level])
		a.ending.Store(&ending{delay: time.Duration(next.DrainDelay), grace: time.Duration(next.ShutdownGrace)})
		waiting = slices.DeleteFunc(differences(c, next), isLive)
		return nil
	}
	s.report = func(log *slog.Logger) {
		log.Info("reloaded")
		if len(waiting) > 0 {
			log.Warn("changed, and holds after a restart only", "keys", strings.Join(waiting, ", "))
		}
	}
	return s
}

// differences are the keys that two configurations have different values of, in order.
func differences(a, b *config) []string {
	var keys []string
	compare(&keys, "", reflect.ValueOf(*a), reflect.ValueOf(*b))
	names := maps.Clone(a.stores)
	maps.Copy(names, b.stores)
	for name := range names {
		if !reflect.DeepEqual(a.stores[name], b.stores[name]) {
			keys = append(keys, "backends."+name)
		}
	}
	slices.Sort(keys)
	return keys
}

// compare adds the keys below key whose values differ in two structs of one type.
func compare(keys *[]string, key string, a, b reflect.Value) {
	for i := range a.NumField() {
		name := a.Type().Field(i).Tag.Get("yaml")
		switch {
		case name == "" || name == "backends": // theirs are compared as what they were read as
		case a.Field(i).Kind() == reflect.Struct:
			compare(keys, key+name+".", a.Field(i), b.Field(i))
		case !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()):
			*keys = append(*keys, key+name)
		}
	}
}
