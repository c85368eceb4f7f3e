{{- define "chart_basico.check.config" -}}
{{- $needed := dict
      "kubernetes.io/tls" (list "tls.crt" "tls.key")
      "kubernetes.io/basic-auth" (list "username")
      "kubernetes.io/dockerconfigjson" (list ".dockerconfigjson")
      "kubernetes.io/ssh-auth" (list "ssh-privatekey") -}}
{{- range $name := include "chart_basico.names" .Values.config | fromJsonArray -}}
{{- $c := get $.Values.config $name -}}
{{- range $key, $value := $c.data -}}
{{- include "chart_basico.check.text" (dict "path" (printf "config.%s.data.%s" $name $key) "value" $value) -}}
{{- end -}}
{{- range $key, $_ := $c.binaryData -}}
{{- if hasKey ($c.data | default dict) $key -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "config.%s.binaryData" $name) "found" (printf "the key %s, which is under data too" $key) "allowed" "a key in one of the two"
      "fix" "remove one") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name := include "chart_basico.names" .Values.secrets | fromJsonArray -}}
{{- $s := get $.Values.secrets $name -}}
{{- range $key, $value := $s.stringData -}}
{{- include "chart_basico.check.text" (dict "path" (printf "secrets.%s.stringData.%s" $name $key) "value" $value) -}}
{{- end -}}
{{- $keys := concat (keys ($s.data | default dict)) (keys ($s.stringData | default dict)) -}}
{{- range get $needed ($s.type | default "Opaque") | default list -}}
{{- if not (has . $keys) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "secrets.%s" $name) "found" (printf "type %s without the key %s" $s.type .) "allowed" (printf "type %s with %s" $s.type (join ", " (get $needed $s.type)))
      "fix" "add the key under stringData, or change type") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
