{{- /* Kept on uninstall: deleting it would take everything in it away. */ -}}
{{- define "chart_basico.namespace" -}}
{{- with .Values.namespace -}}
{{- $meta := include "chart_basico.metadata" (dict
      "root" $ "name" (.name | default $.Values.app) "from" .
      "annotations" (dict "helm.sh/resource-policy" "keep")) | fromJson -}}
{{- with .revision -}}{{- $_ := set $meta.labels "istio.io/rev" . -}}{{- end -}}
{{- with .injection -}}{{- $_ := set $meta.labels "istio-injection" . -}}{{- end -}}
{{- include "chart_basico.document" (dict "apiVersion" "v1" "kind" "Namespace" "metadata" $meta) -}}
{{- end -}}
{{- end -}}
