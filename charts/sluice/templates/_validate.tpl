{{/* What the schema cannot say: values that contradict each other, each with what to do. */}}
{{- define "sluice.validate" -}}
{{- $v := .Values }}
{{- $ftp := $v.ftp }}
{{- $most := int (include "sluice.mostNow" .) }}
{{- $tls := default (dict) $v.config.tls }}
{{- $first := int $ftp.passive.startPort }}
{{- $last := int (include "sluice.lastPort" .) }}

{{- if not (or $v.image.registry $v.global.imageRegistry $v.image.digest) }}
{{- fail "image.registry: missing; name the registry that your image is in, or a container runtime takes the name for a stranger's" }}
{{- end }}
{{- if and $v.users.existingSecret $v.users.inline }}
{{- fail "users: existingSecret and inline exclude each other; leave one out" }}
{{- end }}
{{- if not (or $v.users.existingSecret $v.users.inline) }}
{{- fail "users: missing; name a Secret with users.yaml in users.existingSecret, or give the file in users.inline (--set-file users.inline=users.yaml)" }}
{{- end }}

{{- if and $v.tls.existingSecret $v.tls.certManager.enabled }}
{{- fail "tls: existingSecret and certManager exclude each other; leave one out" }}
{{- end }}
{{- if and $v.tls.certManager.enabled (not (and $v.tls.certManager.issuerRef $v.tls.certManager.dnsNames)) }}
{{- fail "tls.certManager: needs issuerRef and dnsNames" }}
{{- end }}
{{- $mode := default "required" $tls.mode }}
{{- if and (not (include "sluice.tlsSecret" .)) (ne $mode "off") (not $v.existingConfigSecret) }}
{{- fail "tls: missing; name a Secret of type kubernetes.io/tls in tls.existingSecret, or set tls.certManager.enabled" }}
{{- end }}
{{- if and $ftp.implicitTLS.enabled (eq $mode "off") }}
{{- fail "ftp.implicitTLS.enabled: needs TLS, but config.tls.mode is off; disable it" }}
{{- end }}

{{- if and $v.existingConfigSecret $v.config }}
{{- fail "existingConfigSecret: is a whole configuration, so config has no effect; leave one out" }}
{{- end }}
{{- if and (not $v.existingConfigSecret) (not $v.config.backends) }}
{{- fail "config.backends: missing; give one, like --set config.backends.lake.type=s3,config.backends.lake.bucket=partners" }}
{{- end }}
{{- $owned := dict
  "listen" "ftp.port, ftp.implicitTLS and metrics.port"
  "passive" "ftp.passive"
  "proxy_protocol" "ftp.proxyProtocol"
  "trusted_proxies" "ftp.proxyProtocol.trustedNetworks"
  "users_file" "users"
  "active_mode" "ftp.activeMode.enabled"
  "drain_delay" "drainDelaySeconds"
  "shutdown_grace" "terminationGracePeriodSeconds" }}
{{- range $key, $value := $owned }}
{{- if hasKey $v.config $key }}{{ fail (printf "config.%s: the chart sets it; use %s" $key $value) }}{{ end }}
{{- end }}
{{- range $key := list "cert_file" "key_file" "client_ca_file" "client_crl_file" }}
{{- if hasKey $tls $key }}{{ fail (printf "config.tls.%s: the chart sets it; use tls.existingSecret, tls.certManager or tls.clientCA" $key) }}{{ end }}
{{- end }}

{{- with $v.config.http }}
{{- if or .cert_file .key_file }}{{ fail "config.http.cert_file: probes and scrapes speak plain HTTP here; leave it out, and let a NetworkPolicy keep others away" }}{{ end }}
{{- if and .username (or $v.metrics.serviceMonitor.enabled $v.metrics.podMonitor.enabled) }}{{ fail "config.http.username: the monitors of this chart have no password; disable them, and scrape by one of your own" }}{{ end }}
{{- end }}
{{- if and $v.tests.existingSecret (eq $mode "off") }}
{{- fail "tests.existingSecret: the test logs in under TLS, but config.tls.mode is off; leave it out" }}
{{- end }}

