{{- define "collect.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What picks pods; `component` is a service's name or that of a part of the release. (list . component) */}}
{{- define "collect.selector" -}}
{{- $top := index . 0 -}}
app.kubernetes.io/name: {{ default $top.Chart.Name $top.Values.nameOverride | quote }}
app.kubernetes.io/instance: {{ $top.Release.Name | quote }}
{{- with index . 1 }}
app.kubernetes.io/component: {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "collect.labels" -}}
{{- $top := index . 0 -}}
{{ include "collect.selector" . }}
app.kubernetes.io/version: {{ default $top.Chart.AppVersion $top.Values.image.tag | trunc 63 | regexFind "[A-Za-z0-9](.*[A-Za-z0-9])?" | quote }}
app.kubernetes.io/managed-by: {{ $top.Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" $top.Chart.Name $top.Chart.Version | replace "+" "_" | quote }}
{{- end -}}

{{/* (list . service) */}}
{{- define "collect.image" -}}
{{- $top := index . 0 -}}
{{- $service := index . 1 -}}
{{- $version := printf ":%s" (default $top.Chart.AppVersion $top.Values.image.tag) -}}
{{- with get $top.Values.image.digests $service -}}
{{- $version = printf "@%s" . -}}
{{- end -}}
{{- printf "%s/%s%s" $top.Values.image.registry $service $version -}}
{{- end -}}

{{/* The Secret of a service's accounts. (list . service) */}}
{{- define "collect.secret" -}}
{{- $top := index . 0 -}}
{{- $service := index . 1 -}}
{{- if $top.Values.demo.enabled -}}
{{- printf "%s-%s" (include "collect.fullname" $top) $service -}}
{{- else -}}
{{- (index $top.Values.services $service).existingSecret -}}
{{- end -}}
{{- end -}}

{{- define "collect.operatorSecret" -}}
{{- if .Values.demo.enabled -}}
{{- printf "%s-operator" (include "collect.fullname" .) -}}
{{- else -}}
{{- .Values.operator.existingSecret -}}
{{- end -}}
{{- end -}}

{{- define "collect.otlpEndpoint" -}}
{{- if .Values.otlpEndpoint -}}
{{- .Values.otlpEndpoint -}}
{{- else if .Values.jaeger.enabled -}}
{{- printf "http://%s-jaeger:4318" (include "collect.fullname" .) -}}
{{- end -}}
{{- end -}}

{{/* What of the environment is no secret and the same for all, services and admin commands. YAML of a map. */}}
{{- define "collect.commonSettings" -}}
{{- $settings := dict "STORAGE_URL" .Values.storageUrl -}}
{{- with include "collect.otlpEndpoint" . -}}
{{- $_ := set $settings "OTEL_EXPORTER_OTLP_ENDPOINT" . -}}
{{- end -}}
{{- toYaml (mergeOverwrite $settings (deepCopy .Values.settings)) -}}
{{- end -}}

{{/* A setting as the environment has it; templates would print a large number with an exponent. */}}
{{- define "collect.text" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ toJson . }}{{ end -}}
{{- end -}}
