package main

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/gateway"
	"github.com/sluice-ftp/sluice/limits"
	"github.com/sluice-ftp/sluice/yamlfile"
)

// config is the configuration file; docs/configuration.md describes each key.
type config struct {
	Listen         listenConfig            `yaml:"listen"`
	Passive        passiveConfig           `yaml:"passive"`
	Proxy          proxyConfig             `yaml:"proxy_protocol"`
	TrustedProxies []auth.Network          `yaml:"trusted_proxies"`
	TLS            tlsConfig               `yaml:"tls"`
	MemoryBudget   size                    `yaml:"memory_budget"`
	Limits         limitsConfig            `yaml:"limits"`
	Bans           bansConfig              `yaml:"bans"`
	Site           siteConfig              `yaml:"site"`
	Tuning         tuningConfig            `yaml:"tuning"`
	TransferEOF    gateway.EOFPolicy       `yaml:"transfer_eof"`
	ASCII          gateway.ASCIIPolicy     `yaml:"ascii"`
	ActiveMode     bool                    `yaml:"active_mode"`
	AllowFrom      []auth.Network          `yaml:"allow_from"`
	DenyFrom       []auth.Network          `yaml:"deny_from"`
	DeniedCommands []string                `yaml:"denied_commands"`
	DrainDelay     duration                `yaml:"drain_delay"`
	ShutdownGrace  duration                `yaml:"shutdown_grace"`
	HTTP           httpConfig              `yaml:"http"`
	Metrics        metricsConfig           `yaml:"metrics"`
	Log            logConfig               `yaml:"log"`
	AuditLog       auditConfig             `yaml:"audit_log"`
	AdminSocket    string                  `yaml:"admin_socket"`
	Backends       map[string]yamlfile.Raw `yaml:"backends"`
	UsersFile      string                  `yaml:"users_file"`
	Auth           hookConfig              `yaml:"auth"`

	// stores are the backends whose own keys are right.
	stores map[string]store
	// path and doc are the file and its places; "" and nil without one.
	path string
	doc  *yamlfile.Document
}

type (
	listenConfig struct {
		FTP  string `yaml:"ftp"`
		FTPS string `yaml:"ftps"`
		HTTP string `yaml:"http"`
	}
	httpConfig struct {
		CertFile     string `yaml:"cert_file"`
		KeyFile      string `yaml:"key_file"`
		Username     string `yaml:"username"`
		Password     string `yaml:"password"`
		PasswordFile string `yaml:"password_file"`
		Pprof        bool   `yaml:"pprof"`
	}
	metricsConfig struct {
		Users int `yaml:"users"`
	}
	passiveConfig struct {
		Ports      portRange `yaml:"ports"`
		PublicHost string    `yaml:"public_host"`
		ListenHost string    `yaml:"listen_host"`
		PerReplica int       `yaml:"per_replica"`
		Replica    ordinal   `yaml:"replica"`
		Peers      string    `yaml:"peers"`
	}
	proxyConfig struct {
		Control bool `yaml:"control"`
		Data    bool `yaml:"data"`
	}
	tlsConfig struct {
		Mode         gateway.TLSMode `yaml:"mode"`
		CertFile     string          `yaml:"cert_file"`
		KeyFile      string          `yaml:"key_file"`
		Certificates []keyPair       `yaml:"certificates"`
		MinVersion   string          `yaml:"min_version"`
		Reuse        auth.Reuse      `yaml:"session_reuse"`
		ClientCA     string          `yaml:"client_ca_file"`
		ClientCRL    string          `yaml:"client_crl_file"`
	}
	keyPair struct {
		CertFile string `yaml:"cert_file"`
		KeyFile  string `yaml:"key_file"`
	}
	limitsConfig struct {
		IdleTimeout      duration `yaml:"idle_timeout"`
		DataStallTimeout duration `yaml:"data_stall_timeout"`
		LoginTimeout     duration `yaml:"login_timeout"`
		Connections      int      `yaml:"connections"`
		PerIP            int      `yaml:"connections_per_ip"`
		Upload           size     `yaml:"upload"`
		Download         size     `yaml:"download"`
		QuotaRecount     duration `yaml:"quota_recount"`
	}
	bansConfig struct {
		Failures int            `yaml:"failures"`
		Window   duration       `yaml:"window"`
		Ban      duration       `yaml:"ban"`
		MaxBan   duration       `yaml:"max_ban"`
		Never    []auth.Network `yaml:"never"`
	}
	hookConfig struct {
		Type      string   `yaml:"type"`
		URL       string   `yaml:"url"`
		Timeout   duration `yaml:"timeout"`
		Cache     duration `yaml:"cache"`
		TokenFile string   `yaml:"token_file"`
		CAFile    string   `yaml:"ca_file"`
		AllowHTTP bool     `yaml:"allow_http"`
	}
	siteConfig struct {
		CHMOD    gateway.CHMODPolicy `yaml:"chmod"`
		Commands []siteHook          `yaml:"commands"`
	}
	tuningConfig struct {
		BufferSize size `yaml:"buffer_size"`
		TCPNoDelay bool `yaml:"tcp_nodelay"`
		SORcvBuf   size `yaml:"so_rcvbuf"`
		SOSndBuf   size `yaml:"so_sndbuf"`
	}
	logConfig struct {
		Level  string `yaml:"level"`
		Format string `yaml:"format"`
	}
	auditConfig struct {
		Path     string `yaml:"path"`
		Required bool   `yaml:"required"`
		SHA256   bool   `yaml:"sha256"`
	}
)

