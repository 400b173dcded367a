{{/* Restricted Pod Security, for every pod of the release. (list . uid) */}}
{{- define "collect.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ . | int64 }}
  runAsGroup: {{ . | int64 }}
  fsGroup: {{ . | int64 }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "collect.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
terminationMessagePolicy: FallbackToLogsOnError
{{- end -}}

{{- define "collect.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* A container of ours that runs a command with the operator's account. (dict "top" . "name" … "command" … "memory" …) */}}
{{- define "collect.operatorContainer" -}}
name: {{ .name }}
image: {{ include "collect.image" (list .top "monitor") | quote }}
imagePullPolicy: {{ .top.Values.image.pullPolicy }}
command: {{ toJson .command }}
env:
  - name: COLLECT_URL
    value: {{ printf "http://%s-gateway:%v" (include "collect.fullname" .top) .top.Values.service.port | quote }}
  {{- range $name, $value := include "collect.commonSettings" .top | fromYaml }}
  - name: {{ $name }}
    value: {{ include "collect.text" $value | quote }}
  {{- end }}
envFrom:
  - secretRef: {name: {{ include "collect.operatorSecret" .top | quote }}}
{{ include "collect.containerSecurity" . }}
resources:
  requests: {cpu: 50m, memory: {{ .memory }}}
  limits: {memory: {{ .memory }}}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  {{- include "collect.storageMount" .top | nindent 2 }}
  {{- with .mounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "collect.storageMount" -}}
{{- if .Values.storageClaim }}
- {name: storage, mountPath: {{ .Values.storageUrl | trimPrefix "file://" | quote }}}
{{- end }}
{{- end -}}

{{- define "collect.storageVolume" -}}
{{- if .Values.storageClaim }}
- name: storage
  persistentVolumeClaim: {claimName: {{ .Values.storageClaim | quote }}}
{{- end }}
{{- end -}}
