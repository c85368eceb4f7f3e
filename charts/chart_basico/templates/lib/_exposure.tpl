{{- /* chart_basico.exposure.port: the number of the Service's port that is exposed. In: root. Out: text, empty if it cannot be known. */ -}}
{{- define "chart_basico.exposure.port" -}}
{{- $ports := ((.Values.service | default dict).ports) | default dict -}}
{{- $port := (.Values.routing | default dict).port | default .Values.exposure.port -}}
{{- $names := include "chart_basico.names" $ports | fromJsonArray -}}
{{- if kindIs "string" $port -}}
{{- with get $ports $port -}}{{- int .port -}}{{- end -}}
{{- else if $port -}}
{{- int $port -}}
{{- else if eq (len $names) 1 -}}
{{- int (get $ports (first $names)).port -}}
{{- end -}}
{{- end -}}

{{- /*
chart_basico.exposure.portName: the name of that port, by which a Route finds it: a number would
be that of the pods. In: root. Out: text, empty if none is needed or it cannot be known.
*/ -}}
{{- define "chart_basico.exposure.portName" -}}
{{- if kindIs "string" .Values.exposure.port -}}
{{- .Values.exposure.port -}}
{{- else -}}
{{- $ports := ((.Values.service | default dict).ports) | default dict -}}
{{- $number := include "chart_basico.exposure.port" . -}}
{{- range $name := include "chart_basico.names" $ports | fromJsonArray -}}
{{- if eq (include "chart_basico.text" (get $ports $name).port) $number -}}{{- $name -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /*
chart_basico.exposure.paths: the exposed paths in order, each with its name, path and pathType;
one without a name for every path where none is given. In: root. Out: JSON list.
*/ -}}
{{- define "chart_basico.exposure.paths" -}}
{{- $paths := .Values.exposure.paths | default dict -}}
{{- $out := list -}}
{{- range $name := include "chart_basico.names" $paths | fromJsonArray -}}
{{- $entry := get $paths $name -}}
{{- $out = append $out (dict "name" $name "path" $entry.path "pathType" ($entry.pathType | default "Prefix")) -}}
{{- end -}}
{{- toJson ($out | default (list (dict "name" "" "path" "/" "pathType" "Prefix"))) -}}
{{- end -}}

{{- /*
chart_basico.exposure.backends: the Services that requests are divided over, for those who know
no subsets: with a routing block the one of each version, else the App's. In: root. Out: JSON list of {name, weight}.
*/ -}}
{{- define "chart_basico.exposure.backends" -}}
{{- if .Values.routing -}}
{{- $weights := (include "chart_basico.routing.stage" . | fromJson).weights | default dict -}}
{{- $out := list -}}
{{- range $version := include "chart_basico.routing.versions" . | fromJsonArray -}}
{{- $name := printf "%s-%s" $.Values.app (include "chart_basico.legal" $version) -}}
{{- $out = append $out (dict "name" $name "weight" (int (get $weights $version | default 0))) -}}
{{- end -}}
{{- toJson $out -}}
{{- else -}}
{{- toJson (list (dict "name" (include "chart_basico.service.name" .) "weight" 100)) -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.exposure.redirects: whether plain HTTP is redirected. In: root. Out: text, empty for no. */ -}}
{{- define "chart_basico.exposure.redirects" -}}
{{- $tls := .Values.exposure.tls -}}
{{- if and (not (kindIs "invalid" $tls)) (ne (toString ($tls | default dict).redirect) "false") -}}yes{{- end -}}
{{- end -}}

