{{- define "chart_basico.check.exposure" -}}
{{- with .Values.exposure -}}
{{- $e := . -}}
{{- $ports := ($.Values.service | default dict).ports | default dict -}}
{{- $names := include "chart_basico.names" $ports | fromJsonArray -}}
{{- $numbers := dict -}}
{{- range $names -}}{{- $_ := set $numbers . (include "chart_basico.text" (get $ports .).port) -}}{{- end -}}
{{- if $.Values.routing -}}
{{- if $e.port -}}
{{- include "chart_basico.mistake" (dict
      "path" "exposure.port" "found" (printf "%s beside routing" (include "chart_basico.text" $e.port)) "allowed" "routing.port, since the routes are those of routing"
      "fix" "move it to routing.port") -}}
{{- end -}}
{{- else -}}
{{- if not (include "chart_basico.exposure.port" $) -}}
{{- $known := include "chart_basico.workload.portsText" $numbers -}}
{{- include "chart_basico.mistake" (dict
      "path" "exposure.port" "found" (include "chart_basico.text" ($e.port | default "nothing"))
      "allowed" (ternary $known "a number, since service is not in this file" (gt (len $names) 0))
      "fix" "set exposure.port to the port of the Service") -}}
{{- else if and $names (kindIs "float64" $e.port) (not (has (include "chart_basico.text" $e.port) (values $numbers))) -}}
{{- include "chart_basico.mistake" (dict
      "path" "exposure.port" "found" (printf "%d, a port that the Service does not have" (int $e.port)) "allowed" (include "chart_basico.workload.portsText" $numbers)
      "fix" "set exposure.port to one of them") -}}
{{- end -}}
{{- end -}}
{{- with $e.gateway -}}
{{- if .existing -}}
{{- range $field := list "port" "selector" -}}
{{- if get $e.gateway $field -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "exposure.gateway.%s" $field) "found" (printf "a %s beside exposure.gateway.existing %s" $field $e.gateway.existing) "allowed" (printf "a %s of a Gateway that this release makes" $field)
      "fix" "remove one of the two") -}}
{{- end -}}
{{- end -}}
{{- if $e.tls -}}
{{- include "chart_basico.mistake" (dict
      "path" "exposure.tls" "found" (printf "TLS beside exposure.gateway.existing %s" .existing) "allowed" "TLS of a Gateway that this release makes"
      "fix" "set TLS where that Gateway is made") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $e.paths $.Values.routing -}}
{{- range $field := list "http" "match" -}}
{{- if get $.Values.routing $field -}}
{{- include "chart_basico.mistake" (dict
      "path" "exposure.paths" "found" (printf "paths beside routing.%s" $field) "allowed" "one of the two, since both say which requests match"
      "fix" (printf "remove exposure.paths, and match on uri in routing.%s" $field)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
