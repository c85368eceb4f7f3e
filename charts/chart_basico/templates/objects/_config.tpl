{{- define "chart_basico.config" -}}
{{- range $name := include "chart_basico.names" .Values.config | fromJsonArray -}}
{{- $c := get $.Values.config $name -}}
{{- $meta := include "chart_basico.metadata" (dict
      "root" $ "name" (include "chart_basico.partName" (dict "root" $ "name" $name)) "versioned" true "from" $c) | fromJson -}}
{{- $object := include "chart_basico.pick" (dict "from" $c "keys" (list "binaryData" "immutable")) | fromJson -}}
{{- with include "chart_basico.config.data" $c.data | fromJson -}}{{- $_ := set $object "data" . -}}{{- end -}}
{{- include "chart_basico.document" (merge (dict "apiVersion" "v1" "kind" "ConfigMap" "metadata" $meta) $object) -}}
{{- end -}}
{{- end -}}

{{- define "chart_basico.secrets" -}}
{{- range $name := include "chart_basico.names" .Values.secrets | fromJsonArray -}}
{{- $s := get $.Values.secrets $name -}}
{{- $meta := include "chart_basico.metadata" (dict
      "root" $ "name" (include "chart_basico.partName" (dict "root" $ "name" $name)) "versioned" true "from" $s) | fromJson -}}
{{- $object := include "chart_basico.pick" (dict "from" $s "keys" (list "data" "immutable")) | fromJson -}}
{{- with include "chart_basico.config.data" $s.stringData | fromJson -}}{{- $_ := set $object "stringData" . -}}{{- end -}}
{{- include "chart_basico.document" (merge (dict
      "apiVersion" "v1" "kind" "Secret" "metadata" $meta "type" ($s.type | default "Opaque")) $object) -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.config.data: every value as text, null entries left out. In: map. Out: JSON map. */ -}}
{{- define "chart_basico.config.data" -}}
{{- $out := dict -}}
{{- range $key, $value := . | default dict -}}
{{- if not (kindIs "invalid" $value) -}}{{- $_ := set $out $key (include "chart_basico.text" $value) -}}{{- end -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}
