package main

import (
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/backends/pages"
	"github.com/sluice-ftp/sluice/gateway"
	"github.com/sluice-ftp/sluice/yamlfile"
)

// validator holds the values of a configuration to what they have to be. It touches nothing but the
// configuration: whether files and folders are there is found out by opening them.
type validator struct {
	doc *yamlfile.Document
	// dir is what relative paths are relative to: the folder of the file.
	dir string
}

func (v validator) problem(key, format string, args ...any) { v.doc.Problem(key, format, args...) }

func (v validator) config(c *config) {
	v.listen(c)
	v.publicHost(c.Passive.PublicHost)
	v.replicas(c)
	v.tls(&c.TLS)
	v.http(c)
	v.limits(c)
	v.tuning(c.Tuning)
	if c.MemoryBudget != 0 && (c.MemoryBudget < pages.MinBudget || c.MemoryBudget > mostBudget) {
		v.problem("memory_budget", "%s is not within %s and %s; 0 is a quarter of the memory limit",
			c.MemoryBudget, size(pages.MinBudget), size(mostBudget))
	}
	oneOf(v, "transfer_eof", c.TransferEOF, gateway.EOFDefault, gateway.EOFStrict, gateway.EOFAlive, gateway.EOFOff)
	oneOf(v, "ascii", c.ASCII, gateway.ASCIIConvert, gateway.ASCIIBinary)
	v.siteHooks(c.Site.Commands)
	oneOf(v, "site.chmod", c.Site.CHMOD, gateway.CHMODIgnore, gateway.CHMODRefuse)
	oneOf(v, "log.level", c.Log.Level, "debug", "info", "warn", "error")
	oneOf(v, "log.format", c.Log.Format, "", "text", "json")
	for i, verb := range c.DeniedCommands {
		c.DeniedCommands[i] = strings.ToUpper(verb)
		if err := knownCommand(c.DeniedCommands[i]); err != nil {
			v.problem(fmt.Sprintf("denied_commands[%d]", i), "%v", err)
		}
	}
	if c.AuditLog.Path == "" && (c.AuditLog.Required || c.AuditLog.SHA256) {
		v.problem("audit_log.path", "missing; name the file of the record, or - for standard output")
	}
	c.AdminSocket = v.path(c.AdminSocket)
	if len(c.AdminSocket) > maxSocketPath {
		v.problem("admin_socket", "the path is longer than %d bytes; choose a shorter one", maxSocketPath)
	}
	if c.AuditLog.Path != "-" {
		c.AuditLog.Path = v.path(c.AuditLog.Path)
	}
	v.backends(c)
	if c.UsersFile == "" {
		v.problem("users_file", "missing; name the file with the users, like users.yaml")
	}
	c.UsersFile = v.path(c.UsersFile)
	v.hook(&c.Auth)
}

// maxSocketPath is what the address of a unix socket has room for on all systems.
const maxSocketPath = 103

func knownCommand(verb string) error {
	if gateway.KnownCommand(verb) {
		return nil
	}
	return fmt.Errorf("%q is not a command; they are in the answer to HELP", verb)
}

// path returns a path of the configuration as one of the process.
func (v validator) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(v.dir, p)
}

func oneOf[T ~string](v validator, key string, value T, allowed ...T) {
	if slices.Contains(allowed, value) {
		return
	}
	var names []string
	for _, a := range allowed {
		if a == "" {
			a = `""`
		}
		names = append(names, string(a))
	}
	v.problem(key, "%q is not a choice; there are %s", value, strings.Join(names, ", "))
}

func (v validator) listen(c *config) {
	if c.Listen.FTP == "" && c.Listen.FTPS == "" {
		v.problem("listen", "nothing to listen on; give ftp or ftps an address, like :2121")
	}
	if c.Listen.FTPS != "" && c.TLS.Mode == gateway.TLSOff {
		v.problem("listen.ftps", "needs TLS, but tls.mode is off; set it to \"\" or change tls.mode")
	}
	ftpHost, ftpPort := v.address("listen.ftp", c.Listen.FTP, c.Passive.Ports)
	ftpsHost, ftpsPort := v.address("listen.ftps", c.Listen.FTPS, c.Passive.Ports)
	httpHost, httpPort := v.address("listen.http", c.Listen.HTTP, c.Passive.Ports)
	for _, pair := range []struct {
		key, other      string
		host, otherHost string
		port, otherPort int
	}{
		{"listen.ftps", "listen.ftp", ftpsHost, ftpHost, ftpsPort, ftpPort},
		{"listen.http", "listen.ftp", httpHost, ftpHost, httpPort, ftpPort},
		{"listen.http", "listen.ftps", httpHost, ftpsHost, httpPort, ftpsPort},
	} {
		if pair.port > 0 && pair.port == pair.otherPort && (pair.host == pair.otherHost || anyHost(pair.host) || anyHost(pair.otherHost)) {
			v.problem(pair.key, "the same port as %s; change one of them", pair.other)
		}
	}
}

