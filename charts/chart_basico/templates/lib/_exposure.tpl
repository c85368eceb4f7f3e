{{- /* chart_basico.exposure.port: the number of the Service's port that is exposed. In: root. Out: text, empty if it cannot be known. */ -}}
{{- define "chart_basico.exposure.port" -}}
{{- $ports := ((.Values.service | default dict).ports) | default dict -}}
{{- $port := .Values.exposure.port -}}
{{- $names := include "chart_basico.names" $ports | fromJsonArray -}}
{{- if kindIs "string" $port -}}
{{- with get $ports $port -}}{{- int .port -}}{{- end -}}
{{- else if $port -}}
{{- int $port -}}
{{- else if eq (len $names) 1 -}}
{{- int (get $ports (first $names)).port -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.exposure.matches: the exposed paths as Istio's matches; none means every path. In: root. Out: JSON list. */ -}}
{{- define "chart_basico.exposure.matches" -}}
{{- $paths := .Values.exposure.paths | default dict -}}
{{- $out := list -}}
{{- range $name := include "chart_basico.names" $paths | fromJsonArray -}}
{{- $entry := get $paths $name -}}
{{- $out = append $out (dict "uri" (dict (ternary "exact" "prefix" (eq ($entry.pathType | default "Prefix") "Exact")) $entry.path)) -}}
{{- end -}}
{{- toJson $out -}}
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

{{- /* chart_basico.exposure.kind: how the app is exposed, empty where it is not. In: root. Out: text. */ -}}
{{- define "chart_basico.exposure.kind" -}}
{{- with .Values.exposure -}}{{- .kind -}}{{- end -}}
{{- end -}}
