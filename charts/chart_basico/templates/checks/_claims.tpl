{{- define "chart_basico.check.claims" -}}
{{- range $name := include "chart_basico.names" .Values.claims | fromJsonArray -}}
{{- if not (include "chart_basico.check.given" (dict "from" (get $.Values.claims $name) "path" "resources.requests.storage")) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "claims.%s.resources.requests.storage" $name) "found" "nothing" "allowed" "a size such as 1Gi" "fix" "set it") -}}
{{- end -}}
{{- end -}}
{{- end -}}
