{{- /* chart_basico.check.labels: no block asks for a label that the chart sets, since the chart's would win. In: root. */ -}}
{{- define "chart_basico.check.labels" -}}
{{- $v := .Values -}}
{{- $blocks := dict -}}
{{- range $block := list "access" "egress" "exposure" "identity" "namespace" "routing" "service" "workload" -}}
{{- $_ := set $blocks $block (get $v $block) -}}
{{- end -}}
{{- range $block := list "autoscaling" "disruptionBudget" -}}
{{- $_ := set $blocks (printf "workload.%s" $block) (get ($v.workload | default dict) $block) -}}
{{- end -}}
{{- range $path, $named := dict
      "access.authorizationPolicies" ($v.access | default dict).authorizationPolicies
      "claims" $v.claims "config" $v.config "egress.hosts" ($v.egress | default dict).hosts "secrets" $v.secrets -}}
{{- range $name, $block := $named -}}{{- $_ := set $blocks (printf "%s.%s" $path $name) $block -}}{{- end -}}
{{- end -}}
{{- range $path, $block := $blocks -}}
{{- if kindIs "map" $block -}}
{{- $own := list "app" "app.kubernetes.io/instance" "app.kubernetes.io/managed-by" "app.kubernetes.io/name" -}}
{{- if and $v.version (or $block.perVersion (has (splitList "." $path | first) (list "config" "secrets" "workload"))) -}}
{{- $own = concat $own (list "app.kubernetes.io/version" "version") -}}
{{- end -}}
{{- range $field := list "labels" "podLabels" -}}
{{- range $label := include "chart_basico.names" (get $block $field) | fromJsonArray -}}
{{- if has $label $own -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.%s" $path $field) "found" (printf "the label %s" $label) "allowed" "labels that the chart does not set"
      "fix" "remove it: it follows from app, version and the release") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
