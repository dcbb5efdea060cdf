{{/*
For a Deployment of one's own, with this chart as a dependency; the context is .Subcharts.sallyport there:

  initContainers: {{ include "sallyport.initContainers" .Subcharts.sallyport | nindent 8 }}   before any other
  volumes: {{ include "sallyport.volumes" .Subcharts.sallyport | nindent 8 }}
  containers: […] volumeMounts: {{ include "sallyport.agentMounts" .Subcharts.sallyport | nindent 12 }}

The webhook adds the same.
*/}}
{{- define "sallyport.initContainers" -}}
# All containers of a pod share the files that names are looked up by, and root in any of them may write them. Sallyport gets
# copies, made before anybody else runs.
- name: sallyport-names
  image: {{ include "sallyport.image" (list .Values.image .Chart) }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [node, -e, "for (const name of ['hosts', 'resolv.conf']) fs.copyFileSync(`/etc/${name}`, `${process.argv[1]}/${name}`)", /names]
  securityContext: {{ include "sallyport.restricted" . | nindent 4 }}
  resources:
    requests: { cpu: 10m, memory: 64Mi }
    limits: { memory: 128Mi }
  volumeMounts:
    - { name: sallyport-names, mountPath: /names }
    - { name: sallyport-no-token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true }
- {{ include "sallyport.container" . | nindent 2 | trim }}
  # A native sidecar: started before, and stopped after, everything else in the pod.
  restartPolicy: Always
{{- if .Values.egress.enabled }}
- name: sallyport-egress
  image: {{ include "sallyport.image" (list .Values.egress.image .Chart) }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command:
    - /bin/sh
    - -c
    - {{ .Files.Get "files/egress.sh" | toJson }}
    - egress.sh
  args:
    - --uid
    - {{ .Values.user | quote }}
    {{- if .Values.capture.enabled }}
    - --capture
    - {{ .Values.capture.port | quote }}
    {{- end }}
    - --dns
    - {{ .Values.egress.dns | quote }}
    - --backend
    - {{ .Values.egress.backend }}
  securityContext:
    allowPrivilegeEscalation: false
    # The rules are the network namespace's, and nobody but its root may set them.
    capabilities: { drop: [ALL], add: [NET_ADMIN] }
    readOnlyRootFilesystem: true
    runAsGroup: 0
    runAsNonRoot: false
    runAsUser: 0
    seccompProfile: { type: RuntimeDefault }
  resources:
    requests: { cpu: 10m, memory: 16Mi }
    limits: { memory: 64Mi }
  volumeMounts:
    - { name: sallyport-no-token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true }
{{- end }}
{{- end }}

{{- define "sallyport.container" -}}
name: sallyport
image: {{ include "sallyport.image" (list .Values.image .Chart) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [run, --config, /etc/sallyport/sallyport.yaml, --watch]
env:
  - { name: NODE_OPTIONS, value: {{ include "sallyport.nodeOptions" .Values.resources | quote }} }
  {{- if eq .Values.placement "sidecar" }}
  - { name: TRUST_DOMAIN, value: {{ .Values.trustDomain | quote }} }
  - { name: POD_NAMESPACE, valueFrom: { fieldRef: { fieldPath: metadata.namespace } } }
  - { name: POD_SERVICE_ACCOUNT, valueFrom: { fieldRef: { fieldPath: spec.serviceAccountName } } }
  - { name: SALLYPORT_AGENT, value: {{ .Values.identity.agent | quote }} }
  {{- end }}
ports:
  - { name: sallyport, containerPort: {{ .Values.health.port }}, protocol: TCP }
  {{- if eq .Values.placement "gateway" }}
  - { name: proxy, containerPort: {{ .Values.gateway.port }}, protocol: TCP }
  {{- end }}
# SPIRE may take half a minute for a new pod.
startupProbe: { httpGet: { path: /readyz, port: sallyport }, periodSeconds: 1, timeoutSeconds: 2, failureThreshold: 90 }
readinessProbe: { httpGet: { path: /readyz, port: sallyport }, periodSeconds: 5, timeoutSeconds: 2 }
livenessProbe: { httpGet: { path: /livez, port: sallyport }, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3 }
resources: {{ toYaml .Values.resources | nindent 2 }}
securityContext: {{ include "sallyport.restricted" . | nindent 2 }}
volumeMounts:
  - { name: sallyport-config, mountPath: /etc/sallyport, readOnly: true }
  {{- if include "sallyport.bringsPolicy" . }}
  - { name: sallyport-policy, mountPath: /etc/sallyport-policy, readOnly: true }
  {{- end }}
  - { name: sallyport-state, mountPath: /var/lib/sallyport }
  - { name: sallyport-run, mountPath: /run/sallyport }
  {{- if eq .Values.placement "sidecar" }}
  - { name: sallyport-agent, mountPath: {{ .Values.agent.path }} }
  - { name: sallyport-names, mountPath: /etc/hosts, subPath: hosts, readOnly: true }
  - { name: sallyport-names, mountPath: /etc/resolv.conf, subPath: resolv.conf, readOnly: true }
  {{- end }}
  {{- if eq .Values.identity.source "spiffe-csi" }}
  - { name: sallyport-svid, mountPath: /spiffe-workload-api, readOnly: true }
  {{- else }}
  - { name: sallyport-svid, mountPath: /var/run/secrets/spiffe.io, readOnly: true }
  {{- end }}
  {{- range $index, $secret := .Values.secrets }}
  - { name: sallyport-secret-{{ $index }}, mountPath: {{ $secret.path }}, readOnly: true }
  {{- end }}
  # An empty folder where the token of the service account would be: it has no business with the API server.
  - { name: sallyport-no-token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true }
{{- end }}

{{- define "sallyport.volumes" -}}
- name: sallyport-config
  configMap: { name: {{ include "sallyport.name" . }}-config }
{{- if include "sallyport.bringsPolicy" . }}
- name: sallyport-policy
  configMap: { name: {{ include "sallyport.policyConfigMap" . }} }
{{- end }}
- name: sallyport-state
  emptyDir: { sizeLimit: {{ .Values.state.sizeLimit }} }
- name: sallyport-run
  emptyDir: { medium: Memory, sizeLimit: 1Mi }
- name: sallyport-no-token
  emptyDir: { medium: Memory, sizeLimit: 1Mi }
{{- if eq .Values.placement "sidecar" }}
- name: sallyport-agent
  emptyDir: { medium: Memory, sizeLimit: 1Mi }
- name: sallyport-names
  emptyDir: { medium: Memory, sizeLimit: 1Mi }
{{- end }}
- name: sallyport-svid
  csi:
    readOnly: true
    {{- if eq .Values.identity.source "spiffe-csi" }}
    driver: {{ .Values.identity.spiffeCsi.driver }}
    {{- else }}
    driver: {{ .Values.identity.certManagerCsi.driver }}
    volumeAttributes: { spiffe.csi.cert-manager.io/fs-group: {{ .Values.user | quote }} }
    {{- end }}
{{- range $index, $secret := .Values.secrets }}
- name: sallyport-secret-{{ $index }}
  secret: { secretName: {{ $secret.secret }} }
{{- end }}
{{- end }}

{{- define "sallyport.agentMounts" -}}
- { name: sallyport-agent, mountPath: {{ .Values.agent.path }}, readOnly: true }
{{- end }}