// address returns the parts of an address to listen on; port is 0 when there is none to compare.
func (v validator) address(key, addr string, passive portRange) (host string, port int) {
	if addr == "" {
		return "", 0
	}
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		v.problem(key, "%q is not an address; write it like :2121 or 127.0.0.1:2121", addr)
		return "", 0
	}
	port, err = strconv.Atoi(p)
	_, ipErr := netip.ParseAddr(host)
	switch {
	case err != nil || port < 0 || port > 65535:
		v.problem(key, "%q is not a port; it is a number up to 65535", p)
		return "", 0
	case host != "" && ipErr != nil && !hostname(host):
		v.problem(key, "%q is neither an IP address nor a name", host)
	case passive.has(port):
		v.problem(key, "port %d lies in passive.ports %s; move one of them", port, passive)
	}
	return host, port
}

func anyHost(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "" || err == nil && a.IsUnspecified()
}

var (
	label   = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$`)
	numeric = regexp.MustCompile(`^[0-9]+$`)
)

// hostname reports whether s may be a name (RFC 1123 section 2.1) and cannot be a mistyped address.
func hostname(s string) bool {
	labels := strings.Split(strings.TrimSuffix(s, "."), ".")
	for _, l := range labels {
		if !label.MatchString(l) {
			return false
		}
	}
	return len(s) <= 253 && !numeric.MatchString(labels[len(labels)-1])
}

func (v validator) publicHost(host string) {
	a, err := netip.ParseAddr(host)
	switch {
	case host == "":
	case err == nil && (!a.Is4() || a.IsUnspecified()):
		v.problem("passive.public_host", "%q cannot be announced; PASV has room for an IPv4 address only", host)
	case err != nil && !hostname(host):
		v.problem("passive.public_host", "%q is neither an IPv4 address nor a name, and takes no port", host)
	}
}

// replicas holds what several gateways behind one address need.
func (v validator) replicas(c *config) {
	p := c.Passive
	if _, err := netip.ParseAddr(p.ListenHost); p.ListenHost != "" && err != nil {
		v.problem("passive.listen_host", "%q is not an IP address", p.ListenHost)
	}
	if (c.Proxy.Control || c.Proxy.Data) && len(c.TrustedProxies) == 0 {
		v.problem("trusted_proxies", "missing; proxy_protocol takes the word of the networks that it names, like 10.0.0.0/8")
	}
	if p.PerReplica == 0 {
		if p.Peers != "" || p.Replica != 0 {
			v.problem("passive.per_replica", "missing; give each replica so many ports of the range")
		}
		return
	}
	size := p.Ports.Last - p.Ports.First + 1
	switch {
	case p.PerReplica < 0 || p.Ports.First == 0 || size%max(p.PerReplica, 1) != 0:
		v.problem("passive.per_replica", "%d does not divide the %d ports of %s; each replica has as many as the others", p.PerReplica, size, p.Ports)
	case int(p.Replica) >= size/p.PerReplica:
		v.problem("passive.replica", "%d has no ports: the range has room for %d replicas of %d, numbered from 0", p.Replica, size/p.PerReplica, p.PerReplica)
	}
	if !strings.Contains(p.Peers, replicaMark) {
		v.problem("passive.peers", "has to have %s where the number of a replica goes, like sluice-%s.sluice-peers", replicaMark, replicaMark)
	}
}

// tlsVersions are the choices of tls.min_version.
var tlsVersions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

func (v validator) tls(c *tlsConfig) {
	oneOf(v, "tls.mode", c.Mode, gateway.TLSRequired, gateway.TLSOptional, gateway.TLSOff)
	oneOf(v, "tls.min_version", c.MinVersion, "1.2", "1.3")
	oneOf(v, "tls.session_reuse", c.Reuse, auth.ReuseOff, auth.ReusePrefer, auth.ReuseRequire)
	if c.ClientCRL != "" && c.ClientCA == "" {
		v.problem("tls.client_crl_file", "needs client_ca_file, whose certificates it takes back")
	}
	c.ClientCA, c.ClientCRL = v.path(c.ClientCA), v.path(c.ClientCRL)
	if c.CertFile != "" || c.KeyFile != "" || c.Mode != gateway.TLSOff && len(c.Certificates) == 0 {
		v.pair("tls", c.CertFile, c.KeyFile)
	}
	c.CertFile, c.KeyFile = v.path(c.CertFile), v.path(c.KeyFile)
	for i := range c.Certificates {
		p := &c.Certificates[i]
		v.pair(fmt.Sprintf("tls.certificates[%d]", i), p.CertFile, p.KeyFile)
		p.CertFile, p.KeyFile = v.path(p.CertFile), v.path(p.KeyFile)
	}
}

func (v validator) pair(key, cert, private string) {
	switch {
	case cert == "" && private == "":
		v.problem(key+".cert_file", "missing, and key_file too; name the PEM files of a certificate and its key")
	case cert == "":
		v.problem(key+".cert_file", "missing; name the PEM file of the certificate that key_file %q belongs to", private)
	case private == "":
		v.problem(key+".key_file", "missing; name the PEM file of the key that cert_file %q belongs to", cert)
	}
}

func (v validator) limits(c *config) {
	v.between("limits.idle_timeout", c.Limits.IdleTimeout, time.Second, 24*time.Hour)
	v.between("limits.data_stall_timeout", c.Limits.DataStallTimeout, time.Second, 24*time.Hour)
	v.between("limits.login_timeout", c.Limits.LoginTimeout, time.Second, 24*time.Hour)
	if c.Limits.QuotaRecount != 0 {
		v.between("limits.quota_recount", c.Limits.QuotaRecount, time.Minute, 365*24*time.Hour)
	}
	v.bans(c.Bans)
	for key, n := range map[string]int{"connections": c.Limits.Connections, "connections_per_ip": c.Limits.PerIP} {
		if n < 0 {
			v.problem("limits."+key, "%d is below 0; 0 is no bound", n)
		}
	}
	v.between("shutdown_grace", c.ShutdownGrace, 0, 24*time.Hour)
	v.between("drain_delay", c.DrainDelay, 0, time.Hour)
}

func (v validator) http(c *config) {
	h := &c.HTTP
	if h.CertFile != "" || h.KeyFile != "" {
		v.pair("http", h.CertFile, h.KeyFile)
	}
	secret := h.Password != "" || h.PasswordFile != ""
	switch {
	case c.Listen.HTTP == "" && *h != (httpConfig{}):
		v.problem("listen.http", "missing; give it an address, like :9090, or leave http out")
	case h.Password != "" && h.PasswordFile != "":
		v.problem("http.password_file", "there is password too; give one of them")
	case h.Username != "" && !secret:
		v.problem("http.username", "needs password or password_file")
	case h.Username == "" && secret:
		v.problem("http.username", "missing, but there is a password")
	}
	h.CertFile, h.KeyFile, h.PasswordFile = v.path(h.CertFile), v.path(h.KeyFile), v.path(h.PasswordFile)
	if c.Metrics.Users < 0 || c.Metrics.Users > mostUserSeries {
		v.problem("metrics.users", "%d is not within 0 and %d", c.Metrics.Users, mostUserSeries)
	}
}

// mostUserSeries is how many users may have series of their own: each has a dozen.
const mostUserSeries = 10_000

func (v validator) hook(c *hookConfig) {
	oneOf(v, "auth.type", c.Type, "", "http")
	switch {
	case c.Type == "" && (c.URL != "" || c.TokenFile != "" || c.CAFile != ""):
		v.problem("auth.type", "missing; http is what there is")
	case c.Type != "" && c.URL == "":
		v.problem("auth.url", "missing; name what is asked, like https://users.example.com/login")
	}
	v.between("auth.timeout", c.Timeout, 100*time.Millisecond, 10*time.Second)
	v.between("auth.cache", c.Cache, 0, time.Hour)
	c.TokenFile, c.CAFile = v.path(c.TokenFile), v.path(c.CAFile)
}

func (v validator) bans(c bansConfig) {
	if c.Failures < 0 {
		v.problem("bans.failures", "%d is below 0; 0 never bans", c.Failures)
	}
	v.between("bans.window", c.Window, time.Second, 24*time.Hour)
	v.between("bans.ban", c.Ban, time.Second, 24*time.Hour)
	v.between("bans.max_ban", c.MaxBan, time.Duration(c.Ban), 365*24*time.Hour)
}

func (v validator) between(key string, d duration, least, most time.Duration) {
	if time.Duration(d) < least || time.Duration(d) > most {
		v.problem(key, "%s is not within %s and %s", d, shortDuration(least), shortDuration(most))
	}
}

func (v validator) tuning(c tuningConfig) {
	if c.BufferSize < 4<<10 || c.BufferSize > 4<<20 {
		v.problem("tuning.buffer_size", "%s is not within 4KiB and 4MiB", c.BufferSize)
	}
	for key, s := range map[string]size{"tuning.so_rcvbuf": c.SORcvBuf, "tuning.so_sndbuf": c.SOSndBuf} {
		if s != 0 && (s < 4<<10 || s > 1<<30) {
			v.problem(key, "%s is not within 4KiB and 1GiB; 0 leaves it to the system", s)
		}
	}
}

var backendName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)

func (v validator) backends(c *config) {
	if len(c.Backends) == 0 {
		v.problem("backends", "missing; there has to be one, like disk: {type: local, root: ./data}")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Backends)) {
		key, raw := "backends."+name, c.Backends[name]
		if !backendName.MatchString(name) {
			v.problem(key, "%q is not a name; use letters, digits, - and _", name)
			continue
		}
		kind := raw.Text("type")
		open, ok := kinds[kind]
		if !ok {
			v.unknownKind(key+".type", kind)
			continue
		}
		before := v.doc.Count()
		s := open()
		raw.Decode(s, "type")
		s.check(v, key)
		if v.doc.Count() == before {
			c.stores[name] = s
		}
	}
	v.distinctRoots(c.stores)
}

func (v validator) unknownKind(key, kind string) {
	known := strings.Join(slices.Sorted(maps.Keys(kinds)), ", ")
	if kind == "" {
		v.problem(key, "missing; name one of %s", known)
		return
	}
	v.problem(key, "%q is not a type of backend; there are %s", kind, known)
}
