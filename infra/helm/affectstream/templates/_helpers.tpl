{{- define "affectstream.name" -}}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{- end }}

{{- define "affectstream.labels" -}}
app.kubernetes.io/name: affectstream
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "affectstream.secret" -}}{{ .Values.secrets.existing | default (printf "%s-secrets" (include "affectstream.name" .)) }}{{- end }}

{{- define "affectstream.image" -}}
{{- .root.Values.image.registry }}affectstream-{{ .family }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "affectstream.podAnnotations" -}}
prometheus.io/scrape: "true"
prometheus.io/port: "9100"
{{- with .Values.mesh.annotations }}
{{ toYaml . }}
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
  {{- range $name, $value := .env }}
  - {name: {{ $name }}, value: {{ $value | quote }}}
  {{- end }}
{{- end }}

{{- define "affectstream.probes" -}}
startupProbe:
  httpGet: {path: /metrics, port: metrics}
  periodSeconds: 2
  failureThreshold: 60
readinessProbe:
  exec: {command: [python, /src/infra/docker/healthcheck.py]}
  periodSeconds: 5
  timeoutSeconds: 4
livenessProbe:
  # Alive is answering: a role that waits for Kafka is not helped by being killed.
  httpGet: {path: /metrics, port: metrics}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end }}
