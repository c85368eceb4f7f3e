{{- define "chart_basico.check.routing" -}}
{{- with .Values.routing -}}
{{- $r := . -}}
{{- $stages := list -}}
{{- range $i, $stage := $r.stages -}}
{{- $path := printf "routing.stages[%d]" $i -}}
{{- if has $stage.name $stages -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.name" $path) "found" (printf "%s for the second time" $stage.name) "allowed" "a name for each stage"
      "fix" "rename or remove one") -}}
{{- end -}}
{{- $stages = append $stages $stage.name -}}
{{- $sum := 0 -}}
{{- $parts := list -}}
{{- range $version := include "chart_basico.names" $stage.weights | fromJsonArray -}}
{{- $weight := int (get $stage.weights $version) -}}
{{- $sum = add $sum $weight -}}
{{- $parts = append $parts (printf "%s %d" $version $weight) -}}
{{- end -}}
{{- if ne (int $sum) 100 -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.weights" $path) "found" (printf "a sum of %d (%s)" $sum (join ", " $parts | default "no version")) "allowed" "a sum of 100"
      "fix" (printf "change the weights of stage %s by %+d" $stage.name (sub 100 $sum))) -}}
{{- end -}}
{{- end -}}
{{- if not (has $r.stage $stages) -}}
{{- include "chart_basico.mistake" (dict
      "path" "routing.stage" "found" $r.stage "allowed" (uniq $stages | join ", ") "fix" "name one of the stages") -}}
{{- end -}}
{{- $subsets := dict -}}
{{- range $version := include "chart_basico.routing.subsets" $ | fromJsonArray -}}
{{- $subset := include "chart_basico.legal" $version -}}
{{- with get $subsets $subset -}}
{{- include "chart_basico.mistake" (dict
      "path" "routing" "found" (printf "the versions %s and %s, both named %s where names allow neither dots nor capitals" . $version $subset) "allowed" "versions whose names differ"
      "fix" "write the version in one way everywhere, or rename one") -}}
{{- end -}}
{{- $_ := set $subsets $subset $version -}}
{{- end -}}
{{- $known := keys $subsets | sortAlpha -}}
{{- range $kind := list "http" "tcp" "tls" -}}
{{- range $i, $route := get $r $kind | default list -}}
{{- include "chart_basico.check.routing.subsets" (dict "root" $ "path" (printf "routing.%s[%d]" $kind $i) "route" $route "known" $known) -}}
{{- end -}}
{{- end -}}
{{- include "chart_basico.check.routing.subsets" (dict "root" $ "path" "routing" "route" (pick $r "mirror" "mirrors") "known" $known) -}}
{{- include "chart_basico.check.routing.protocol" $r -}}
{{- include "chart_basico.check.routing.removal" (dict "root" $ "known" $known) -}}
{{- if and (has "*" ($r.hosts | default list)) (has "mesh" ($r.gateways | default (list "mesh"))) -}}
{{- include "chart_basico.mistake" (dict
      "path" "routing.hosts" "found" "* in the mesh" "allowed" "* on gateways only"
      "fix" "name the hosts, or set routing.gateways without mesh") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.check.routing.subsets: of all places that a route names. In: root, path, route, known. */ -}}
{{- define "chart_basico.check.routing.subsets" -}}
{{- $places := dict -}}
{{- range $field := list "route" "mirrors" -}}
{{- range $i, $place := get $.route $field | default list -}}
{{- $_ := set $places (printf "%s[%d].destination" $field $i) ($place.destination | default dict) -}}
{{- end -}}
{{- end -}}
{{- with .route.mirror -}}{{- $_ := set $places "mirror" . -}}{{- end -}}
{{- range $path, $destination := $places -}}
{{- include "chart_basico.check.routing.subset" (dict
      "root" $.root "path" (printf "%s.%s" $.path $path) "destination" $destination "known" $.known) -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.check.routing.protocol: what is HTTP's alone. In: routing. */ -}}
{{- define "chart_basico.check.routing.protocol" -}}
{{- $r := . -}}
{{- $protocol := $r.protocol | default "HTTP" -}}
{{- if ne $protocol "HTTP" -}}
{{- range $field := append (include "chart_basico.routing.fields" . | fromYamlArray) "timeout" -}}
{{- if get $r $field -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "routing.%s" $field) "found" (printf "it with protocol %s" $protocol) "allowed" "it with protocol HTTP"
      "fix" (printf "remove it, or say it in routing.%s as Istio's routes do" (lower $protocol))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (eq $protocol "TLS") (not $r.hosts) -}}
{{- include "chart_basico.mistake" (dict
      "path" "routing.hosts" "found" "nothing" "allowed" "the names that clients ask for, with protocol TLS" "fix" "add routing.hosts") -}}
{{- end -}}
{{- end -}}

{{- /*
chart_basico.check.routing.removal: Helm changes the DestinationRule before the VirtualServices, so
a subset may go only after the routes that are live have stopped to name it. Sees them in an
upgrade only; a render that talks to no cluster has nothing to see.
In: root, known (the subsets that stay).
*/ -}}
{{- define "chart_basico.check.routing.removal" -}}
{{- $v := .root.Values -}}
{{- $lost := dict -}}
{{- range $name := list $v.app (printf "%s-exposure" $v.app) -}}
{{- $live := lookup "networking.istio.io/v1" "VirtualService" $.root.Release.Namespace $name | default dict -}}
{{- range $kind := list "http" "tcp" "tls" -}}
{{- range get ($live.spec | default dict) $kind | default list -}}
{{- range concat (.route | default list) (.mirrors | default list) (list (dict "destination" .mirror)) -}}
{{- $d := .destination | default dict -}}
{{- if and $d.subset (eq $d.host $v.app) (not (has $d.subset $.known)) -}}{{- $_ := set $lost $d.subset $name -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $subset, $name := $lost -}}
{{- include "chart_basico.mistake" (dict
      "path" "routing.versions" "found" (printf "no version of the subset %s, to which the live VirtualService %s routes" $subset $name)
      "allowed" "a version here until one upgrade after its routes are gone"
      "fix" (printf "add the version of subset %s to routing.versions for this upgrade, and remove it in the next" $subset)) -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.check.routing.subset: a subset of the App that a route names is there. In: root, path, destination, known. */ -}}
{{- define "chart_basico.check.routing.subset" -}}
{{- $d := .destination -}}
{{- if and $d.subset (eq ($d.host | default "") .root.Values.app) (not (has $d.subset .known)) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.subset" .path) "found" $d.subset "allowed" (join ", " .known)
      "fix" "name one of them, or give the version a place under routing.versions") -}}
{{- end -}}
{{- end -}}
