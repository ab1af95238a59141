{{- define "sluice.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{/* 52 characters: a StatefulSet adds a number for the pod and a hash for its label. */}}
{{- define "sluice.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "sluice.namespace" -}}
{{ default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{- define "sluice.selectorLabels" -}}
app.kubernetes.io/name: {{ include "sluice.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end }}

{{/* Labels of every object but pods; those of the gateway are not in them, or a test pod would be one. */}}
{{- define "sluice.labels" -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_")
  "app.kubernetes.io/name" (include "sluice.name" .)
  "app.kubernetes.io/instance" .Release.Name
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/managed-by" .Release.Service }}
{{- toYaml (merge $own .Values.commonLabels) }}
{{- end }}

{{/* Metadata of an object: dict "root" $ "name" "..." "labels" (dict) "annotations" (dict). */}}
{{- define "sluice.metadata" -}}
name: {{ .name }}
namespace: {{ include "sluice.namespace" .root }}
labels: {{- toYaml (merge (deepCopy (default (dict) .labels)) (fromYaml (include "sluice.labels" .root))) | nindent 2 }}
{{- with merge (deepCopy (default (dict) .annotations)) .root.Values.commonAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "sluice.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "sluice.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "sluice.image" -}}
{{- $i := .Values.image }}
{{- with coalesce .Values.global.imageRegistry $i.registry }}{{ . }}/{{ end }}{{ $i.repository }}
{{- if $i.digest }}@{{ $i.digest }}{{ else }}:{{ default .Chart.AppVersion $i.tag }}{{ end }}
{{- end }}

{{/* The most replicas now. */}}
{{- define "sluice.mostNow" -}}
{{- if .Values.autoscaling.enabled }}{{ .Values.autoscaling.maxReplicas }}{{ else }}{{ .Values.replicaCount }}{{ end }}
{{- end }}

{{- define "sluice.passivePorts" -}}
{{- if eq .Values.ftp.passive.exposure "hostPort" }}{{ .Values.ftp.passive.portsPerReplica }}
{{- else }}{{ mul .Values.ftp.passive.portsPerReplica .Values.ftp.passive.maxReplicas }}{{ end }}
{{- end }}

{{- define "sluice.lastPort" -}}
{{ sub (add .Values.ftp.passive.startPort (include "sluice.passivePorts" .)) 1 }}
{{- end }}

{{/* Several replicas share the range, and lead connections to each other. */}}
{{- define "sluice.shared" -}}
{{- if and (eq .Values.ftp.passive.exposure "shared") (gt (int .Values.ftp.passive.maxReplicas) 1) }}true{{ end }}
{{- end }}

{{- define "sluice.tlsSecret" -}}
{{- if .Values.tls.existingSecret }}{{ .Values.tls.existingSecret }}{{ else if .Values.tls.certManager.enabled }}{{ include "sluice.fullname" . }}-tls{{ end }}
{{- end }}

{{- define "sluice.usersSecret" -}}
{{ default (printf "%s-users" (include "sluice.fullname" .)) .Values.users.existingSecret }}
{{- end }}

{{- define "sluice.configSecret" -}}
{{ default (printf "%s-config" (include "sluice.fullname" .)) .Values.existingConfigSecret }}
{{- end }}

{{- define "sluice.imagePullSecrets" -}}
{{- with concat .Values.global.imagePullSecrets .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What the chart knows of the configuration; config comes on top. */}}
{{- define "sluice.config" -}}
{{- $ftp := .Values.ftp }}
{{- $name := include "sluice.fullname" . }}
{{- $listen := dict "ftp" (printf ":%v" $ftp.port) "ftps" "" "http" (printf ":%v" .Values.metrics.port) }}
{{- if $ftp.implicitTLS.enabled }}{{ $_ := set $listen "ftps" (printf ":%v" $ftp.implicitTLS.port) }}{{ end }}
{{- $passive := dict "ports" (printf "%v-%s" $ftp.passive.startPort (include "sluice.lastPort" .)) }}
{{- if include "sluice.shared" . }}
{{- $passive = merge $passive (dict "per_replica" $ftp.passive.portsPerReplica "replica" "${POD_NAME}" "peers" (printf "%s-{replica}.%s-peers.%s.svc.%s." $name $name (include "sluice.namespace" .) .Values.clusterDomain)) }}
{{- end }}
{{- if $ftp.passive.publicHost }}
{{- $_ := set $passive "public_host" $ftp.passive.publicHost }}
{{- else if eq $ftp.passive.exposure "hostPort" }}
{{- $_ := set $passive "public_host" "${HOST_IP}" }}
{{- end }}
{{- $base := dict
  "listen" $listen
  "passive" $passive
  "active_mode" $ftp.activeMode.enabled
  "drain_delay" (printf "%vs" .Values.drainDelaySeconds)
  "shutdown_grace" (printf "%ds" (sub .Values.terminationGracePeriodSeconds (add .Values.drainDelaySeconds 30)))
  "log" (dict "format" "json")
  "users_file" "/etc/sluice/users/users.yaml" }}
{{- if $ftp.proxyProtocol.trustedNetworks }}
{{- $_ := set $base "proxy_protocol" (dict "control" $ftp.proxyProtocol.control "data" $ftp.proxyProtocol.data) }}
{{- $_ := set $base "trusted_proxies" $ftp.proxyProtocol.trustedNetworks }}
{{- end }}
{{- if include "sluice.tlsSecret" . }}
{{- $_ := set $base "tls" (dict "cert_file" "/etc/sluice/tls/tls.crt" "key_file" "/etc/sluice/tls/tls.key") }}
{{- end }}
{{- if .Values.tls.clientCA.existingSecret }}
{{- $_ := set (get (merge $base (dict "tls" (dict))) "tls") "client_ca_file" "/etc/sluice/client-ca/ca.crt" }}
{{- if .Values.tls.clientCA.crl }}{{ $_ := set $base.tls "client_crl_file" "/etc/sluice/client-ca/ca.crl" }}{{ end }}
{{- end }}
{{- toYaml (mergeOverwrite $base (deepCopy .Values.config)) }}
{{- end }}
