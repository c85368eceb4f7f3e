{{- /*
chart_basico.podTemplate: the pod template that all kinds of workload share.
In: root, restartPolicy (optional). Out: JSON map.
*/ -}}
{{- define "chart_basico.podTemplate" -}}
{{- $v := .root.Values -}}
{{- $w := $v.workload -}}
{{- $meta := include "chart_basico.metadata" (dict "root" .root "name" "" "versioned" true "from" (dict
      "labels" $w.podLabels
      "annotations" (include "chart_basico.pod.annotations" .root | fromJson))) | fromJson -}}
{{- /* A pod is named by its owner, and managed by it rather than by Helm. */ -}}
{{- $_ := unset $meta "name" -}}
{{- $_ := unset $meta.labels "app.kubernetes.io/managed-by" -}}
{{- $spec := include "chart_basico.pick" (dict "from" $w "keys" (include "chart_basico.pod.fields" . | fromYamlArray)) | fromJson -}}
{{- $secure := dict "runAsNonRoot" true -}}
{{- if not (include "chart_basico.pod.windows" .root) -}}{{- $_ := set $secure "seccompProfile" (dict "type" "RuntimeDefault") -}}{{- end -}}
{{- $_ := set $spec "securityContext" (mergeOverwrite $secure (deepCopy ($w.securityContext | default dict))) -}}
{{- $_ := set $spec "automountServiceAccountToken" (eq (include "chart_basico.pod.token" .root) "true") -}}
{{- if not (hasKey $spec "enableServiceLinks") -}}{{- $_ := set $spec "enableServiceLinks" false -}}{{- end -}}
{{- with include "chart_basico.serviceAccountName" .root -}}{{- $_ := set $spec "serviceAccountName" . -}}{{- end -}}
{{- with .restartPolicy -}}{{- $_ := set $spec "restartPolicy" . -}}{{- end -}}
{{- with include "chart_basico.pod.affinity" .root | fromJson -}}{{- $_ := set $spec "affinity" . -}}{{- end -}}
{{- with include "chart_basico.pod.spread" .root | fromJsonArray -}}{{- $_ := set $spec "topologySpreadConstraints" . -}}{{- end -}}
{{- /* What must be done before the sidecars start says so by its order. */ -}}
{{- $before := dict -}}
{{- $after := dict -}}
{{- range $name, $c := $w.initContainers | default dict -}}
{{- if kindIs "map" $c -}}{{- $_ := set (ternary $before $after (lt (int ($c.order | default 0)) 0)) $name $c -}}{{- end -}}
{{- end -}}
{{- $first := include "chart_basico.containers" (dict "root" .root "containers" $before) | fromJsonArray -}}
{{- $sidecars := include "chart_basico.containers" (dict "root" .root "containers" $w.sidecars "fixed" (dict "restartPolicy" "Always")) | fromJsonArray -}}
{{- $inits := include "chart_basico.containers" (dict "root" .root "containers" $after) | fromJsonArray -}}
{{- with concat $first $sidecars $inits -}}{{- $_ := set $spec "initContainers" . -}}{{- end -}}
{{- $_ := set $spec "containers" (include "chart_basico.containers" (dict "root" .root "containers" $w.containers) | fromJsonArray) -}}
{{- with include "chart_basico.volumes" .root | fromJsonArray -}}{{- $_ := set $spec "volumes" . -}}{{- end -}}
{{- toJson (dict "metadata" $meta "spec" $spec) -}}
{{- end -}}

{{- /* chart_basico.pod.fields: what is Kubernetes' own and passed through as it is. Out: YAML list. */ -}}
{{- define "chart_basico.pod.fields" -}}
- dnsConfig
- dnsPolicy
- enableServiceLinks
- hostAliases
- hostIPC
- hostNetwork
- hostPID
- hostUsers
- hostname
- hostnameOverride
- imagePullSecrets
- nodeName
- nodeSelector
- os
- overhead
- preemptionPolicy
- priorityClassName
- readinessGates
- resourceClaims
- resources
- runtimeClassName
- schedulerName
- schedulingGates
- setHostnameAsFQDN
- shareProcessNamespace
- subdomain
- terminationGracePeriodSeconds
- tolerations
{{- end -}}

