{{/* Where an image serves /healthz, /readyz and /metrics, and the gateway its API. (service) */}}
{{- define "collect.port" -}}
{{- ternary 8080 8081 (eq . "gateway") -}}
{{- end -}}

{{/* The servers that a service speaks to, as JSON. (service) */}}
{{- define "collect.servers" -}}
{{- ternary (list "mongodb" "amqp" "redis") (list "mongodb" "amqp") (eq . "gateway") | toJson -}}
{{- end -}}

{{/* A service's settings, as YAML of a map. (list . service) */}}
{{- define "collect.settings" -}}
{{- $top := index . 0 -}}
{{- $service := index $top.Values.services (index . 1) -}}
{{- $settings := mergeOverwrite (include "collect.commonSettings" $top | fromYaml) (deepCopy $service.settings) -}}
{{- with $service.slots -}}
{{- $_ := set $settings "COLLECT_SLOTS" . -}}
{{- end -}}
{{- range $name, $value := $settings }}
{{ $name }}: {{ include "collect.text" $value | quote }}
{{- end -}}
{{- end -}}

{{/* A slot takes up to 300 MB. (the service's values) */}}
{{- define "collect.memory" -}}
{{- if .memory -}}
{{- .memory -}}
{{- else -}}
{{- printf "%dMi" (add 200 (mul 300 (int .slots))) -}}
{{- end -}}
{{- end -}}

{{/* How few pods of a service there may be. (the service's values) */}}
{{- define "collect.fewest" -}}
{{- if ne .autoscaling.by "none" -}}
{{- .autoscaling.min -}}
{{- else if kindIs "invalid" .replicas -}}
1
{{- else -}}
{{- .replicas -}}
{{- end -}}
{{- end -}}
