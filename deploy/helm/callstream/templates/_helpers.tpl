{{/* Names, labels, and the parts that every process of callstream shares. `process` is ingest, a stage, admin or symbols. */}}

{{- define "callstream.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{/* Labels that a selector uses: they never change. Takes root and process. */}}
{{- define "callstream.selector" -}}
app.kubernetes.io/name: callstream
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .process }}
{{- end -}}

{{- define "callstream.labels" -}}
{{ include "callstream.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "callstream.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* What Kafka and the registry want, as settings that name a file, with the Secret that has it. Takes root, user and own. */}}
{{- define "callstream.secretFiles" -}}
{{- $v := .root.Values -}}
{{- $user := index $v.kafka.users .user -}}
{{- $files := dict -}}
{{- if $v.kafka.ca.secret }}{{ $_ := set $files "CALLSTREAM_KAFKA_SSL_CA_FILE" $v.kafka.ca }}{{ end -}}
{{- if $user.certificate.secret -}}
{{- $_ := set $files "CALLSTREAM_KAFKA_SSL_CERT_FILE" (dict "secret" $user.certificate.secret "key" "tls.crt") -}}
{{- $_ := set $files "CALLSTREAM_KAFKA_SSL_KEY_FILE" (dict "secret" $user.certificate.secret "key" "tls.key") -}}
{{- end -}}
{{- if include "callstream.hasPassword" .root -}}
{{- $_ := required (printf "kafka.users.%s.password.secret: name the Secret with the password of this user" .user) $user.password.secret -}}
{{- $_ := set $files "CALLSTREAM_KAFKA_SASL_PASSWORD_FILE" $user.password -}}
{{- end -}}
{{- if $v.registry.ca.secret }}{{ $_ := set $files "CALLSTREAM_SCHEMA_REGISTRY_SSL_CA_FILE" $v.registry.ca }}{{ end -}}
{{- if $v.registry.username -}}
{{- $_ := required "registry.password.secret: name the Secret with the password of registry.username" $v.registry.password.secret -}}
{{- $_ := set $files "CALLSTREAM_SCHEMA_REGISTRY_PASSWORD_FILE" $v.registry.password -}}
{{- end -}}
{{- toYaml (mustMergeOverwrite $files (deepCopy $v.secretFiles) (deepCopy .own)) -}}
{{- end -}}

{{/* Whether the SASL mechanism wants a user and a password. */}}
{{- define "callstream.hasPassword" -}}
{{- if and (hasPrefix "SASL_" .Values.kafka.securityProtocol) (or (eq .Values.kafka.saslMechanism "PLAIN") (hasPrefix "SCRAM-" .Values.kafka.saslMechanism)) }}true{{ end -}}
{{- end -}}

{{/* The environment. Takes root, user, files (of callstream.secretFiles), builtin and own settings. Later ones win. */}}
{{- define "callstream.env" -}}
{{- $v := .root.Values -}}
{{- $user := index $v.kafka.users .user -}}
{{- $env := dict
      "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS" (required "kafka.bootstrapServers: name the brokers" $v.kafka.bootstrapServers)
      "CALLSTREAM_KAFKA_SECURITY_PROTOCOL" $v.kafka.securityProtocol
      "CALLSTREAM_SCHEMA_REGISTRY_URL" (required "registry.url: name the schema registry" $v.registry.url)
      "CALLSTREAM_DATA_DIR" "/var/lib/callstream"
      "CALLSTREAM_HTTP_HOST" "0.0.0.0"
      "CALLSTREAM_HTTP_PORT" "9464"
      "CALLSTREAM_LOG_FORMAT" "json" -}}
{{- if $v.topicPrefix }}{{ $_ := set $env "CALLSTREAM_TOPIC_PREFIX" $v.topicPrefix }}{{ end -}}
{{- if hasPrefix "SASL_" $v.kafka.securityProtocol }}{{ $_ := set $env "CALLSTREAM_KAFKA_SASL_MECHANISM" $v.kafka.saslMechanism }}{{ end -}}
{{- if include "callstream.hasPassword" .root }}{{ $_ := set $env "CALLSTREAM_KAFKA_SASL_USERNAME" $user.username }}{{ end -}}
{{- if $v.registry.username }}{{ $_ := set $env "CALLSTREAM_SCHEMA_REGISTRY_USERNAME" $v.registry.username }}{{ end -}}
{{- range $name, $_ := .files }}{{ $_ := set $env $name (printf "/etc/callstream/secrets/%s" $name) }}{{ end -}}
{{- $env = mustMergeOverwrite $env (deepCopy .builtin) (deepCopy $v.settings) (deepCopy .own) -}}
{{- range $name := keys $env | sortAlpha }}
- name: {{ $name }}
  value: {{ get $env $name | toString | quote }}
{{- end -}}
{{- end -}}

{{/* The volume of the files that settings name, and where it is mounted; nothing without any. */}}
{{- define "callstream.secretVolume" -}}
{{- if . }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range $name := keys . | sortAlpha }}
      {{- $ref := get $ $name }}
      {{- if $ref.audience }}
      - serviceAccountToken: {path: {{ $name }}, audience: {{ $ref.audience | quote }}, expirationSeconds: {{ $ref.expirationSeconds | default 3600 | int64 }}}
      {{- else }}
      - secret:
          name: {{ $ref.secret | quote }}
          items: [{key: {{ $ref.key | quote }}, path: {{ $name }}}]
      {{- end }}
      {{- end }}
{{- end }}
{{- end -}}

{{- define "callstream.secretMount" -}}
{{- if . }}
- {name: secrets, mountPath: /etc/callstream/secrets, readOnly: true}
{{- end }}
{{- end -}}

{{- define "callstream.podSecurity" -}}
runAsUser: 10001
runAsGroup: 10001
runAsNonRoot: true
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "callstream.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "callstream.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Probes of ingest and the stages. A start reads state again, which may take minutes. */}}
{{- define "callstream.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 5
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 15
  timeoutSeconds: 5
  failureThreshold: 4
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
{{- end -}}

{{/* Where a pod may run. Takes the values of a process. */}}
{{- define "callstream.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .topologySpreadConstraints }}
topologySpreadConstraints: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "callstream.storeClaim" -}}
{{ .Values.symbols.store.existingClaim | default (printf "%s-symbols" (include "callstream.fullname" .)) }}
{{- end -}}
