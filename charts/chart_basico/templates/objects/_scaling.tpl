{{- define "chart_basico.autoscaling" -}}
{{- if .Values.workload -}}
{{- with .Values.workload.autoscaling -}}
{{- $name := include "chart_basico.workloadName" $ -}}
{{- $spec := include "chart_basico.pick" (dict "from" . "keys" (list "behavior" "maxReplicas" "metrics" "minReplicas")) | fromJson -}}
{{- $_ := set $spec "scaleTargetRef" (dict "apiVersion" "apps/v1" "kind" ($.Values.workload.kind | default "Deployment") "name" $name) -}}
{{- include "chart_basico.document" (dict
      "apiVersion" "autoscaling/v2" "kind" "HorizontalPodAutoscaler"
      "metadata" (include "chart_basico.metadata" (dict "root" $ "name" $name "versioned" true) | fromJson)
      "spec" $spec) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "chart_basico.disruptionBudget" -}}
{{- if .Values.workload -}}
{{- with .Values.workload.disruptionBudget -}}
{{- $spec := include "chart_basico.pick" (dict "from" . "keys" (list "maxUnavailable" "minAvailable" "unhealthyPodEvictionPolicy")) | fromJson -}}
{{- $_ := set $spec "selector" (dict "matchLabels" (include "chart_basico.selector" $ | fromJson)) -}}
{{- include "chart_basico.document" (dict
      "apiVersion" "policy/v1" "kind" "PodDisruptionBudget"
      "metadata" (include "chart_basico.metadata" (dict "root" $ "name" (include "chart_basico.workloadName" $) "versioned" true) | fromJson)
      "spec" $spec) -}}
{{- end -}}
{{- end -}}
{{- end -}}
