{{/* The configuration file. What the chart must know of is set here; everything else comes from `config`. */}}
{{- define "sallyport.config" -}}
{{- $values := .Values -}}
{{- $config := deepCopy $values.config -}}
{{- $svid := dict -}}
{{- if eq $values.placement "laptop" -}}
{{-   $_ := set $svid "files" (dict "certificate" "certs/sallyport.pem" "key" "certs/sallyport.key" "trust_bundle" "certs/ca.pem") -}}
{{- else if eq $values.identity.source "spiffe-csi" -}}
{{-   $api := dict "socket" (printf "unix:///spiffe-workload-api/%s" $values.identity.spiffeCsi.socket) -}}
{{-   if $values.identity.spiffeCsi.id }}{{ $_ := set $api "svid" (dict "id" $values.identity.spiffeCsi.id) }}{{ end -}}
{{-   $_ := set $svid "workload_api" $api -}}
{{- else if eq $values.identity.source "cert-manager-csi" -}}
{{-   $at := "/var/run/secrets/spiffe.io" -}}
{{-   $_ := set $svid "files" (dict "certificate" (printf "%s/tls.crt" $at) "key" (printf "%s/tls.key" $at) "trust_bundle" (printf "%s/ca.crt" $at)) -}}
{{- else }}{{ fail "identity.source: expected spiffe-csi or cert-manager-csi" }}{{ end -}}
{{- $listeners := $config.listeners | default list -}}
{{- if and (eq $values.placement "sidecar") $values.capture.enabled -}}
{{-   range $family := $values.capture.families -}}
{{-     $host := ternary "127.0.0.1" "[::1]" (eq (int $family) 4) -}}
{{-     $listeners = append $listeners (dict "name" (printf "captured%d" (int $family)) "serves" "captured" "address" (printf "%s:%d" $host (int $values.capture.port)) "authenticate" (dict "as" (dict "env" "SALLYPORT_AGENT"))) -}}
{{-   end -}}
{{- else if and (eq $values.placement "gateway") (not $listeners) -}}
{{-   $listeners = list (dict "name" "egress" "serves" "http_proxy" "address" (printf "%s:%d" (include "sallyport.anyHost" .) (int $values.gateway.port))) -}}
{{- else if and (eq $values.placement "laptop") (not $listeners) -}}
{{-   $listeners = list (dict "name" "egress" "serves" "http_proxy" "address" "127.0.0.1:17401") -}}
{{- end -}}
{{- $laptop := eq $values.placement "laptop" -}}
{{- $var := ternary "var" "/var/lib/sallyport" $laptop -}}
{{- $made := dict
  "identity" (dict "trust_domain" $values.trustDomain "svid" $svid)
  "policy" (dict "bundles" (list (dict "name" "default" "path" (ternary "policy.tar.gz" "/etc/sallyport-policy/policy.tar.gz" $laptop))) "keep" (printf "%s/policy" $var))
  "listeners" $listeners
  "audit" (dict "directory" (printf "%s/audit" $var) "retain" (ternary "30d" "1d" $laptop) "sinks" (list (dict "stdout" dict)))
  "state" (dict "sqlite" (printf "%s/state.db" $var))
  "admin" (dict "health" (dict "address" (printf "%s:%d" (ternary "127.0.0.1" (include "sallyport.anyHost" .) $laptop) (int $values.health.port))) "control" (dict "socket" (ternary "var/control.sock" "/run/sallyport/control.sock" $laptop)))
  "drain_timeout" (printf "%ds" (sub (int $values.terminationGracePeriodSeconds) (include "sallyport.reserve" . | int)))
-}}
{{- $_ := unset $config "listeners" -}}
{{- mergeOverwrite $made $config | toYaml }}
{{- end }}
