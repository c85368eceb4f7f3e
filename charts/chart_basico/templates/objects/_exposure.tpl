{{- define "chart_basico.exposure" -}}
{{- with .Values.exposure -}}
{{- include (printf "chart_basico.exposure.%s" .kind) $ -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.exposure.port: the number of the Service's port that is exposed. In: root. Out: text, empty if it cannot be known. */ -}}
{{- define "chart_basico.exposure.port" -}}
{{- $ports := ((.Values.service | default dict).ports) | default dict -}}
{{- $port := .Values.exposure.port -}}
{{- $names := include "chart_basico.names" $ports | fromJsonArray -}}
{{- if kindIs "string" $port -}}
{{- with get $ports $port -}}{{- int .port -}}{{- end -}}
{{- else if $port -}}
{{- int $port -}}
{{- else if eq (len $names) 1 -}}
{{- int (get $ports (first $names)).port -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.exposure.matches: the exposed paths as Istio's matches; none means every path. In: root. Out: JSON list. */ -}}
{{- define "chart_basico.exposure.matches" -}}
{{- $paths := .Values.exposure.paths | default dict -}}
{{- $out := list -}}
{{- range $name := include "chart_basico.names" $paths | fromJsonArray -}}
{{- $entry := get $paths $name -}}
{{- $out = append $out (dict "uri" (dict (ternary "exact" "prefix" (eq ($entry.pathType | default "Prefix") "Exact")) $entry.path)) -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}
