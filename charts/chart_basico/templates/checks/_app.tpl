{{- define "chart_basico.check.app" -}}
{{- $v := .Values -}}
{{- if and $v.workload (not $v.version) -}}
{{- include "chart_basico.mistake" (dict
      "path" "version" "found" "nothing" "allowed" "a version such as v1.3.4, since there is a workload"
      "fix" "add version") -}}
{{- end -}}
{{- with include "chart_basico.workload.kind" . -}}
{{- /* Kubernetes appends to these names, and the whole must fit into a label of 63 characters. */ -}}
{{- $limit := get (dict "Deployment" 63 "DaemonSet" 52 "StatefulSet" 52 "CronJob" 52 "Job" 54) . -}}
{{- $name := include "chart_basico.workloadName" $ -}}
{{- if gt (len $name) $limit -}}
{{- include "chart_basico.mistake" (dict
      "path" "app" "found" (printf "the name %s of %d characters for a %s" $name (len $name) .)
      "allowed" (printf "%d" $limit) "fix" "shorten app or version") -}}
{{- end -}}
{{- end -}}
{{- if and $v.calls (not $v.workload) -}}
{{- include "chart_basico.mistake" (dict
      "path" "calls" "found" "calls without a workload" "allowed" "calls beside a workload, which makes them"
      "fix" "move calls to the workload's file") -}}
{{- end -}}
{{- end -}}

{{- define "chart_basico.check.namespace" -}}
{{- with .Values.namespace -}}
{{- if and .injection .revision -}}
{{- include "chart_basico.mistake" (dict
      "path" "namespace.injection" "found" (printf "%s beside namespace.revision %s" .injection .revision) "allowed" "one of the two"
      "fix" "keep revision where Istio is installed with revisions, else injection") -}}
{{- end -}}
{{- if or .injection .revision -}}
{{- $said := ternary "injection" "revision" (not (empty .injection)) -}}
{{- range $label := include "chart_basico.names" .labels | fromJsonArray -}}
{{- if has $label (list "istio-injection" "istio.io/rev") -}}
{{- include "chart_basico.mistake" (dict
      "path" "namespace.labels" "found" (printf "the label %s beside namespace.%s" $label $said) "allowed" "one of the two"
      "fix" "remove the label") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
