{{- /*
chart_basico.routing.versions: the versions that get a weight at any stage, sorted: all of them
are named at every stage, so stages differ in weights and in nothing else.
In: root. Out: JSON list.
*/ -}}
{{- define "chart_basico.routing.versions" -}}
{{- $versions := dict -}}
{{- range .Values.routing.stages -}}
{{- range $version := include "chart_basico.names" .weights | fromJsonArray -}}{{- $_ := set $versions $version true -}}{{- end -}}
{{- end -}}
{{- toJson (keys $versions | sortAlpha) -}}
{{- end -}}

{{- /*
chart_basico.routing.subsets: those, and the versions that only `routing.versions` names: a subset
may go only after no route names it, so it is dropped from the stages first and from there later.
In: root. Out: JSON list.
*/ -}}
{{- define "chart_basico.routing.subsets" -}}
{{- $all := concat
      (include "chart_basico.routing.versions" . | fromJsonArray)
      (include "chart_basico.names" .Values.routing.versions | fromJsonArray) -}}
{{- toJson (uniq $all | sortAlpha) -}}
{{- end -}}

{{- /* chart_basico.routing.stage: the current stage. In: root. Out: JSON map. */ -}}
{{- define "chart_basico.routing.stage" -}}
{{- $stage := dict -}}
{{- range .Values.routing.stages -}}
{{- if eq .name $.Values.routing.stage -}}{{- $stage = . -}}{{- end -}}
{{- end -}}
{{- toJson $stage -}}
{{- end -}}

{{- /* chart_basico.routing.route: the places that requests are divided over, by the weights of the stage. In: root. Out: JSON list. */ -}}
{{- define "chart_basico.routing.route" -}}
{{- $r := .Values.routing -}}
{{- $weights := (include "chart_basico.routing.stage" . | fromJson).weights | default dict -}}
{{- $route := list -}}
{{- range $version := include "chart_basico.routing.versions" . | fromJsonArray -}}
{{- $destination := dict "host" $.Values.app "subset" (include "chart_basico.legal" $version) -}}
{{- with $r.port -}}{{- $_ := set $destination "port" (dict "number" .) -}}{{- end -}}
{{- $route = append $route (dict "destination" $destination "weight" (int (get $weights $version | default 0))) -}}
{{- end -}}
{{- toJson $route -}}
{{- end -}}

{{- /*
chart_basico.routing.http: the routes of the app in order: the operator's own, then the weighted one.
In: root. Out: JSON list.
*/ -}}
{{- define "chart_basico.routing.http" -}}
{{- $r := .Values.routing -}}
{{- $out := $r.http | default list -}}
{{- if eq ($r.protocol | default "HTTP") "HTTP" -}}
{{- $http := include "chart_basico.pick" (dict "from" $r "keys" (include "chart_basico.routing.fields" . | fromYamlArray)) | fromJson -}}
{{- $_ := set $http "route" (include "chart_basico.routing.route" . | fromJsonArray) -}}
{{- /* No time is no limit, which Istio says by saying nothing. */ -}}
{{- $timeout := $r.timeout | default "10s" -}}
{{- if not (regexMatch "^(0[a-z]+)+$" $timeout) -}}{{- $_ := set $http "timeout" $timeout -}}{{- end -}}
{{- $out = append $out $http -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{- /* chart_basico.routing.streams: the routes of tcp or tls, likewise. In: root, kind. Out: JSON list. */ -}}
{{- define "chart_basico.routing.streams" -}}
{{- $r := .root.Values.routing -}}
{{- $out := get $r .kind | default list -}}
{{- if eq ($r.protocol | default "HTTP") (upper .kind) -}}
{{- $stream := dict "route" (include "chart_basico.routing.route" .root | fromJsonArray) -}}
{{- if eq .kind "tls" -}}{{- $_ := set $stream "match" (list (dict "sniHosts" $r.hosts)) -}}{{- end -}}
{{- $out = append $out $stream -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{- /*
chart_basico.routing.matches: those of a route in the mesh, for the port of routing and no other of the Service: Istio
asks the routes at each port that a pod dials, and one that matches there sends to the port of routing. A gateway has
ports of its own, and a host that is no Service is dialled at 80.
In: root, matches (may be absent). Out: JSON list, empty if the route keeps its own.
*/ -}}
{{- define "chart_basico.routing.matches" -}}
{{- $r := .root.Values.routing -}}
{{- $all := $r.gateways | default (list "mesh") -}}
{{- $out := .matches | default list -}}
{{- $own := list .root.Values.app -}}
{{- range list "" ".svc" ".svc.cluster.local" -}}{{- $own = append $own (printf "%s.%s%s" $.root.Values.app $.root.Release.Namespace .) -}}{{- end -}}
{{- $others := $r.hosts | default list -}}
{{- range $own -}}{{- $others = without $others . -}}{{- end -}}
{{- if and $r.port (not $others) -}}
{{- $out = list -}}
{{- range .matches | default (list dict) -}}
{{- $where := .gateways | default $all -}}
{{- $gateways := without $where "mesh" -}}
{{- if or .port (not (has "mesh" $where)) -}}
{{- $out = append $out . -}}
{{- else if $gateways -}}
{{- $out = append $out (merge (dict "port" $r.port "gateways" (list "mesh")) .) -}}
{{- $out = append $out (merge (dict "gateways" $gateways) .) -}}
{{- else -}}
{{- $out = append $out (merge (dict "port" $r.port) .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- /* Where one is empty there is nothing to ask for: those that the values have stay as they are. */ -}}
{{- toJson (ternary list $out (has dict $out)) -}}
{{- end -}}

{{- /* chart_basico.routing.fields: what is Istio's own and passed through as it is. Out: YAML list. */ -}}
{{- define "chart_basico.routing.fields" -}}
- corsPolicy
- fault
- headers
- match
- mirror
- mirrorPercentage
- mirrors
- retries
- rewrite
{{- end -}}

{{- /*
chart_basico.routing.policy: the policy of the App: a queue of 1000 waiting requests, unless the
values say otherwise; 0 says that Istio decides.
In: the user's policy. Out: JSON map.
*/ -}}
{{- define "chart_basico.routing.policy" -}}
{{- $policy := deepCopy (. | default dict) -}}
{{- $pool := $policy.connectionPool | default dict -}}
{{- $http := $pool.http | default dict -}}
{{- if not (hasKey $http "http1MaxPendingRequests") -}}
{{- $_ := set $http "http1MaxPendingRequests" 1000 -}}
{{- else if not $http.http1MaxPendingRequests -}}
{{- $_ := unset $http "http1MaxPendingRequests" -}}
{{- end -}}
{{- $_ := set $pool "http" $http -}}
{{- $_ := set $policy "connectionPool" $pool -}}
{{- include "chart_basico.policy" $policy -}}
{{- end -}}
