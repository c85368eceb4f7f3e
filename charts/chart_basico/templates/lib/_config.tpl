{{- /* chart_basico.config.data: every value as text, null entries left out. In: map. Out: JSON map. */ -}}
{{- define "chart_basico.config.data" -}}
{{- $out := dict -}}
{{- range $key, $value := . | default dict -}}
{{- if not (kindIs "invalid" $value) -}}{{- $_ := set $out $key (include "chart_basico.text" $value) -}}{{- end -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{- /*
chart_basico.secret.data: bytes and text, all in base64. Kubernetes never takes a key out of data because it is gone
from stringData, so the chart renders data alone.
In: secret. Out: JSON map.
*/ -}}
{{- define "chart_basico.secret.data" -}}
{{- $out := include "chart_basico.compact" (.data | default dict) | fromJson -}}
{{- range $key, $text := include "chart_basico.config.data" .stringData | fromJson -}}{{- $_ := set $out $key (b64enc $text) -}}{{- end -}}
{{- toJson $out -}}
{{- end -}}
