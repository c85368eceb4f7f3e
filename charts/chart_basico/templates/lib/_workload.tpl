{{- /* chart_basico.workload.fields: the fields of the spec of each kind that the values carry under Kubernetes' names. Out: YAML map. */ -}}
{{- define "chart_basico.workload.fields" -}}
Deployment: [minReadySeconds, paused, progressDeadlineSeconds, replicas, revisionHistoryLimit, strategy]
StatefulSet: [minReadySeconds, ordinals, persistentVolumeClaimRetentionPolicy, podManagementPolicy, replicas, revisionHistoryLimit, serviceName, updateStrategy, volumeClaimTemplates]
DaemonSet: [minReadySeconds, revisionHistoryLimit, updateStrategy]
Job: [activeDeadlineSeconds, backoffLimit, backoffLimitPerIndex, completionMode, completions, managedBy, maxFailedIndexes, parallelism, podFailurePolicy, podReplacementPolicy, restartPolicy, successPolicy, suspend, ttlSecondsAfterFinished]
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
{{- $field := ternary "strategy" "updateStrategy" (eq .kind "Deployment") -}}
{{- $_ := set $spec $field (include "chart_basico.workload.strategy" (dict "root" .root "kind" .kind "from" (get $spec $field)) | fromJson) -}}
{{- $_ := set $spec "selector" (dict "matchLabels" (include "chart_basico.selector" .root | fromJson)) -}}
{{- $_ := set $spec "template" (include "chart_basico.podTemplate" (dict "root" .root) | fromJson) -}}
{{- toJson $spec -}}
{{- end -}}

{{- /*
chart_basico.workload.strategy: how pods are replaced, with all that the API server would fill in: what it fills in is
nobody's, so nobody could take it away for another type, with which it is refused.
In: root, kind, from (may be absent). Out: JSON map.
*/ -}}
{{- define "chart_basico.workload.strategy" -}}
{{- $strategy := include "chart_basico.pick" (dict "from" .from "keys" (list "rollingUpdate" "type")) | fromJson -}}
{{- $type := $strategy.type | default "RollingUpdate" -}}
{{- $_ := set $strategy "type" $type -}}
{{- if eq $type "RollingUpdate" -}}
{{- /* Other servers drop maxUnavailable of a StatefulSet. */ -}}
{{- $rolling := get (dict
      "DaemonSet" (dict "maxSurge" 0 "maxUnavailable" 1)
      "Deployment" (dict "maxSurge" "25%" "maxUnavailable" "25%")
      "StatefulSet" (merge (dict "partition" 0) (ternary (dict "maxUnavailable" 1) dict (semverCompare ">=1.35.0-0 <1.35.4-0 || >=1.37.0-0" .root.Capabilities.KubeVersion.Version)))) .kind -}}
{{- range $key, $value := $strategy.rollingUpdate -}}
{{- if not (kindIs "invalid" $value) -}}{{- $_ := set $rolling $key $value -}}{{- end -}}
{{- end -}}
{{- $_ := set $strategy "rollingUpdate" $rolling -}}
{{- end -}}
{{- toJson $strategy -}}
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

{{- /* chart_basico.workload.kind: of the workload, empty where there is none. In: root. Out: text. */ -}}
{{- define "chart_basico.workload.kind" -}}
{{- with .Values.workload -}}{{- .kind | default "Deployment" -}}{{- end -}}
{{- end -}}
