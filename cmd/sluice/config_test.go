package main

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/gateway"
	"github.com/sluice-ftp/sluice/limits"
	"github.com/sluice-ftp/sluice/yamlfile"
)

// environ is an environment for tests.
func environ(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}
}

// rest is what a configuration needs beside the keys that a test is about.
const rest = "\nbackends: {disk: {type: local, root: data}}\nusers_file: users.yaml\n"

const certs = "cert_file: c.pem, key_file: k.pem"

var pairFields = cmp.AllowUnexported(keyPairAt{})

var comparePrefixes = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

func TestConfigMinimal(t *testing.T) {
	c, err := parseConfig("/etc/sluice/sluice.yaml", []byte("tls: {"+certs+"}"+rest), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := gateway.Options{
		TLS:     gateway.TLSOptions{Mode: gateway.TLSRequired, MinVersion: 0x0303, Reuse: auth.ReusePrefer},
		Passive: gateway.PassiveOptions{FirstPort: 20000, LastPort: 20099},
		Policy: gateway.Policy{Limits: gateway.Limits{
			IdleTimeout: 5 * time.Minute, DataStallTimeout: 2 * time.Minute, LoginTimeout: 30 * time.Second,
			Bans: limits.BanPolicy{
				Failures: 10, Window: 10 * time.Minute, Ban: 10 * time.Minute, MaxBan: 24 * time.Hour,
				Never: auth.Prefixes(privateNetworks()),
			},
		}},
		Tuning: gateway.Tuning{BufferSize: 256 << 10},
		ASCII:  gateway.ASCIIConvert, CHMOD: gateway.CHMODIgnore, QuotaAge: 48 * time.Hour,
	}
	if diff := cmp.Diff(want, c.options(), cmpopts.EquateEmpty(), comparePrefixes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(listenConfig{FTP: ":2121", FTPS: ":2990"}, c.Listen); diff != "" {
		t.Error(diff)
	}
	if c.UsersFile != "/etc/sluice/users.yaml" || c.stores["disk"].(*localStore).Root != "/etc/sluice/data" {
		t.Error(c.UsersFile, c.stores["disk"])
	}
	if diff := cmp.Diff([]keyPairAt{{"tls", gateway.KeyPair{CertFile: "/etc/sluice/c.pem", KeyFile: "/etc/sluice/k.pem"}}}, c.keyPairs(), pairFields); diff != "" {
		t.Error(diff)
	}
}

func TestConfigFull(t *testing.T) {
	text := `
listen: {ftp: "127.0.0.1:0", ftps: ""}
passive: {ports: 30000, public_host: ${HOST}}
tls:
  mode: optional
  cert_file: /abs/c.pem
  key_file: k.pem
  certificates: [{cert_file: rsa.pem, key_file: rsa.key}]
  min_version: 1.3
  session_reuse: require
  client_ca_file: ca.pem
  client_crl_file: /crl.pem
allow_from: [192.0.2.0/24, "2001:db8::1"]
deny_from: [192.0.2.7]
denied_commands: [site, MFMT]
bans: {failures: 3, window: 1m, ban: 2m, max_ban: 3m, never: []}
site: {chmod: refuse}
limits:
  {idle_timeout: 1h30m, data_stall_timeout: 90s, login_timeout: 1s, connections: 7, connections_per_ip: 5, upload: 1MiB, download: 2MiB, quota_recount: 2h}
tuning: {buffer_size: 1MiB, tcp_nodelay: false, so_rcvbuf: 4 MiB, so_sndbuf: 65536}
transfer_eof: off
ascii: binary
active_mode: ${ACTIVE:-true}
shutdown_grace: 0s
log: {level: debug, format: json}
backends:
  disk: {type: local, root: /srv/data, fsync: never}
  b-2: {root: "${EMPTY}/x", type: local}
users_file: /users.yaml
`
	text = strings.Replace(text, "${HOST}}", `"${HOST}"}`, 1)
	c, err := parseConfig("s.yaml", []byte(text), environ(map[string]string{"HOST": "203.0.113.7", "EMPTY": ""}))
	if err != nil {
		t.Fatal(err)
	}
	want := gateway.Options{
		TLS:     gateway.TLSOptions{Mode: gateway.TLSOptional, MinVersion: 0x0304, Reuse: auth.ReuseRequire},
		Passive: gateway.PassiveOptions{FirstPort: 30000, LastPort: 30000, PublicHost: "203.0.113.7"},
		Policy: gateway.Policy{
			Limits: gateway.Limits{
				IdleTimeout: 90 * time.Minute, DataStallTimeout: 90 * time.Second, LoginTimeout: time.Second,
				Connections: 7, ConnectionsPerAddress: 5, Upload: 1 << 20, Download: 2 << 20,
				Bans: limits.BanPolicy{Failures: 3, Window: time.Minute, Ban: 2 * time.Minute, MaxBan: 3 * time.Minute},
			},
			AllowFrom:      []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::1/128")},
			DenyFrom:       []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")},
			DeniedCommands: []string{"SITE", "MFMT"},
		},
		QuotaAge: 4 * time.Hour,
		CHMOD:    gateway.CHMODRefuse,
		Tuning: gateway.Tuning{
			BufferSize: 1 << 20, Delay: true, ReceiveBuffer: 4 << 20, SendBuffer: 64 << 10,
		},
		TransferEOF: gateway.EOFOff,
		ASCII:       gateway.ASCIIBinary,
		ActiveMode:  true,
	}
	if diff := cmp.Diff(want, c.options(), cmpopts.EquateEmpty(), comparePrefixes); diff != "" {
		t.Error(diff)
	}
	if c.TLS.ClientCA != "ca.pem" || c.TLS.ClientCRL != "/crl.pem" {
		t.Error(c.TLS.ClientCA, c.TLS.ClientCRL)
	}
	if diff := cmp.Diff([]keyPairAt{
		{"tls", gateway.KeyPair{CertFile: "/abs/c.pem", KeyFile: "k.pem"}},
		{"tls.certificates[0]", gateway.KeyPair{CertFile: "rsa.pem", KeyFile: "rsa.key"}},
	}, c.keyPairs(), pairFields); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]store{
		"disk": &localStore{Root: "/srv/data", Fsync: "never", Resumable: kept},
		"b-2":  &localStore{Root: "/x", Fsync: "always", Resumable: kept},
	}, c.stores); diff != "" {
		t.Error(diff)
	}
	if c.ShutdownGrace != 0 || c.Log != (logConfig{"debug", "json"}) {
		t.Error(c.ShutdownGrace, c.Log)
	}
}

