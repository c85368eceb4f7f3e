{{- define "chart_basico.check.claims" -}}
{{- $w := .Values.workload | default dict -}}
{{- range $name := include "chart_basico.names" .Values.claims | fromJsonArray -}}
{{- include "chart_basico.check.claims.size" (dict "path" (printf "claims.%s" $name) "claim" (get $.Values.claims $name)) -}}
{{- end -}}
{{- range $name := include "chart_basico.names" $w.volumeClaimTemplates | fromJsonArray -}}
{{- include "chart_basico.check.claims.size" (dict "path" (printf "workload.volumeClaimTemplates.%s" $name) "claim" (get $w.volumeClaimTemplates $name)) -}}
{{- end -}}
{{- range $name := include "chart_basico.names" $w.volumes | fromJsonArray -}}
{{- $claim := get ($.Values.claims | default dict) ((get $w.volumes $name).fromClaim | default "") | default dict -}}
{{- if has "ReadWriteOncePod" ($claim.accessModes | default list) -}}
{{- $kind := include "chart_basico.workload.kind" $ -}}
{{- $surge := toString (($w.strategy | default dict).rollingUpdate | default dict).maxSurge -}}
{{- if and (eq $kind "Deployment") (ne ($w.strategy | default dict).type "Recreate") (not (has $surge (list "0" "0%"))) -}}
{{- include "chart_basico.mistake" (dict
      "path" "workload.strategy.type" "found" (printf "RollingUpdate with the volume %s, a claim of mode ReadWriteOncePod" $name)
      "allowed" "Recreate, since a new pod would wait for the claim of the old one, and that for the new pod" "fix" "set it to Recreate") -}}
{{- end -}}
{{- $pods := max (int $w.replicas) (int ($w.autoscaling | default dict).maxReplicas) -}}
{{- if and (has $kind (list "Deployment" "StatefulSet")) (gt $pods 1) -}}
{{- include "chart_basico.mistake" (dict
      "path" (ternary "workload.autoscaling.maxReplicas" "workload.replicas" (not (empty $w.autoscaling)))
      "found" (printf "%d with the volume %s, a claim of mode ReadWriteOncePod" $pods $name) "allowed" "1, since no other pod may have the claim"
      "fix" "set it to 1, or change the claim's accessModes") -}}
{{- end -}}
{{- end -}}
{{- $ephemeral := (get $w.volumes $name).ephemeral -}}
{{- if not (kindIs "invalid" $ephemeral) -}}
{{- $path := printf "workload.volumes.%s.ephemeral.volumeClaimTemplate.spec" $name -}}
{{- $claim := ($ephemeral.volumeClaimTemplate | default dict).spec | default dict -}}
{{- if not $claim.accessModes -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.accessModes" $path) "found" "nothing" "allowed" "who may use it at once" "fix" "set it, to [ReadWriteOnce] for one node") -}}
{{- end -}}
{{- include "chart_basico.check.claims.size" (dict "path" $path "claim" $claim) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.check.claims.size: the one thing that has no default. In: path, claim. */ -}}
{{- define "chart_basico.check.claims.size" -}}
{{- if not (include "chart_basico.check.given" (dict "from" .claim "path" "resources.requests.storage")) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.resources.requests.storage" .path) "found" "nothing" "allowed" "a size such as 1Gi" "fix" "set it") -}}
{{- end -}}
{{- end -}}