{{- /*
chart_basico.exposure.certificates: which hosts have which certificate, with TLS: those of `certificates` by name, then
the one without a name of all other hosts. In: root. Out: JSON list of {name, hosts, secretName (may be absent)}.
*/ -}}
{{- define "chart_basico.exposure.certificates" -}}
{{- $e := .Values.exposure -}}
{{- $out := list -}}
{{- if not (kindIs "invalid" $e.tls) -}}
{{- $rest := $e.hosts -}}
{{- range $name := include "chart_basico.names" $e.tls.certificates | fromJsonArray -}}
{{- $certificate := include "chart_basico.pick" (dict "from" (get $e.tls.certificates $name) "keys" (list "hosts" "secretName")) | fromJson -}}
{{- $out = append $out (set $certificate "name" $name) -}}
{{- range $certificate.hosts -}}{{- $rest = without $rest . -}}{{- end -}}
{{- end -}}
{{- with $rest -}}
{{- $out = append $out (merge (dict "name" "" "hosts" .) (include "chart_basico.pick" (dict "from" $e.tls "keys" (list "secretName")) | fromJson)) -}}
{{- end -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{- /* chart_basico.exposure.istio.servers. In: root. Out: JSON list. */ -}}
{{- define "chart_basico.exposure.istio.servers" -}}
{{- $e := .Values.exposure -}}
{{- $http := dict
      "hosts" $e.hosts
      "port" (dict "name" "http" "number" (($e.gateway | default dict).port | default 80) "protocol" "HTTP") -}}
{{- if include "chart_basico.exposure.redirects" . -}}{{- $_ := set $http "tls" (dict "httpsRedirect" true) -}}{{- end -}}
{{- $servers := list $http -}}
{{- range include "chart_basico.exposure.certificates" . | fromJsonArray -}}
{{- $tls := dict "mode" "SIMPLE" -}}
{{- with .secretName -}}{{- $_ := set $tls "credentialName" . -}}{{- end -}}
{{- $servers = append $servers (dict
      "hosts" .hosts
      "port" (dict "name" (list "https" .name | compact | join "-") "number" 443 "protocol" "HTTPS")
      "tls" (mergeOverwrite $tls (deepCopy (($e.istio | default dict).tls | default dict)))) -}}
{{- end -}}
{{- toJson $servers -}}
{{- end -}}

{{- /* chart_basico.exposure.istio.matches: the exposed paths as Istio's matches; none means every path. In: root. Out: JSON list. */ -}}
{{- define "chart_basico.exposure.istio.matches" -}}
{{- $out := list -}}
{{- if .Values.exposure.paths -}}
{{- range include "chart_basico.exposure.paths" . | fromJsonArray -}}
{{- $out = append $out (dict "uri" (dict (lower .pathType) .path)) -}}
{{- end -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{- /*
chart_basico.exposure.istio.http: with a routing block, the very routes it makes in the mesh, so
that who comes from outside is divided in the same way.
In: root. Out: JSON list.
*/ -}}
{{- define "chart_basico.exposure.istio.http" -}}
{{- $matches := include "chart_basico.exposure.istio.matches" . | fromJsonArray -}}
{{- $routes := list -}}
{{- if .Values.routing -}}
{{- $routes = include "chart_basico.routing.http" . | fromJsonArray -}}
{{- else -}}
{{- $keys := include "chart_basico.exposure.istio.fields" . | fromYamlArray -}}
{{- $route := include "chart_basico.pick" (dict "from" .Values.exposure.istio "keys" $keys) | fromJson -}}
{{- $destination := dict "host" (include "chart_basico.service.name" .) "port" (dict "number" (include "chart_basico.exposure.port" . | int)) -}}
{{- $_ := set $route "route" (list (dict "destination" $destination)) -}}
{{- $routes = list $route -}}
{{- end -}}
{{- $out := list -}}
{{- range $routes -}}
{{- $route := . -}}
{{- if and $matches (not $route.match) -}}{{- $_ := set $route "match" $matches -}}{{- end -}}
{{- $out = append $out $route -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{- /* chart_basico.exposure.istio.fields: what is Istio's own and passed through as it is. Out: YAML list. */ -}}
{{- define "chart_basico.exposure.istio.fields" -}}
- corsPolicy
- fault
- headers
- mirror
- mirrorPercentage
- mirrors
- retries
- rewrite
- timeout
{{- end -}}

{{- /*
chart_basico.exposure.gatewayAPI.listeners: those of TLS: one, or one for each host where they have certificates of
their own, since a listener has one name of a host. In: root. Out: JSON list.
*/ -}}
{{- define "chart_basico.exposure.gatewayAPI.listeners" -}}
{{- $e := .Values.exposure -}}
{{- $out := list -}}
{{- range include "chart_basico.exposure.certificates" . | fromJsonArray -}}
{{- $tls := dict "mode" "Terminate" "certificateRefs" (list (dict "name" .secretName)) -}}
{{- with ($e.gatewayAPI | default dict).options -}}{{- $_ := set $tls "options" . -}}{{- end -}}
{{- $listener := dict "port" 443 "protocol" "HTTPS" "tls" $tls -}}
{{- range ternary .hosts (list "*") (not (empty $e.tls.certificates)) -}}
{{- if eq . "*" -}}
{{- $out = append $out (merge (dict "name" "https") $listener) -}}
{{- else -}}
{{- /* No host's name begins with a dash, so none has that of another. */ -}}
{{- $out = append $out (merge (dict "name" (printf "https-%s" (. | replace "*." "-")) "hostname" .) $listener) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{- /* chart_basico.exposure.gatewayAPI.parent: the Gateway of a route. In: root, listener (of a Gateway of ours). Out: JSON map. */ -}}
{{- define "chart_basico.exposure.gatewayAPI.parent" -}}
{{- $e := .root.Values.exposure -}}
{{- $out := dict "name" .root.Values.app -}}
{{- with ($e.gateway | default dict).existing -}}
{{- $parts := splitList "/" . -}}
{{- $_ := set $out "name" (last $parts) -}}
{{- if gt (len $parts) 1 -}}{{- $_ := set $out "namespace" (first $parts) -}}{{- end -}}
{{- with ($e.gatewayAPI | default dict).sectionName -}}{{- $_ := set $out "sectionName" . -}}{{- end -}}
{{- else -}}
{{- with .listener -}}{{- $_ := set $out "sectionName" . -}}{{- end -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{- /*
chart_basico.exposure.gatewayAPI.route: an HTTPRoute. In: root, name, listeners (empty for all), rule.
Out: a document.
*/ -}}
{{- define "chart_basico.exposure.gatewayAPI.route" -}}
{{- $e := .root.Values.exposure -}}
{{- $parents := list -}}
{{- range .listeners | default (list "") -}}
{{- $parents = append $parents (include "chart_basico.exposure.gatewayAPI.parent" (dict "root" $.root "listener" .) | fromJson) -}}
{{- end -}}
{{- $spec := dict "parentRefs" $parents "rules" (list .rule) -}}
{{- if not (has "*" $e.hosts) -}}{{- $_ := set $spec "hostnames" $e.hosts -}}{{- end -}}
{{- include "chart_basico.document" (dict
      "apiVersion" "gateway.networking.k8s.io/v1" "kind" "HTTPRoute"
      "metadata" (include "chart_basico.metadata" (dict "root" .root "name" .name "from" $e) | fromJson)
      "spec" $spec) -}}
{{- end -}}

{{- /* chart_basico.exposure.route.tls. In: root, host. Out: JSON map. */ -}}
{{- define "chart_basico.exposure.route.tls" -}}
{{- $e := .root.Values.exposure -}}
{{- $given := deepCopy (($e.route | default dict).tls | default dict) -}}
{{- /* What passes through as it is says no host without TLS. */ -}}
{{- $plain := ternary "None" "Allow" (eq ($given.termination | default "edge") "passthrough") -}}
{{- $tls := dict
      "termination" "edge"
      "insecureEdgeTerminationPolicy" (ternary "Redirect" $plain (include "chart_basico.exposure.redirects" .root | eq "yes")) -}}
{{- range include "chart_basico.exposure.certificates" .root | fromJsonArray -}}
{{- if and .secretName (has $.host .hosts) -}}{{- $_ := set $tls "externalCertificate" (dict "name" .secretName) -}}{{- end -}}
{{- end -}}
{{- toJson (mergeOverwrite $tls $given) -}}
{{- end -}}

{{- /* chart_basico.exposure.route.name: <app>-<host>[-<path>], dashes for dots. In: root, host, path. Out: text. */ -}}
{{- define "chart_basico.exposure.route.name" -}}
{{- $parts := list .root.Values.app (.host | replace "*" "any" | replace "." "-") -}}
{{- with .path -}}{{- $parts = append $parts . -}}{{- end -}}
{{- join "-" $parts -}}
{{- end -}}

{{- /* chart_basico.exposure.kind: how the app is exposed, empty where it is not. In: root. Out: text. */ -}}
{{- define "chart_basico.exposure.kind" -}}
{{- with .Values.exposure -}}{{- .kind -}}{{- end -}}
{{- end -}}

{{- /*
chart_basico.exposure.ask: the commands that tell at which address the App answers, and whether its routes are taken.
In: root. Out: JSON of {address, state}.
*/ -}}
{{- define "chart_basico.exposure.ask" -}}
{{- $app := .Values.app -}}
{{- $gateway := .Values.exposure.gateway | default dict -}}
{{- $get := printf "kubectl -n %s get" .Release.Namespace -}}
{{- $kind := include "chart_basico.exposure.kind" . -}}
{{- /* A Gateway without a namespace is in that of the release. */ -}}
{{- $existing := splitList "/" ($gateway.existing | default "") -}}
{{- $there := ternary (first $existing) .Release.Namespace (gt (len $existing) 1) -}}
{{- if eq $kind "istio" -}}
{{- $selector := list -}}
{{- range $key, $value := $gateway.selector | default (dict "istio" "ingressgateway") -}}{{- $selector = append $selector (printf "%s=%s" $key $value) -}}{{- end -}}
{{- $address := printf "kubectl get services -A -l %s" (join "," $selector) -}}
{{- if $gateway.existing -}}
{{- $address = printf "kubectl -n %s get gateways.networking.istio.io %s -o jsonpath='{.spec.selector}' says whose Service has it" $there (last $existing) -}}
{{- end -}}
{{- dict "address" $address "state" (printf "istioctl analyze -n %s" .Release.Namespace) | toJson -}}
{{- else if eq $kind "gatewayAPI" -}}
{{- $address := printf "%s gateways.gateway.networking.k8s.io %s" $get $app -}}
{{- if $gateway.existing -}}{{- $address = printf "kubectl -n %s get gateways.gateway.networking.k8s.io %s" $there (last $existing) -}}{{- end -}}
{{- dict "address" $address "state" (printf "%s httproutes.gateway.networking.k8s.io %s -o jsonpath='{.status.parents}'" $get $app) | toJson -}}
{{- else if eq $kind "ingress" -}}
{{- dict "address" (printf "%s ingresses.networking.k8s.io %s" $get $app) "state" (printf "kubectl -n %s describe ingresses.networking.k8s.io %s" .Release.Namespace $app) | toJson -}}
{{- else -}}
{{- $routes := printf "%s routes.route.openshift.io -l app=%s" $get $app -}}
{{- dict "address" $routes "state" (printf "%s -o jsonpath='{.items[*].status.ingress}'" $routes) | toJson -}}
{{- end -}}
{{- end -}}
