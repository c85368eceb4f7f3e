{{- define "chart_basico.check.egress" -}}
{{- $hosts := (.Values.egress | default dict).hosts -}}
{{- $seen := dict -}}
{{- range $name := include "chart_basico.names" $hosts | fromJsonArray -}}
{{- $host := get $hosts $name -}}
{{- $path := printf "egress.hosts.%s" $name -}}
{{- $resolution := $host.resolution | default "DNS" -}}
{{- if and (hasPrefix "*" $host.host) (ne $resolution "NONE") -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.resolution" $path) "found" (printf "%s for %s" $resolution $host.host) "allowed" "NONE for a host with *, which has no address to look up"
      "fix" "set resolution to NONE, or name the host in full") -}}
{{- end -}}
{{- if and (eq $resolution "STATIC") (not $host.endpoints) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.endpoints" $path) "found" "nothing" "allowed" "one or more, with resolution STATIC"
      "fix" "add endpoints, or change resolution") -}}
{{- end -}}
{{- if and (eq $resolution "NONE") $host.endpoints -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.endpoints" $path) "found" "endpoints" "allowed" "none, with resolution NONE"
      "fix" "remove them, or change resolution") -}}
{{- end -}}
{{- $address := printf "%s:%d" $host.host (int $host.port) -}}
{{- with get $seen $address -}}
{{- include "chart_basico.mistake" (dict
      "path" $path "found" (printf "%s, which egress.hosts.%s has too" $address .) "allowed" "one entry for a host and port"
      "fix" "remove one") -}}
{{- end -}}
{{- $_ := set $seen $address $name -}}
{{- end -}}
{{- end -}}