func TestConfigProblems(t *testing.T) {
	const tlsOK = "tls: {" + certs + "}\n"
	for name, c := range map[string]struct{ text, want string }{
		"empty": {"", `F:1:1: tls.cert_file: missing, and key_file too; name the PEM files of a certificate and its key
F:1:1: backends: missing; there has to be one, like disk: {type: local, root: ./data}
F:1:1: users_file: missing; name the file with the users, like users.yaml`},
		"key of a later version": {tlsOK + "quotas: {path: a}\nlimits: {queue: 5}" + rest, `F:2:1: quotas: unknown key; known here are listen, passive, proxy_protocol, trusted_proxies, tls, memory_budget, limits, bans, site, tuning, transfer_eof, ascii, active_mode, allow_from, deny_from, denied_commands, drain_delay, shutdown_grace, http, metrics, log, audit_log, admin_socket, backends, users_file, auth
F:3:10: limits.queue: unknown key; known here are idle_timeout, data_stall_timeout, login_timeout, connections, connections_per_ip, upload, download, quota_recount`},
		"little memory": {tlsOK + "memory_budget: 1MiB" + rest, `F:2:16: memory_budget: 1MiB is not within 16MiB and 16GiB; 0 is a quarter of the memory limit`},
		"no listener":   {tlsOK + "listen: {ftp: '', ftps: ''}" + rest, `F:2:10: listen: nothing to listen on; give ftp or ftps an address, like :2121`},
		"addresses": {tlsOK + "listen: {ftp: '2121', ftps: ':ftps'}" + rest, `F:2:15: listen.ftp: "2121" is not an address; write it like :2121 or 127.0.0.1:2121
F:2:29: listen.ftps: "ftps" is not a port; it is a number up to 65535`},
		"address hosts": {tlsOK + "listen: {ftp: '127.0.0:2121', ftps: '[::1]:70000'}" + rest, `F:2:15: listen.ftp: "127.0.0" is neither an IP address nor a name
F:2:37: listen.ftps: "70000" is not a port; it is a number up to 65535`},
		"replicas": {
			tlsOK + "passive: {ports: '30000-30009', per_replica: 4, peers: sluice, listen_host: here, replica: sluice-x}\nproxy_protocol: {data: true}" + rest,
			`F:1:1: trusted_proxies: missing; proxy_protocol takes the word of the networks that it names, like 10.0.0.0/8
F:2:46: passive.per_replica: 4 does not divide the 10 ports of 30000-30009; each replica has as many as the others
F:2:56: passive.peers: has to have {replica} where the number of a replica goes, like sluice-{replica}.sluice-peers
F:2:77: passive.listen_host: "here" is not an IP address
F:2:92: passive.replica: "sluice-x" does not end with a number; give that of the replica, from 0, or the name of a StatefulSet's pod`,
		},
		"same port":    {tlsOK + "listen: {ftp: ':2121', ftps: '127.0.0.1:2121'}" + rest, `F:2:30: listen.ftps: the same port as listen.ftp; change one of them`},
		"passive port": {tlsOK + "listen: {ftp: ':20099'}" + rest, `F:2:15: listen.ftp: port 20099 lies in passive.ports 20000-20099; move one of them`},
		"low passive":  {tlsOK + "passive: {ports: 1000-1100}" + rest, `F:2:18: passive.ports: "1000-1100" is not within 1024-65535, where clients and firewalls expect data connections`},
		"high passive": {tlsOK + "passive: {ports: 65000-65536}" + rest, `F:2:18: passive.ports: "65000-65536" is not within 1024-65535, where clients and firewalls expect data connections`},
		"no passive":   {tlsOK + "passive: {ports: all}" + rest, `F:2:18: passive.ports: "all" is not a range of ports; write it like 20000-20099`},
		"IPv6 public":  {tlsOK + "passive: {public_host: '2001:db8::1'}" + rest, `F:2:24: passive.public_host: "2001:db8::1" cannot be announced; PASV has room for an IPv4 address only`},
		"no public":    {tlsOK + "passive: {public_host: 0.0.0.0}" + rest, `F:2:24: passive.public_host: "0.0.0.0" cannot be announced; PASV has room for an IPv4 address only`},
		"public port":  {tlsOK + "passive: {public_host: 'ftp.example.com:21'}" + rest, `F:2:24: passive.public_host: "ftp.example.com:21" is neither an IPv4 address nor a name, and takes no port`},
		"short IPv4":   {tlsOK + "passive: {public_host: 10.0.1}" + rest, `F:2:24: passive.public_host: "10.0.1" is neither an IPv4 address nor a name, and takes no port`},
		"no key":       {"tls: {cert_file: c.pem}" + rest, `F:1:7: tls.key_file: missing; name the PEM file of the key that cert_file "c.pem" belongs to`},
		"no cert":      {"tls: {mode: optional, key_file: k.pem}" + rest, `F:1:7: tls.cert_file: missing; name the PEM file of the certificate that key_file "k.pem" belongs to`},
		"second pair": {"tls: {" + certs + ", certificates: [{}, {cert_file: x}]}" + rest, `F:1:57: tls.certificates[0].cert_file: missing, and key_file too; name the PEM files of a certificate and its key
F:1:62: tls.certificates[1].key_file: missing; name the PEM file of the key that cert_file "x" belongs to`},
		"implicit without TLS": {"tls: {mode: off}\nlisten: {ftps: ':2990'}" + rest, `F:2:16: listen.ftps: needs TLS, but tls.mode is off; set it to "" or change tls.mode`},
		"choices": {"tls: {mode: maybe, min_version: 1.1, " + certs + "}\ntransfer_eof: yes\nascii: ''\nlog: {level: loud, format: xml}" + rest, `F:1:13: tls.mode: "maybe" is not a choice; there are required, optional, off
F:1:33: tls.min_version: "1.1" is not a choice; there are 1.2, 1.3
F:2:15: transfer_eof: "yes" is not a choice; there are "", strict, alive, off
F:3:8: ascii: "" is not a choice; there are convert, binary
F:4:14: log.level: "loud" is not a choice; there are debug, info, warn, error
F:4:28: log.format: "xml" is not a choice; there are "", text, json`},
		"durations": {tlsOK + "limits: {idle_timeout: 0s, data_stall_timeout: -1s, login_timeout: 25h}\nshutdown_grace: x" + rest, `F:2:24: limits.idle_timeout: 0s is not within 1s and 24h
F:2:48: limits.data_stall_timeout: -1s is not within 1s and 24h
F:2:68: limits.login_timeout: 25h is not within 1s and 24h
F:3:17: shutdown_grace: "x" is not a duration; write it with its unit, like 90s, 5m or 1h30m`},
		"sizes": {tlsOK + "tuning: {buffer_size: 4095, so_rcvbuf: 1KiB, so_sndbuf: 64KB}" + rest, `F:2:23: tuning.buffer_size: 4095 is not within 4KiB and 4MiB
F:2:40: tuning.so_rcvbuf: 1KiB is not within 4KiB and 1GiB; 0 leaves it to the system
F:2:57: tuning.so_sndbuf: "64KB" is not a size; write bytes like 65536, or 256KiB, 1MiB`},
		"octal":   {tlsOK + "tuning: {buffer_size: 0640}" + rest, `F:2:23: tuning.buffer_size: "0640" is not a size; write bytes like 65536, or 256KiB, 1MiB`},
		"huge":    {tlsOK + "tuning: {so_rcvbuf: 4294967295GiB}" + rest, `F:2:21: tuning.so_rcvbuf: 4294967295GiB is not within 4KiB and 1GiB; 0 leaves it to the system`},
		"boolean": {tlsOK + "active_mode: yes" + rest, `F:2:14: active_mode: "yes" is neither true nor false`},
		"backends": {tlsOK + "backends:\n  a b: {type: local, root: x}\n  c: {root: x}\n  d: local\n  e: {type: local, root: x, fsync: sometimes}\nusers_file: u", `F:3:9: backends.a b: "a b" is not a name; use letters, digits, - and _
F:4:7: backends.c.type: missing; name one of gcs, local, s3
F:5:6: backends.d.type: missing; name one of gcs, local, s3
F:6:36: backends.e.fsync: "sometimes" is not a choice; there are always, never`},
		"one root": {tlsOK + "backends:\n  b: {type: local, root: x/../data/}\n  a: {type: local, root: ./data}\n  c: {type: local, root: dat}\nusers_file: u", `F:3:26: backends.b.root: the folder of backends.a already; use that one, with a prefix in the users' mounts`},
		"environment": {tlsOK + "passive: {ports: '${PORTS}', public_host: '${1}'}\nusers_file: ${NONE}\nbackends: {disk: {type: '${TYPE}', root: '${ROOT:-data'}}", `F:2:18: passive.ports: "9-1" begins after it ends; write the lower port first
F:2:43: passive.public_host: "${1}" is not a variable; write ${NAME} or ${NAME:-default}, or $${ for a plain ${
F:3:13: users_file: the environment has no variable NONE; set it, or give a default: ${NONE:-default}
F:4:42: backends.disk.root: "${ROOT:-data" is not a variable; write ${NAME} or ${NAME:-default}, or $${ for a plain ${`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseConfig("F", []byte(c.text), environ(map[string]string{"PORTS": "9-1", "TYPE": "local"}))
			var ps yamlfile.Problems
			if !errors.As(err, &ps) {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(c.want, "\n"), strings.Split(ps.Error(), "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Without TLS the implicit listener is off unless it was asked for.
func TestConfigWithoutTLS(t *testing.T) {
	c, err := parseConfig("s.yaml", []byte("tls: {mode: off}"+rest), nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen.FTPS != "" || len(c.keyPairs()) != 0 {
		t.Error(c.Listen, c.keyPairs())
	}
}

// A variable's value stays a value, whatever is in it.
func TestExpand(t *testing.T) {
	expand := expander(environ(map[string]string{"A": "x", "EMPTY": "", "YAML": "a\nroot: /etc # ${A}"}))
	for in, want := range map[string]string{
		"":                    "",
		"plain $A $ {A}":      "plain $A $ {A}",
		"${A}":                "x",
		"<${A}${A}>":          "<xx>",
		"${EMPTY}":            "",
		"${EMPTY:-d}":         "d",
		"${NONE:-d}":          "d",
		"${NONE:-}":           "",
		"${NONE:-a:-b}":       "a:-b",
		"$${A}":               "${A}",
		"${YAML}":             "a\nroot: /etc # ${A}",
		"${A:-${NONE}}":       "x}",
		"$argon2id$v=19$m=64": "$argon2id$v=19$m=64",
	} {
		if got, err := expand(in); got != want || err != nil {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"${NONE}", "${", "${}", "${A", "${A-x}", "${A B}", "x${9}"} {
		if got, err := expand(in); err == nil {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestValuesString(t *testing.T) {
	for _, c := range []struct {
		got  interface{ String() string }
		want string
	}{
		{size(0), "0"},
		{size(4095), "4095"},
		{size(256 << 10), "256KiB"},
		{size(3 << 20), "3MiB"},
		{size(1 << 30), "1GiB"},
		{duration(5 * time.Minute), "5m"},
		{duration(90 * time.Minute), "1h30m"},
		{duration(time.Hour), "1h"},
		{duration(0), "0s"},
		{duration(10 * time.Second), "10s"},
		{portRange{20000, 20099}, "20000-20099"},
		{portRange{}, ""},
	} {
		if c.got.String() != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

// FuzzConfig: no file makes the reader panic, and one that it takes can be served.
func FuzzConfig(f *testing.F) {
	f.Add([]byte("tls: {" + certs + "}" + rest))
	f.Add([]byte("tls: {mode: off}\npassive: {ports: 1-2, public_host: ${X}}\ntuning: {buffer_size: 1GiB}" + rest))
	f.Add([]byte("listen: {ftp: \"[::]:1\", ftps: \":${A:-2}\"}\nlimits: {idle_timeout: 1s}"))
	f.Add([]byte("backends: {a: {type: local}, b: ~, c: [], ? d : &x *x}\n---\n"))
	doc, err := os.ReadFile("../../docs/configuration.md")
	if err == nil {
		for _, block := range yamlBlocks(string(doc)) {
			f.Add([]byte(block))
		}
	}
	env := environ(map[string]string{"X": "1.2.3.4", "A": ""})
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseConfig("F", data, env)
		if err != nil {
			if strings.TrimSpace(err.Error()) == "" {
				t.Error("an error without a text")
			}
			return
		}
		o := c.options()
		if c.Listen == (listenConfig{}) || len(c.stores) == 0 || len(c.stores) != len(c.Backends) || c.UsersFile == "" {
			t.Errorf("%+v", c)
		}
		if o.TLS.Mode != gateway.TLSOff && len(c.keyPairs()) == 0 || o.TLS.Mode == gateway.TLSOff && c.Listen.FTPS != "" {
			t.Errorf("%+v", c.TLS)
		}
		if p := o.Passive; p.FirstPort < 1024 || p.FirstPort > p.LastPort || p.LastPort > 65535 {
			t.Errorf("%+v", p)
		}
		if o.Tuning.BufferSize < 4<<10 || o.Tuning.BufferSize > 4<<20 || o.Tuning.ReceiveBuffer < 0 || o.Limits.IdleTimeout <= 0 {
			t.Errorf("%+v", o)
		}
	})
}