{{- /* chart_basico.pod.windows: whether the pods are for Windows, where Kubernetes refuses what only Linux has. In: root. Out: text, empty for no. */ -}}
{{- define "chart_basico.pod.windows" -}}
{{- if eq (.Values.workload.os | default dict).name "windows" -}}yes{{- end -}}
{{- end -}}

{{- /*
chart_basico.pod.token: whether the pods get a token for the Kubernetes API: as the workload says, else as the account
that this file makes, if it is theirs.
In: root. Out: text, true for yes.
*/ -}}
{{- define "chart_basico.pod.token" -}}
{{- $w := .Values.workload -}}
{{- $account := ternary dict (.Values.identity | default dict) (not (empty $w.serviceAccountName)) -}}
{{- $said := ternary $w $account (kindIs "bool" $w.automountServiceAccountToken) -}}
{{- $said.automountServiceAccountToken -}}
{{- end -}}

{{- /*
chart_basico.pod.selected: a term or constraint, about the pods of this workload if it does not say
which: Kubernetes takes one without a selector to be about none.
In: root, term. Out: JSON map.
*/ -}}
{{- define "chart_basico.pod.selected" -}}
{{- $term := .term -}}
{{- if not (kindIs "map" (get $term "labelSelector")) -}}
{{- $term = merge (dict "labelSelector" (dict "matchLabels" (include "chart_basico.selector" .root | fromJson))) (omit $term "labelSelector") -}}
{{- end -}}
{{- toJson $term -}}
{{- end -}}