{{- if and (eq $ftp.passive.exposure "shared") (gt $most (int $ftp.passive.maxReplicas)) }}
{{- fail (printf "ftp.passive.maxReplicas: there are to be %d replicas, but ports are for %d; raise it" $most (int $ftp.passive.maxReplicas)) }}
{{- end }}
{{- if gt $last 65535 }}
{{- fail (printf "ftp.passive: %d ports from %d on pass 65535; lower startPort or portsPerReplica" (int (include "sluice.passivePorts" .)) $first) }}
{{- end }}
{{- $ports := dict "ftp.port" (int $ftp.port) "metrics.port" (int $v.metrics.port) }}
{{- if $ftp.implicitTLS.enabled }}{{ $_ := set $ports "ftp.implicitTLS.port" (int $ftp.implicitTLS.port) }}{{ end }}
{{- if ne (len $ports) (len (uniq (values $ports))) }}
{{- fail "ftp.port, ftp.implicitTLS.port and metrics.port: two are the same; change one" }}
{{- end }}
{{- range $key, $port := $ports }}
{{- if and (ge $port $first) (le $port $last) }}{{ fail (printf "%s: %d lies in the passive range %d-%d; move one of them" $key $port $first $last) }}{{ end }}
{{- end }}
{{- if and $ftp.implicitTLS.enabled (eq (int $v.service.port) (int $v.service.implicitPort)) }}
{{- fail "service.port and service.implicitPort: the same; change one" }}
{{- end }}
{{- range $key := list "port" "implicitPort" }}
{{- $port := int (get $v.service $key) }}
{{- if and (ge $port $first) (le $port $last) }}{{ fail (printf "service.%s: %d lies in the passive range %d-%d; move one of them" $key $port $first $last) }}{{ end }}
{{- end }}
{{- $listeners := add (include "sluice.passivePorts" .) (ternary 2 1 $ftp.implicitTLS.enabled) }}
{{- range $key, $_ := $v.service.annotations }}
{{- if and (hasPrefix "service.beta.kubernetes.io/aws-load-balancer-" $key) (gt (int $listeners) 50) }}
{{- fail (printf "ftp.passive: an NLB has 50 listeners at most, but %d ports are asked for; lower portsPerReplica or maxReplicas" $listeners) }}
{{- end }}
{{- end }}
{{- if and (eq $v.service.type "NodePort") (eq $ftp.passive.exposure "shared") (or (lt $first 30000) (gt $last 32767)) }}
{{- fail (printf "service.type NodePort: partners connect to node ports, so the passive range %d-%d has to lie in 30000-32767; set ftp.passive.startPort" $first $last) }}
{{- end }}
{{- if and (or $ftp.proxyProtocol.control $ftp.proxyProtocol.data) (not $ftp.proxyProtocol.trustedNetworks) }}
{{- fail "ftp.proxyProtocol: needs trustedNetworks, those of the balancer" }}
{{- end }}

{{- if lt (int (sub $v.terminationGracePeriodSeconds $v.drainDelaySeconds)) 40 }}
{{- fail "terminationGracePeriodSeconds: has to be 40 more than drainDelaySeconds at least; transfers get what lies between, but half a minute" }}
{{- end }}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) }}
{{- fail "autoscaling: minReplicas is more than maxReplicas" }}
{{- end }}
{{- if and $v.persistence.enabled (gt $most 1) (not $v.persistence.existingClaim) (not (has "ReadWriteMany" $v.persistence.accessModes)) }}
{{- fail "persistence.accessModes: several replicas need ReadWriteMany, for all have to see the same files; or set replicaCount to 1" }}
{{- end }}
{{- if and $v.metrics.serviceMonitor.enabled $v.metrics.podMonitor.enabled }}
{{- fail "metrics: serviceMonitor and podMonitor would scrape everything twice; disable one" }}
{{- end }}
{{- end }}
