package auth

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/sluice-ftp/sluice/yamlfile"
)

// The users file, as it is written.
type (
	usersFile struct {
		PasswordFile string         `yaml:"password_file"`
		Groups       []yamlfile.Raw `yaml:"groups"`
		Users        []yamlfile.Raw `yaml:"users"`
	}
	// entry is a user, or a group, whose values are the defaults of its users.
	entry struct {
		Name         string   `yaml:"name"`
		Group        string   `yaml:"group"`
		Enabled      bool     `yaml:"enabled"`
		PasswordHash string   `yaml:"password_hash"`
		TOTPSecret   string   `yaml:"totp_secret"`
		Certificates []string `yaml:"certificates"`

		Login          method         `yaml:"login"`
		ValidFrom      day            `yaml:"valid_from"`
		ValidUntil     day            `yaml:"valid_until"`
		LoginHours     []hours        `yaml:"login_hours"`
		TimeZone       zone           `yaml:"time_zone"`
		AllowFrom      []Network      `yaml:"allow_from"`
		DenyFrom       []Network      `yaml:"deny_from"`
		Mounts         []mountEntry   `yaml:"mounts"`
		DeniedCommands []string       `yaml:"denied_commands"`
		MaxSessions    int            `yaml:"max_sessions"`
		MaxUploadSize  yamlfile.Size  `yaml:"max_upload_size"`
		Quota          quotaEntry     `yaml:"quota"`
		Bandwidth      bandwidthEntry `yaml:"bandwidth"`
		TLS            tlsEntry       `yaml:"tls"`
	}
	mountEntry struct {
		Path        string        `yaml:"path"`
		Backend     string        `yaml:"backend"`
		Prefix      string        `yaml:"prefix"`
		Permissions permissions   `yaml:"permissions"`
		Folders     []folderEntry `yaml:"folders"`
		Names       namesEntry    `yaml:"names"`
	}
	folderEntry struct {
		Path        string      `yaml:"path"`
		Permissions permissions `yaml:"permissions"`
	}
	namesEntry struct {
		Allowed []string `yaml:"allowed"`
		Denied  []string `yaml:"denied"`
		Hidden  []string `yaml:"hidden"`
	}
	quotaEntry struct {
		Bytes yamlfile.Size `yaml:"bytes"`
		Files int           `yaml:"files"`
	}
	bandwidthEntry struct {
		Upload   yamlfile.Size `yaml:"upload"`
		Download yamlfile.Size `yaml:"download"`
	}
	tlsEntry struct {
		MinVersion version `yaml:"min_version"`
		Reuse      reuse   `yaml:"session_reuse"`
	}
	permissions []permission
)

// personal are the keys that no group has.
var personal = [...]string{"group", "enabled", "password_hash", "totp_secret", "certificates"}

// method is what proves who someone is.
type method string

const (
	byPassword    method = "password"
	byCertificate method = "certificate"
	byBoth        method = "both"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *method) UnmarshalText(text []byte) error {
	switch *m = method(text); *m {
	case byPassword, byCertificate, byBoth:
		return nil
	}
	return fmt.Errorf("%q is not a choice; there are password, certificate, both", text)
}

// version is a version of TLS.
type version uint16

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *version) UnmarshalText(text []byte) error {
	switch string(text) {
	case "1.2":
		*v = tls.VersionTLS12
	case "1.3":
		*v = tls.VersionTLS13
	default:
		return fmt.Errorf("%q is not a choice; there are 1.2, 1.3", text)
	}
	return nil
}

type reuse Reuse

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *reuse) UnmarshalText(text []byte) error {
	switch *r = reuse(text); Reuse(*r) {
	case ReuseOff, ReusePrefer, ReuseRequire:
		return nil
	}
	return fmt.Errorf("%q is not a choice; there are off, prefer, require", text)
}

// zone is a time zone; the zero value is UTC.
type zone struct{ *time.Location }

var errZone = errors.New("is not a time zone; write it like Europe/Berlin or UTC")

// UnmarshalText implements encoding.TextUnmarshaler.
func (z *zone) UnmarshalText(text []byte) (err error) {
	if z.Location, err = time.LoadLocation(string(text)); err != nil || len(text) == 0 || string(text) == "Local" {
		return fmt.Errorf("%q %w", text, errZone)
	}
	return nil
}

func (z zone) location() *time.Location {
	if z.Location == nil {
		return time.UTC
	}
	return z.Location
}