{{- /* chart_basico.pod.spread. In: root. Out: JSON list. */ -}}
{{- define "chart_basico.pod.spread" -}}
{{- $out := list -}}
{{- range .Values.workload.topologySpreadConstraints -}}
{{- $out = append $out (include "chart_basico.pod.selected" (dict "root" $ "term" .) | fromJson) -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{- /* chart_basico.pod.affinity. In: root. Out: JSON map. */ -}}
{{- define "chart_basico.pod.affinity" -}}
{{- $out := deepCopy (.Values.workload.affinity | default dict) -}}
{{- range $side := list "podAffinity" "podAntiAffinity" -}}
{{- with get $out $side -}}
{{- with .requiredDuringSchedulingIgnoredDuringExecution -}}
{{- $terms := list -}}
{{- range . -}}{{- $terms = append $terms (include "chart_basico.pod.selected" (dict "root" $ "term" .) | fromJson) -}}{{- end -}}
{{- $_ := set (get $out $side) "requiredDuringSchedulingIgnoredDuringExecution" $terms -}}
{{- end -}}
{{- range .preferredDuringSchedulingIgnoredDuringExecution -}}
{{- $_ := set . "podAffinityTerm" (include "chart_basico.pod.selected" (dict "root" $ "term" .podAffinityTerm) | fromJson) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{- /*
chart_basico.pod.annotations: the user's, what the workload calls, and a checksum for each
config and secret it uses, so that a change restarts its users and nobody else.
In: root. Out: JSON map.
*/ -}}
{{- define "chart_basico.pod.annotations" -}}
{{- $v := .Values -}}
{{- $out := dict -}}
{{- with $v.calls -}}
{{- $calls := list -}}
{{- range $host := include "chart_basico.names" . | fromJsonArray -}}
{{- $calls = append $calls (printf "%s:%d%s" $host (int (get $v.calls $host).port) (default "" (get $v.calls $host).path)) -}}
{{- end -}}
{{- with $calls -}}{{- $_ := set $out "chart-basico/calls" (toJson .) -}}{{- end -}}
{{- end -}}
{{- $used := include "chart_basico.references" . | fromJson -}}
{{- range $used.config -}}
{{- $_ := set $out (printf "checksum/config-%s" .name) (get ($v.config | default dict) .name | toJson | sha256sum) -}}
{{- end -}}
{{- range $used.secrets -}}
{{- $_ := set $out (printf "checksum/secret-%s" .name) (get ($v.secrets | default dict) .name | toJson | sha256sum) -}}
{{- end -}}
{{- toJson (merge $out (deepCopy ($v.workload.podAnnotations | default dict))) -}}
{{- end -}}

{{- /*
chart_basico.references: every use of this file's own config and secrets by the workload, with
the path in the values where it stands.
In: root. Out: JSON map: config and secrets, lists of {name, path, key}.
*/ -}}
{{- define "chart_basico.references" -}}
{{- $w := .Values.workload -}}
{{- $config := list -}}
{{- $secrets := list -}}
{{- range $name, $volume := $w.volumes | default dict -}}
{{- if kindIs "map" $volume -}}
{{- with $volume.fromConfig -}}{{- $config = append $config (dict "name" . "path" (printf "workload.volumes.%s.fromConfig" $name)) -}}{{- end -}}
{{- with $volume.fromSecret -}}{{- $secrets = append $secrets (dict "name" . "path" (printf "workload.volumes.%s.fromSecret" $name)) -}}{{- end -}}
{{- range $i, $source := ($volume.projected | default dict).sources -}}
{{- with $source.fromConfig -}}{{- $config = append $config (dict "name" . "path" (printf "workload.volumes.%s.projected.sources[%d].fromConfig" $name $i)) -}}{{- end -}}
{{- with $source.fromSecret -}}{{- $secrets = append $secrets (dict "name" . "path" (printf "workload.volumes.%s.projected.sources[%d].fromSecret" $name $i)) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $group := list "containers" "initContainers" "sidecars" -}}
{{- range $name, $container := get $w $group | default dict -}}
{{- if kindIs "map" $container -}}
{{- range $field := list "env" "envFrom" -}}
{{- range $key, $entry := get $container $field | default dict -}}
{{- if kindIs "map" $entry -}}
{{- $path := printf "workload.%s.%s.%s.%s" $group $name $field $key -}}
{{- with $entry.fromConfig -}}{{- $config = append $config (dict "name" . "path" (printf "%s.fromConfig" $path) "key" ($entry.key | default "")) -}}{{- end -}}
{{- with $entry.fromSecret -}}{{- $secrets = append $secrets (dict "name" . "path" (printf "%s.fromSecret" $path) "key" ($entry.key | default "")) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson (dict "config" $config "secrets" $secrets) -}}
{{- end -}}

{{- /*
chart_basico.volumes: Kubernetes' own sources as they are; fromConfig, fromSecret and fromClaim name
a block of this file.
In: root. Out: JSON list.
*/ -}}
{{- define "chart_basico.volumes" -}}
{{- $out := list -}}
{{- $volumes := .Values.workload.volumes | default dict -}}
{{- range $name := include "chart_basico.names" $volumes | fromJsonArray -}}
{{- $source := get $volumes $name -}}
{{- $volume := dict "name" $name -}}
{{- $how := include "chart_basico.pick" (dict "from" $source "keys" (list "defaultMode" "items")) | fromJson -}}
{{- if $source.fromConfig -}}
{{- $_ := set $volume "configMap" (merge (dict "name" (include "chart_basico.partName" (dict "root" $ "name" $source.fromConfig))) $how) -}}
{{- else if $source.fromSecret -}}
{{- $_ := set $volume "secret" (merge (dict "secretName" (include "chart_basico.partName" (dict "root" $ "name" $source.fromSecret))) $how) -}}
{{- else if $source.fromClaim -}}
{{- $_ := set $volume "persistentVolumeClaim" (dict "claimName" (include "chart_basico.claimName" (dict "root" $ "name" $source.fromClaim))) -}}
{{- else if $source.projected -}}
{{- $_ := set $volume "projected" (include "chart_basico.volume.projected" (dict "root" $ "projected" $source.projected) | fromJson) -}}
{{- else -}}
{{- range $key, $value := $source -}}{{- $_ := set $volume $key $value -}}{{- end -}}
{{- end -}}
{{- $out = append $out $volume -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{- /* chart_basico.volume.projected: several sources in one directory. In: root, projected. Out: JSON map. */ -}}
{{- define "chart_basico.volume.projected" -}}
{{- $sources := list -}}
{{- range .projected.sources -}}
{{- $named := pick . "items" -}}
{{- if .fromConfig -}}
{{- $_ := set $named "name" (include "chart_basico.partName" (dict "root" $.root "name" .fromConfig)) -}}
{{- $sources = append $sources (dict "configMap" $named) -}}
{{- else if .fromSecret -}}
{{- $_ := set $named "name" (include "chart_basico.partName" (dict "root" $.root "name" .fromSecret)) -}}
{{- $sources = append $sources (dict "secret" $named) -}}
{{- else -}}
{{- $sources = append $sources . -}}
{{- end -}}
{{- end -}}
{{- toJson (merge (dict "sources" $sources) (pick .projected "defaultMode")) -}}
{{- end -}}
