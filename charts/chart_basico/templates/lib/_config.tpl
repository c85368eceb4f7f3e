{{- /* chart_basico.config.data: every value as text, null entries left out. In: map. Out: JSON map. */ -}}
{{- define "chart_basico.config.data" -}}
{{- $out := dict -}}
{{- range $key, $value := . | default dict -}}
{{- if not (kindIs "invalid" $value) -}}{{- $_ := set $out $key (include "chart_basico.text" $value) -}}{{- end -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}
