{{/* What each server is started with. */}}
{{- define "collect.demo.mongodb" -}}
args:
  - --dbpath=/persistent
  - --bind_ip_all
  - --replSet=rs0
  - --keyFile=/private/keyfile
  - --nounixsocket
  - --wiredTigerCacheSizeGB=0.25
  - --setParameter=diagnosticDataCollectionEnabled=false
  - --setParameter=transactionLifetimeLimitSeconds=10
{{- end -}}

{{- define "collect.demo.rabbitmq" -}}
env:
  - {name: HOME, value: /tmp}
  # The node keeps its data under its name, which therefore must not be the pod's.
  - {name: RABBITMQ_NODENAME, value: rabbit@localhost}
  - {name: RABBITMQ_CONF_ENV_FILE, value: /dev/null}
  - {name: RABBITMQ_CONFIG_FILE, value: /config/rabbitmq.conf}
  - {name: RABBITMQ_ENABLED_PLUGINS_FILE, value: /config/enabled_plugins}
  - {name: RABBITMQ_MNESIA_BASE, value: /persistent/mnesia}
  - {name: RABBITMQ_GENERATED_CONFIG_DIR, value: /tmp/config}
  - {name: RABBITMQ_SCHEMA_DIR, value: /tmp/schema}
  - {name: RABBITMQ_LOG_BASE, value: /tmp/log}
  - {name: ERL_EPMD_ADDRESS, value: 127.0.0.1}
  # Busy waiting of the Erlang schedulers would take the cores from everything else on a small machine.
  - {name: RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS, value: "+sbwt none +sbwtdcpu none +sbwtdio none"}
  # With it the start script replaces itself by the broker, which then gets the signals.
  - {name: RUNNING_UNDER_SYSTEMD, value: "1"}
{{- end -}}

{{- define "collect.demo.redis" -}}
args: [--save, "", --appendonly, "no", --dir, /tmp, --aclfile, /config/users.acl, --protected-mode, "no",
       --maxmemory, 64mb, --maxmemory-policy, allkeys-lru]
{{- end -}}

{{/* mongod wants its key to be readable by nobody else, which a mounted Secret cannot be. */}}
{{- define "collect.demo.keyfile" -}}
name: keyfile
image: {{ include "collect.image" (list . "monitor") | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command:
  - python
  - -c
  - |
    import os, shutil
    shutil.copyfile("/config/keyfile", "/private/new")
    os.chmod("/private/new", 0o400)
    os.replace("/private/new", "/private/keyfile")
{{ include "collect.containerSecurity" . }}
resources:
  requests: {cpu: 10m, memory: 64Mi}
  limits: {memory: 64Mi}
volumeMounts:
  - {name: config, mountPath: /config, readOnly: true}
  - {name: private, mountPath: /private}
{{- end -}}

{{/* Makes the server a replica set of one, and the first account: only from the server's own machine is that allowed.
     Its only member is this machine, so that no name has to be known before the server is ready. */}}
{{- define "collect.demo.replicaSet" -}}
name: replica-set
image: {{ include "collect.image" (list . "monitor") | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command: [collect-admin, replica-set, --host, "127.0.0.1:27017", --create-admin, --stay]
env:
  - name: MONGODB_URL
    valueFrom:
      secretKeyRef: {name: {{ include "collect.fullname" . }}-mongodb, key: MONGODB_URL}
{{ include "collect.containerSecurity" . }}
resources:
  requests: {cpu: 10m, memory: 256Mi}
  limits: {memory: 256Mi}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
{{- end -}}
