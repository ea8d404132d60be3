{{- define "keelwatch.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}
{{- end }}

{{- define "keelwatch.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "keelwatch.labels" -}}
{{ include "keelwatch.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: keelwatch
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "keelwatch.image" -}}
{{- $tag := default .Chart.AppVersion .Values.image.tag -}}
{{ .Values.image.repository }}{{ with .Values.image.digest }}@{{ . }}{{ else }}:{{ $tag }}{{ end }}
{{- end }}

{{- define "keelwatch.hub" -}}{{ include "keelwatch.fullname" . }}-hub{{- end }}
{{- define "keelwatch.agent" -}}{{ include "keelwatch.fullname" . }}-agent{{- end }}
{{- define "keelwatch.canary" -}}{{ include "keelwatch.fullname" . }}-canary{{- end }}
{{- define "keelwatch.authority" -}}{{ include "keelwatch.fullname" . }}-ca{{- end }}
{{- define "keelwatch.teams" -}}{{ include "keelwatch.fullname" . }}-teams{{- end }}
{{- define "keelwatch.rules" -}}
{{- default (printf "%s-rules" (include "keelwatch.fullname" .)) .Values.existingRulesConfigMap }}
{{- end }}
{{/* Empty where there is none: pods that name a class which does not exist are refused. */}}
{{- define "keelwatch.priorityClass" -}}
{{- if or .Values.priorityClass.create .Values.priorityClass.name -}}
{{- default (printf "%s-%s" .Release.Namespace (include "keelwatch.fullname" .)) .Values.priorityClass.name }}
{{- end }}
{{- end }}
{{- define "keelwatch.url" -}}
https://{{ include "keelwatch.hub" . }}.{{ .Release.Namespace }}.svc:{{ .Values.hub.service.port }}
{{- end }}

{{/* The authority by which the hub's certificate is checked: a source of a projected volume. */}}
{{- define "keelwatch.authoritySource" -}}
{{- if .Values.hub.tls.secretName -}}
secret:
  name: {{ .Values.hub.tls.secretName }}
  items: [{key: ca.crt, path: ca.crt}]
{{- else -}}
configMap:
  name: {{ include "keelwatch.authority" . }}
  optional: true
  items: [{key: ca.crt, path: ca.crt}]
{{- end }}
{{- end }}

{{/* An egress rule to the cluster's DNS. */}}
{{- define "keelwatch.dnsEgress" -}}
- ports:
  {{- range .Values.networkPolicy.dns.ports }}
  - {port: {{ . }}, protocol: UDP}
  - {port: {{ . }}, protocol: TCP}
  {{- end }}
  {{- with .Values.networkPolicy.dns.to }}
  to: {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* An appArmorProfile as the annotation of Kubernetes before 1.30 has it. */}}
{{- define "keelwatch.appArmor" -}}
{{- if eq .type "Localhost" }}localhost/{{ required "appArmorProfile of type Localhost: which localhostProfile?" .localhostProfile }}
{{- else }}{{ get (dict "Unconfined" "unconfined" "RuntimeDefault" "runtime/default") .type }}{{ end }}
{{- end }}
