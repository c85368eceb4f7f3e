{{- define "chart_basico.workload" -}}
{{- with .Values.workload -}}
{{- include (printf "chart_basico.workload.%s" (.kind | default "Deployment")) $ -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.workload.fields: the fields of the spec of each kind that the values carry under Kubernetes' names. Out: YAML map. */ -}}
{{- define "chart_basico.workload.fields" -}}
Deployment: [minReadySeconds, paused, progressDeadlineSeconds, replicas, revisionHistoryLimit, strategy]
StatefulSet: [minReadySeconds, ordinals, persistentVolumeClaimRetentionPolicy, podManagementPolicy, replicas, revisionHistoryLimit, serviceName, updateStrategy, volumeClaimTemplates]
DaemonSet: [minReadySeconds, revisionHistoryLimit, updateStrategy]
Job: [activeDeadlineSeconds, backoffLimit, backoffLimitPerIndex, completionMode, completions, maxFailedIndexes, parallelism, podFailurePolicy, podReplacementPolicy, restartPolicy, successPolicy, suspend, ttlSecondsAfterFinished]
CronJob: [concurrencyPolicy, failedJobsHistoryLimit, schedule, startingDeadlineSeconds, successfulJobsHistoryLimit, suspend, timeZone]
{{- end -}}

{{- /* chart_basico.workload.metadata. In: root, name. Out: JSON map. */ -}}
{{- define "chart_basico.workload.metadata" -}}
{{- include "chart_basico.metadata" (dict "root" .root "name" .name "versioned" true "from" .root.Values.workload) -}}
{{- end -}}

{{- /* chart_basico.workload.spec: the fields of one kind, with selector and pod template. In: root, kind. Out: JSON map. */ -}}
{{- define "chart_basico.workload.spec" -}}
{{- $keys := get (include "chart_basico.workload.fields" . | fromYaml) .kind -}}
{{- $spec := include "chart_basico.pick" (dict "from" .root.Values.workload "keys" $keys) | fromJson -}}
{{- $_ := set $spec "selector" (dict "matchLabels" (include "chart_basico.selector" .root | fromJson)) -}}
{{- $_ := set $spec "template" (include "chart_basico.podTemplate" (dict "root" .root) | fromJson) -}}
{{- toJson $spec -}}
{{- end -}}

{{- define "chart_basico.workload.Deployment" -}}
{{- include "chart_basico.document" (dict
      "apiVersion" "apps/v1" "kind" "Deployment"
      "metadata" (include "chart_basico.workload.metadata" (dict "root" . "name" (include "chart_basico.workloadName" .)) | fromJson)
      "spec" (include "chart_basico.workload.spec" (dict "root" . "kind" "Deployment") | fromJson)) -}}
{{- end -}}

{{- define "chart_basico.workload.StatefulSet" -}}
{{- $spec := include "chart_basico.workload.spec" (dict "root" . "kind" "StatefulSet") | fromJson -}}
{{- if not $spec.serviceName -}}{{- $_ := set $spec "serviceName" .Values.app -}}{{- end -}}
{{- $claims := list -}}
{{- range $name := include "chart_basico.names" .Values.workload.volumeClaimTemplates | fromJsonArray -}}
{{- $claims = append $claims (dict
      "apiVersion" "v1" "kind" "PersistentVolumeClaim"
      "metadata" (dict "name" $name) "spec" (get $.Values.workload.volumeClaimTemplates $name)) -}}
{{- end -}}
{{- $_ := unset $spec "volumeClaimTemplates" -}}
{{- with $claims -}}{{- $_ := set $spec "volumeClaimTemplates" . -}}{{- end -}}
{{- include "chart_basico.document" (dict
      "apiVersion" "apps/v1" "kind" "StatefulSet"
      "metadata" (include "chart_basico.workload.metadata" (dict "root" . "name" (include "chart_basico.workloadName" .)) | fromJson)
      "spec" $spec) -}}
{{- end -}}

{{- define "chart_basico.workload.DaemonSet" -}}
{{- include "chart_basico.document" (dict
      "apiVersion" "apps/v1" "kind" "DaemonSet"
      "metadata" (include "chart_basico.workload.metadata" (dict "root" . "name" (include "chart_basico.workloadName" .)) | fromJson)
      "spec" (include "chart_basico.workload.spec" (dict "root" . "kind" "DaemonSet") | fromJson)) -}}
{{- end -}}

{{- /* chart_basico.workload.jobSpec: of a Job, and of the Jobs of a CronJob. In: root. Out: JSON map. */ -}}
{{- define "chart_basico.workload.jobSpec" -}}
{{- $keys := without (get (include "chart_basico.workload.fields" . | fromYaml) "Job") "restartPolicy" -}}
{{- if eq .Values.workload.kind "CronJob" -}}{{- $keys = without $keys "suspend" -}}{{- end -}}
{{- $spec := include "chart_basico.pick" (dict "from" .Values.workload "keys" $keys) | fromJson -}}
{{- $_ := set $spec "template" (include "chart_basico.podTemplate" (dict
      "root" . "restartPolicy" (.Values.workload.restartPolicy | default "Never")) | fromJson) -}}
{{- toJson $spec -}}
{{- end -}}

{{- /*
A Job's template is immutable, so the name carries a checksum of the spec: an upgrade that changes
nothing keeps the Job, one that changes something runs a new one and removes the old.
*/ -}}
{{- define "chart_basico.workload.Job" -}}
{{- $spec := include "chart_basico.workload.jobSpec" . -}}
{{- $name := printf "%s-%s" (include "chart_basico.workloadName" .) (sha256sum $spec | trunc 8) -}}
{{- include "chart_basico.document" (dict
      "apiVersion" "batch/v1" "kind" "Job"
      "metadata" (include "chart_basico.workload.metadata" (dict "root" . "name" $name) | fromJson)
      "spec" (fromJson $spec)) -}}
{{- end -}}

{{- define "chart_basico.workload.CronJob" -}}
{{- $keys := get (include "chart_basico.workload.fields" . | fromYaml) "CronJob" -}}
{{- $spec := include "chart_basico.pick" (dict "from" .Values.workload "keys" $keys) | fromJson -}}
{{- $meta := include "chart_basico.workload.metadata" (dict "root" . "name" (include "chart_basico.workloadName" .)) | fromJson -}}
{{- $_ := set $spec "jobTemplate" (dict
      "metadata" (dict "labels" (deepCopy $meta.labels))
      "spec" (include "chart_basico.workload.jobSpec" . | fromJson)) -}}
{{- include "chart_basico.document" (dict "apiVersion" "batch/v1" "kind" "CronJob" "metadata" $meta "spec" $spec) -}}
{{- end -}}
