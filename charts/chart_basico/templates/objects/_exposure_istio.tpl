{{- /* A Gateway on the ingress gateway's proxies, unless one is shared, and the route from it to the Service. */ -}}
{{- define "chart_basico.exposure.istio" -}}
{{- $e := .Values.exposure -}}
{{- $gateway := $e.gateway | default dict -}}
{{- if not $gateway.existing -}}
{{- include "chart_basico.document" (dict
      "apiVersion" "networking.istio.io/v1" "kind" "Gateway"
      "metadata" (include "chart_basico.metadata" (dict "root" . "name" .Values.app "from" $e) | fromJson)
      "spec" (dict
        "selector" ($gateway.selector | default (dict "istio" "ingressgateway"))
        "servers" (include "chart_basico.exposure.istio.servers" . | fromJsonArray))) -}}
{{- end -}}
{{- include "chart_basico.document" (dict
      "apiVersion" "networking.istio.io/v1" "kind" "VirtualService"
      "metadata" (include "chart_basico.metadata" (dict "root" . "name" (printf "%s-exposure" .Values.app) "from" $e) | fromJson)
      "spec" (dict
        "gateways" (list ($gateway.existing | default .Values.app))
        "hosts" $e.hosts
        "http" (include "chart_basico.exposure.istio.http" . | fromJsonArray))) -}}
{{- end -}}

{{- /* chart_basico.exposure.istio.servers. In: root. Out: JSON list. */ -}}
{{- define "chart_basico.exposure.istio.servers" -}}
{{- $e := .Values.exposure -}}
{{- $http := dict
      "hosts" $e.hosts
      "port" (dict "name" "http" "number" (($e.gateway | default dict).port | default 80) "protocol" "HTTP") -}}
{{- $servers := list $http -}}
{{- with $e.tls -}}
{{- if ne (toString .redirect) "false" -}}{{- $_ := set $http "tls" (dict "httpsRedirect" true) -}}{{- end -}}
{{- $servers = append $servers (dict
      "hosts" $e.hosts
      "port" (dict "name" "https" "number" 443 "protocol" "HTTPS")
      "tls" (dict "mode" "SIMPLE" "credentialName" .secretName)) -}}
{{- end -}}
{{- toJson $servers -}}
{{- end -}}

{{- /*
chart_basico.exposure.istio.http: with a routing block, the very routes it makes in the mesh, so
that who comes from outside is divided in the same way.
In: root. Out: JSON list.
*/ -}}
{{- define "chart_basico.exposure.istio.http" -}}
{{- $matches := include "chart_basico.exposure.matches" . | fromJsonArray -}}
{{- $routes := list -}}
{{- if .Values.routing -}}
{{- $routes = include "chart_basico.routing.http" . | fromJsonArray -}}
{{- else -}}
{{- $destination := dict "host" .Values.app "port" (dict "number" (include "chart_basico.exposure.port" . | int)) -}}
{{- $routes = list (dict "route" (list (dict "destination" $destination))) -}}
{{- end -}}
{{- $out := list -}}
{{- range $routes -}}
{{- $route := . -}}
{{- if and $matches (not $route.match) -}}{{- $_ := set $route "match" $matches -}}{{- end -}}
{{- $out = append $out $route -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}