// defaultConfig is what holds for keys that a file does not have.
func defaultConfig() *config {
	return &config{
		Listen:  listenConfig{FTP: ":2121", FTPS: ":2990"},
		Passive: passiveConfig{Ports: portRange{20000, 20099}},
		TLS:     tlsConfig{Mode: gateway.TLSRequired, MinVersion: "1.2", Reuse: auth.ReusePrefer},
		Limits: limitsConfig{
			IdleTimeout:      duration(5 * time.Minute),
			DataStallTimeout: duration(2 * time.Minute),
			LoginTimeout:     duration(30 * time.Second),
			QuotaRecount:     duration(24 * time.Hour),
		},
		Bans: bansConfig{
			Failures: 10, Window: duration(10 * time.Minute), Ban: duration(10 * time.Minute), MaxBan: duration(24 * time.Hour),
			Never: privateNetworks(),
		},
		Auth:          hookConfig{Timeout: duration(5 * time.Second), Cache: duration(time.Minute)},
		Site:          siteConfig{CHMOD: gateway.CHMODIgnore},
		Tuning:        tuningConfig{BufferSize: 256 << 10, TCPNoDelay: true},
		ASCII:         gateway.ASCIIConvert,
		ShutdownGrace: duration(time.Minute),
		Log:           logConfig{Level: "info"},
		stores:        map[string]store{},
	}
}

// privateNetworks are those in which many partners may come from one address, that of a load balancer or
// of a node: RFC 1918, RFC 6598, RFC 4193 and this machine.
func privateNetworks() []auth.Network {
	var all []auth.Network
	for _, p := range []string{
		"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7",
	} {
		all = append(all, auth.Network(netip.MustParsePrefix(p)))
	}
	return all
}

// loadConfig reads the file at path. All that is wrong with it is returned as yamlfile.Problems; the
// configuration is then what could be read, or nil.
func loadConfig(path string, env func(string) (string, bool)) (*config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		todo := cmp.Or(mendFile(err), "name a file with --config")
		return nil, hint{error: fmt.Errorf("configuration: %w", err), todo: todo}
	}
	return parseConfig(path, data, env)
}

func parseConfig(path string, data []byte, env func(string) (string, bool)) (*config, error) {
	doc, err := yamlfile.Parse(path, data)
	if err != nil {
		return nil, err
	}
	doc.Expand = expander(env)
	c := defaultConfig()
	c.path, c.doc = path, doc
	doc.Decode(c)
	if c.TLS.Mode == gateway.TLSOff && !doc.Has("listen.ftps") {
		c.Listen.FTPS = "" // only one that was asked for can be wrong
	}
	v := validator{doc: doc, dir: filepath.Dir(path)}
	v.config(c)
	return c, doc.Err()
}

