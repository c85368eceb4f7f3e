{{- define "chart_basico.check.workload" -}}
{{- with .Values.workload -}}
{{- $w := . -}}
{{- $kind := include "chart_basico.workload.kind" $ -}}
{{- $fields := include "chart_basico.workload.fields" . | fromYaml -}}
{{- /* A CronJob carries the fields of the Jobs it makes. */ -}}
{{- $allowed := get $fields $kind -}}
{{- if eq $kind "CronJob" -}}{{- $allowed = concat $allowed (get $fields "Job") -}}{{- end -}}
{{- $elsewhere := dict -}}
{{- range $other, $names := $fields -}}
{{- range $names -}}
{{- if not (has . $allowed) -}}{{- $_ := set $elsewhere . (append (get $elsewhere . | default list) $other) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- range $field := keys (include "chart_basico.pick" (dict "from" $w "keys" (keys $elsewhere)) | fromJson) | sortAlpha -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "workload.%s" $field) "found" (printf "a field of %s in a %s" (get $elsewhere $field | join ", ") $kind) "allowed" (printf "the fields of a %s" $kind)
      "fix" (printf "remove it, or set workload.kind to %s" (get $elsewhere $field | sortAlpha | join " or "))) -}}
{{- end -}}
{{- $rolling := include "chart_basico.compact" (($w.updateStrategy | default dict).rollingUpdate | default dict) | fromJson -}}
{{- range $field, $owner := dict "maxSurge" "DaemonSet" "partition" "StatefulSet" -}}
{{- if and (hasKey $rolling $field) (ne $kind $owner) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "workload.updateStrategy.rollingUpdate.%s" $field) "found" (printf "a field of %s in a %s" $owner $kind) "allowed" (printf "the fields of a %s" $kind)
      "fix" (printf "remove it, or set workload.kind to %s" $owner)) -}}
{{- end -}}
{{- end -}}
{{- if and (eq $kind "CronJob") (not $w.schedule) -}}
{{- include "chart_basico.mistake" (dict
      "path" "workload.schedule" "found" "nothing" "allowed" "a time in cron's format, as a CronJob needs"
      "fix" "add workload.schedule, such as \"0 3 * * *\"") -}}
{{- end -}}
{{- if not (include "chart_basico.names" $w.containers | fromJsonArray) -}}
{{- include "chart_basico.mistake" (dict
      "path" "workload.containers" "found" "no container" "allowed" "one or more"
      "fix" "add a container with its image") -}}
{{- end -}}
{{- with $w.autoscaling -}}
{{- if not (has $kind (list "Deployment" "StatefulSet")) -}}
{{- include "chart_basico.mistake" (dict
      "path" "workload.autoscaling" "found" (printf "autoscaling of a %s" $kind) "allowed" "Deployment, StatefulSet"
      "fix" "remove it, or change workload.kind") -}}
{{- end -}}
{{- if not (kindIs "invalid" $w.replicas) -}}
{{- include "chart_basico.mistake" (dict
      "path" "workload.replicas" "found" (printf "%d beside workload.autoscaling" (int $w.replicas)) "allowed" "one of the two"
      "fix" "remove replicas, or set it to null in this layer") -}}
{{- end -}}
{{- if gt (int .minReplicas) (int .maxReplicas) -}}
{{- include "chart_basico.mistake" (dict
      "path" "workload.autoscaling.minReplicas" "found" (printf "%d" (int .minReplicas)) "allowed" (printf "maxReplicas, which is %d, or less" (int .maxReplicas))
      "fix" "lower it, or raise maxReplicas") -}}
{{- end -}}
{{- end -}}
{{- if not (kindIs "invalid" $w.disruptionBudget) -}}
{{- if not (has $kind (list "Deployment" "StatefulSet")) -}}
{{- include "chart_basico.mistake" (dict
      "path" "workload.disruptionBudget" "found" (printf "a budget for a %s" $kind) "allowed" "Deployment, StatefulSet"
      "fix" "remove it, or change workload.kind") -}}
{{- end -}}
{{- $given := include "chart_basico.pick" (dict "from" $w.disruptionBudget "keys" (list "maxUnavailable" "minAvailable")) | fromJson -}}
{{- if eq (len $given) 2 -}}
{{- include "chart_basico.mistake" (dict
      "path" "workload.disruptionBudget" "found" "maxUnavailable and minAvailable" "allowed" "one of minAvailable and maxUnavailable"
      "fix" "keep one") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
