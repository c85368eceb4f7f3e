{{- define "chart_basico.routing" -}}
{{- with .Values.routing -}}
{{- include "chart_basico.destinationRule" $ -}}
{{- include "chart_basico.document" (dict
      "apiVersion" "networking.istio.io/v1" "kind" "VirtualService"
      "metadata" (include "chart_basico.metadata" (dict "root" $ "name" $.Values.app "from" .) | fromJson)
      "spec" (dict
        "gateways" (.gateways | default (list "mesh"))
        "hosts" (.hosts | default (list $.Values.app))
        "http" (include "chart_basico.routing.http" $ | fromJsonArray))) -}}
{{- end -}}
{{- end -}}

{{- define "chart_basico.destinationRule" -}}
{{- $r := .Values.routing -}}
{{- $app := deepCopy ($r.trafficPolicy | default dict) -}}
{{- $_ := set $app "connectionPool" (include "chart_basico.routing.queue" $app.connectionPool | fromJson) -}}
{{- $subsets := list -}}
{{- range $version := include "chart_basico.routing.subsets" . | fromJsonArray -}}
{{- $subset := dict "name" (include "chart_basico.legal" $version) "labels" (dict "version" $version) -}}
{{- $policy := deepCopy ((get ($r.versions | default dict) $version | default dict).trafficPolicy | default dict) -}}
{{- if $policy.connectionPool -}}
{{- /* Istio takes a subset's pool instead of the app's, not on top of it: repeat the app's under it. */ -}}
{{- $_ := set $policy "connectionPool" (mergeOverwrite (deepCopy $app.connectionPool) $policy.connectionPool) -}}
{{- end -}}
{{- with $policy -}}{{- $_ := set $subset "trafficPolicy" . -}}{{- end -}}
{{- $subsets = append $subsets $subset -}}
{{- end -}}
{{- include "chart_basico.document" (dict
      "apiVersion" "networking.istio.io/v1" "kind" "DestinationRule"
      "metadata" (include "chart_basico.metadata" (dict "root" . "name" .Values.app "from" $r) | fromJson)
      "spec" (dict "host" .Values.app "trafficPolicy" $app "subsets" $subsets)) -}}
{{- end -}}
