{{- define "sallyport.name" -}}
{{- if contains "sallyport" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-sallyport" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "sallyport.labels" -}}
app.kubernetes.io/name: sallyport
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "sallyport.selector" -}}
app.kubernetes.io/name: sallyport
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sallyport.image" -}}
{{- $image := index . 0 }}{{ $chart := index . 1 -}}
{{- if $image.digest }}{{ $image.repository }}@{{ $image.digest }}{{ else }}{{ $image.repository }}:{{ $image.tag | default $chart.AppVersion }}{{ end }}
{{- end }}

{{/* Where everybody can connect: `::` takes brackets. */}}
{{- define "sallyport.anyHost" -}}
{{ ternary "[::]" .Values.health.host (eq .Values.health.host "::") }}
{{- end }}

{{/* MiB of a memory quantity: 256Mi, 1Gi, 1.5Gi. */}}
{{- define "sallyport.mebibytes" -}}
{{- if not (regexMatch "^[0-9]+([.][0-9]+)?[MG]i$" (toString .)) }}{{ fail (printf "resources.limits.memory: expected Mi or Gi, and got %v" .) }}{{ end -}}
{{- mulf (regexFind "^[0-9.]+" . | float64) (ternary 1024 1 (hasSuffix "Gi" .)) | int }}
{{- end }}

{{/* What Node is told: half of the limit for the heap, the rest is for buffers, WebAssembly and code. Node chooses where there is no limit. */}}
{{- define "sallyport.nodeOptions" -}}
--max-semi-space-size=4 --v8-pool-size=1 --expose-gc
{{- with (.limits | default dict).memory }} --max-old-space-size={{ div (include "sallyport.mebibytes" . | int) 2 }}{{ end }}
{{- end }}

{{- define "sallyport.restricted" -}}
allowPrivilegeEscalation: false
capabilities: { drop: [ALL] }
privileged: false
readOnlyRootFilesystem: true
runAsGroup: {{ .Values.user }}
runAsNonRoot: true
runAsUser: {{ .Values.user }}
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{/* Seconds of the grace period that calls do not have: half a one for last words, five for sinks; the gateway first waits to be forgotten. */}}
{{- define "sallyport.reserve" -}}
{{- ternary 12 7 (eq (include "sallyport.waits" .) "true") -}}
{{- end }}

{{/* Whether a pod waits before it closes its listeners. Not by a program: the image has none. Kubernetes sleeps from 1.30 on. */}}
{{- define "sallyport.waits" -}}
{{- and (eq .Values.placement "gateway") (semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version) -}}
{{- end }}

{{/* Not where `config` names bundles of its own, and nothing else was given. */}}
{{- define "sallyport.mountsPolicy" -}}
{{- if or .Values.policy.bundle .Values.policy.configMap (not (dig "policy" "bundles" (list) .Values.config)) }}true{{ end -}}
{{- end }}

{{- define "sallyport.policyConfigMap" -}}
{{ .Values.policy.configMap | default (printf "%s-policy" (include "sallyport.name" .)) }}
{{- end }}

{{/* As JSON. The default is not in values.yaml: helm would join it with what stands there, and pods without its label would be left free. */}}
{{- define "sallyport.agents" -}}
{{ .Values.gateway.agents | default (dict "matchLabels" (dict "sallyport.dev/agent" "true")) | toJson }}
{{- end }}

{{/* Where the ConfigMaps are needed. */}}
{{- define "sallyport.namespaces" -}}
{{- if and .Values.webhook.enabled .Values.webhook.namespaces }}{{ .Values.webhook.namespaces | toJson }}{{ else }}{{ list .Release.Namespace | toJson }}{{ end }}
{{- end }}

{{/* The Service leads to one port, and the kubelet sees no listener there: what stands at another, or on loopback, would be found out by agents. */}}
{{- define "sallyport.leads" -}}
{{- $end := printf ":%d" (int .Values.gateway.port) -}}
{{- $found := not .Values.config.listeners -}}
{{- range .Values.config.listeners -}}
{{-   $address := .address | default "" -}}
{{-   if or (kindIs "map" $address) (and (hasSuffix $end $address) (not (regexMatch "^(127[.]|\\[::1\\]|localhost:)" $address))) }}{{ $found = true }}{{ end -}}
{{- end -}}
{{- if not $found }}{{ fail (printf "config.listeners: the Service leads to gateway.port, %d, and no listener is reached there: expected one at 0.0.0.0%s" (int .Values.gateway.port) $end) }}{{ end -}}
{{- end }}
