{{- define "chart_basico.check.config" -}}
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
{{- include "chart_basico.check.secret" (dict "path" (printf "secrets.%s" $name) "secret" $s) -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.check.secret: it has what the API server asks for its type. In: path, secret. */ -}}
{{- define "chart_basico.check.secret" -}}
{{- $needed := dict
      "kubernetes.io/tls" (list "tls.crt" "tls.key")
      "kubernetes.io/basic-auth" (list "username or password")
      "kubernetes.io/dockercfg" (list ".dockercfg")
      "kubernetes.io/dockerconfigjson" (list ".dockerconfigjson")
      "kubernetes.io/ssh-auth" (list "ssh-privatekey") -}}
{{- $type := .secret.type | default "Opaque" -}}
{{- $data := include "chart_basico.secret.data" .secret | fromJson -}}
{{- range $key := get $needed $type | default list -}}
{{- $given := list -}}
{{- range splitList " or " $key -}}
{{- if hasKey $data . -}}{{- $given = append $given . -}}{{- end -}}
{{- end -}}
{{- if not $given -}}
{{- include "chart_basico.mistake" (dict
      "path" $.path "found" (printf "type %s without the key %s" $type $key) "allowed" (printf "type %s with %s" $type (join ", " (get $needed $type)))
      "fix" "add the key under stringData, or change type") -}}
{{- else if hasPrefix ".docker" $key -}}
{{- /* Helm's fromJson tells of an error under this key. */ -}}
{{- if hasKey (get $data $key | b64dec | fromJson) "Error" -}}
{{- include "chart_basico.mistake" (dict
      "path" $.path "found" (printf "type %s with what is no JSON under %s" $type $key) "allowed" "a JSON map, as docker login writes it"
      "fix" (printf "correct %s, or change type" $key)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (eq $type "kubernetes.io/service-account-token") (not (get (.secret.annotations | default dict) "kubernetes.io/service-account.name")) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.annotations" .path) "found" (printf "type %s without the annotation kubernetes.io/service-account.name" $type) "allowed" "the name of the ServiceAccount under that annotation"
      "fix" "add the annotation, or change type") -}}
{{- end -}}
{{- end -}}
