{{- define "affectstream.name" -}}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{- end }}

{{- define "affectstream.labels" -}}
app.kubernetes.io/name: affectstream
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "affectstream.secret" -}}{{ .Values.secrets.existing | default (printf "%s-secrets" (include "affectstream.name" .)) }}{{- end }}

{{- define "affectstream.image" -}}
{{- .root.Values.image.registry }}affectstream-{{ .family }}:{{ .tag | default .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "affectstream.podAnnotations" -}}
prometheus.io/scrape: "true"
prometheus.io/port: "9100"
prometheus.io/scheme: {{ include "affectstream.scheme" . }}
{{- with .Values.mesh.annotations }}
{{- range $name, $value := . }}
{{ $name }}: {{ $value | quote }}
{{- end }}
traffic.sidecar.istio.io/excludeOutboundPorts: {{ $.Values.mesh.excludeOutboundPorts | quote }}
config.linkerd.io/skip-outbound-ports: {{ $.Values.mesh.excludeOutboundPorts | quote }}
{{- end }}
{{- end }}

{{- define "affectstream.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "affectstream.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "affectstream.scheme" -}}{{ ternary "https" "http" (ne .Values.tls.secret "") }}{{- end }}

{{/* Certificates, where the settings say that they are. */}}
{{- define "affectstream.certificateMounts" -}}
{{- if .Values.tls.secret }}
- {name: tls, mountPath: /etc/affectstream/tls, readOnly: true}
{{- end }}
{{- if .Values.trust.secret }}
- {name: trust, mountPath: /etc/affectstream/trust, readOnly: true}
{{- end }}
{{- end }}

{{- define "affectstream.certificateVolumes" -}}
{{- with .Values.tls.secret }}
- {name: tls, secret: {secretName: {{ . }}, defaultMode: 0440}}
{{- end }}
{{- with .Values.trust.secret }}
- {name: trust, secret: {secretName: {{ . }}, defaultMode: 0444, items: [{key: ca.crt, path: ca.crt}]}}
{{- end }}
{{- end }}

{{/* Settings of every role: the ConfigMap, the secrets, and what tells replicas apart. */}}
{{- define "affectstream.env" -}}
envFrom:
  - configMapRef: {name: {{ include "affectstream.name" .root }}-settings}
env:
  - name: AFFECTSTREAM_INSTANCE
    valueFrom: {fieldRef: {fieldPath: metadata.name}}
  - name: AFFECTSTREAM_TOKEN_KEY
    valueFrom: {secretKeyRef: {name: {{ include "affectstream.secret" .root }}, key: token-key}}
  - name: CLICKHOUSE_DSN
    valueFrom: {secretKeyRef: {name: {{ include "affectstream.secret" .root }}, key: clickhouse-dsn}}
  # What edges share of sessions; without it run one ingest replica only.
  - name: REDIS_URL
    valueFrom: {secretKeyRef: {name: {{ include "affectstream.secret" .root }}, key: redis-url, optional: true}}
  {{- if hasPrefix "SASL" .root.Values.kafka.security.protocol }}
  - name: AFFECTSTREAM_KAFKA_USERNAME
    valueFrom: {secretKeyRef: {name: {{ include "affectstream.secret" .root }}, key: kafka-username}}
  - name: AFFECTSTREAM_KAFKA_PASSWORD
    valueFrom: {secretKeyRef: {name: {{ include "affectstream.secret" .root }}, key: kafka-password}}
  {{- end }}
  {{- range $name, $value := .env }}
  - {name: {{ $name }}, value: {{ $value | quote }}}
  {{- end }}
{{- end }}

{{- define "affectstream.probes" -}}
startupProbe:
  httpGet: {path: /metrics, port: metrics, scheme: {{ include "affectstream.scheme" . | upper }}}
  periodSeconds: 2
  failureThreshold: 60
readinessProbe:
  exec: {command: [python, /src/infra/docker/healthcheck.py]}
  periodSeconds: 5
  timeoutSeconds: 4
livenessProbe:
  # Alive is answering: a role that waits for Kafka is not helped by being killed.
  httpGet: {path: /metrics, port: metrics, scheme: {{ include "affectstream.scheme" . | upper }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end }}
