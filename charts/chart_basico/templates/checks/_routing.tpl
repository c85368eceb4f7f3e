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
{{- range $i, $http := $r.http -}}
{{- range $j, $route := $http.route -}}
{{- $d := $route.destination | default dict -}}
{{- include "chart_basico.check.routing.subset" (dict
      "root" $ "path" (printf "routing.http[%d].route[%d].destination" $i $j) "destination" $d "known" $known) -}}
{{- end -}}
{{- with $http.mirror -}}
{{- include "chart_basico.check.routing.subset" (dict
      "root" $ "path" (printf "routing.http[%d].mirror" $i) "destination" . "known" $known) -}}
{{- end -}}
{{- end -}}
{{- with $r.mirror -}}
{{- include "chart_basico.check.routing.subset" (dict "root" $ "path" "routing.mirror" "destination" . "known" $known) -}}
{{- end -}}
{{- if and (has "*" ($r.hosts | default list)) (has "mesh" ($r.gateways | default (list "mesh"))) -}}
{{- include "chart_basico.mistake" (dict
      "path" "routing.hosts" "found" "* in the mesh" "allowed" "* on gateways only"
      "fix" "name the hosts, or set routing.gateways without mesh") -}}
{{- end -}}
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
