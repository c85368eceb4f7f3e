{{- define "chart_basico.check" -}}
{{- end -}}