// options are what the gateway is told.
func (c *config) options() gateway.Options {
	return gateway.Options{
		TLS:    gateway.TLSOptions{Mode: c.TLS.Mode, MinVersion: tlsVersions[c.TLS.MinVersion], Reuse: c.TLS.Reuse},
		Policy: c.policy(),
		Passive: gateway.PassiveOptions{
			FirstPort:  c.Passive.Ports.First,
			LastPort:   c.Passive.Ports.Last,
			PublicHost: c.Passive.PublicHost,
			ListenHost: c.Passive.ListenHost,
			PerReplica: c.Passive.PerReplica,
			Replica:    int(c.Passive.Replica),
			Peer:       c.peer(),
		},
		QuotaAge:     2 * time.Duration(c.Limits.QuotaRecount), // those of the users file are counted before
		Proxy:        gateway.ProxyOptions{Control: c.Proxy.Control, Data: c.Proxy.Data, Trusted: auth.Prefixes(c.TrustedProxies)},
		CHMOD:        c.Site.CHMOD,
		SiteCommands: siteCommands(c.Site.Commands),
		AuditSHA256:  c.AuditLog.SHA256,
		Tuning: gateway.Tuning{
			BufferSize:    int(c.Tuning.BufferSize),
			Delay:         !c.Tuning.TCPNoDelay,
			ReceiveBuffer: int(c.Tuning.SORcvBuf),
			SendBuffer:    int(c.Tuning.SOSndBuf),
		},
		ActiveMode:  c.ActiveMode,
		TransferEOF: c.TransferEOF,
		ASCII:       c.ASCII,
	}
}

// replicaMark stands for the number of a replica in passive.peers.
const replicaMark = "{replica}"

// peer tells where the other replicas are; nil is nowhere.
func (c *config) peer() func(int) string {
	if c.Passive.PerReplica == 0 {
		return nil
	}
	return func(replica int) string {
		return strings.ReplaceAll(c.Passive.Peers, replicaMark, strconv.Itoa(replica))
	}
}

// policy is what the gateway is told, also when it runs.
func (c *config) policy() gateway.Policy {
	return gateway.Policy{
		AllowFrom: auth.Prefixes(c.AllowFrom), DenyFrom: auth.Prefixes(c.DenyFrom), DeniedCommands: c.DeniedCommands,
		Limits: gateway.Limits{
			IdleTimeout:      time.Duration(c.Limits.IdleTimeout),
			DataStallTimeout: time.Duration(c.Limits.DataStallTimeout),
			LoginTimeout:     time.Duration(c.Limits.LoginTimeout),
			Connections:      c.Limits.Connections, ConnectionsPerAddress: c.Limits.PerIP,
			Upload: int64(c.Limits.Upload), Download: int64(c.Limits.Download),
			Bans: limits.BanPolicy{
				Failures: c.Bans.Failures, Window: time.Duration(c.Bans.Window), Ban: time.Duration(c.Bans.Ban),
				MaxBan: time.Duration(c.Bans.MaxBan), Never: auth.Prefixes(c.Bans.Never),
			},
		},
	}
}

// fault is what went wrong with what the value of key names, and what to do about it, at its place.
func (c *config) fault(key string, err error, todo string) error {
	if c.doc == nil {
		return hint{error: fmt.Errorf("%s: %w", key, err), todo: todo}
	}
	text := err.Error()
	if todo != "" {
		text += "; " + todo
	}
	return yamlfile.Problems{c.doc.At(key, text)}
}

// keyPairAt is a certificate with its key, and the key of the configuration that they stand below.
type keyPairAt struct {
	key string
	gateway.KeyPair
}

// keyPairs are all certificates that have a key, in the order of the file.
func (c *config) keyPairs() []keyPairAt {
	var pairs []keyPairAt
	for i, p := range append([]keyPair{{c.TLS.CertFile, c.TLS.KeyFile}}, c.TLS.Certificates...) {
		key := "tls"
		if i > 0 {
			key = fmt.Sprintf("tls.certificates[%d]", i-1)
		}
		if p.CertFile != "" && p.KeyFile != "" {
			pairs = append(pairs, keyPairAt{key, gateway.KeyPair{CertFile: p.CertFile, KeyFile: p.KeyFile}})
		}
	}
	return pairs
}

// backendNames are those of all backends, also of the ones that something is wrong with.
func (c *config) backendNames() []string {
	names := slices.Collect(maps.Keys(c.Backends))
	for name := range c.stores {
		if _, ok := c.Backends[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
