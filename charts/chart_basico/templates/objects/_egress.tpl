{{- /* What pods may reach outside the mesh: each declared host, and with REGISTRY_ONLY nothing else. */ -}}
{{- define "chart_basico.egress" -}}
{{- with .Values.egress -}}
{{- $e := . -}}
{{- range $key := include "chart_basico.names" .hosts | fromJsonArray -}}
{{- $host := get $e.hosts $key -}}
{{- $name := printf "%s-%s" $.Values.app $key -}}
{{- $meta := include "chart_basico.metadata" (dict "root" $ "name" $name "from" $host) | fromJson -}}
{{- $protocol := $host.protocol | default "TCP" -}}
{{- $spec := include "chart_basico.pick" (dict "from" $host "keys" (list "addresses" "endpoints" "exportTo" "resolution")) | fromJson -}}
{{- $port := dict "name" (lower $protocol) "number" $host.port "protocol" $protocol -}}
{{- with $host.targetPort -}}{{- $_ := set $port "targetPort" . -}}{{- end -}}
{{- include "chart_basico.document" (dict
      "apiVersion" "networking.istio.io/v1" "kind" "ServiceEntry" "metadata" $meta
      "spec" (merge $spec (dict
        "hosts" (list $host.host)
        "location" "MESH_EXTERNAL"
        "ports" (list $port)
        "resolution" "DNS"))) -}}
{{- with $host.trafficPolicy -}}
{{- include "chart_basico.document" (dict
      "apiVersion" "networking.istio.io/v1" "kind" "DestinationRule" "metadata" $meta
      "spec" (dict "host" $host.host "trafficPolicy" .)) -}}
{{- end -}}
{{- end -}}
{{- $sidecar := dict
      "egress" (list (dict "hosts" ($e.visible | default (list "*/*"))))
      "outboundTrafficPolicy" (dict "mode" ($e.outboundTrafficPolicy | default "REGISTRY_ONLY")) -}}
{{- if eq ($e.scope | default "app") "app" -}}
{{- $_ := set $sidecar "workloadSelector" (dict "labels" (dict "app" $.Values.app)) -}}
{{- end -}}
{{- include "chart_basico.document" (dict
      "apiVersion" "networking.istio.io/v1" "kind" "Sidecar"
      "metadata" (include "chart_basico.metadata" (dict "root" $ "name" $.Values.app "from" $e) | fromJson)
      "spec" $sidecar) -}}
{{- end -}}
{{- end -}}
