{{- define "chart_basico.check.access" -}}
{{- with .Values.access -}}
{{- $a := . -}}
{{- $all := eq ($a.scope | default "app") "namespace" -}}
{{- if and $all ($a.peerAuthentication | default dict).portLevelMtls -}}
{{- include "chart_basico.mistake" (dict
      "path" "access.peerAuthentication.portLevelMtls" "found" "it with access.scope namespace" "allowed" "it with scope app, since ports are those of some pods"
      "fix" "move it to the App's own file") -}}
{{- end -}}
{{- range $name := include "chart_basico.names" $a.authorizationPolicies | fromJsonArray -}}
{{- $policy := get $a.authorizationPolicies $name -}}
{{- $path := printf "access.authorizationPolicies.%s" $name -}}
{{- if and $policy.selector $policy.targetRefs -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.selector" $path) "found" "it beside targetRefs" "allowed" "one of the two" "fix" "keep one") -}}
{{- end -}}
{{- if and (has ($policy.action | default "ALLOW") (list "DENY" "CUSTOM")) (not $policy.rules) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.rules" $path) "found" (printf "none with action %s" $policy.action) "allowed" "one or more, since this action does nothing without"
      "fix" "add rules; [{}] is for every request") -}}
{{- end -}}
{{- if ne (eq ($policy.action | default "ALLOW") "CUSTOM") (not (kindIs "invalid" $policy.provider)) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.provider" $path)
      "found" (printf "%s with action %s" (ternary "nothing" "it" (kindIs "invalid" $policy.provider)) ($policy.action | default "ALLOW"))
      "allowed" "it with action CUSTOM, which needs it" "fix" "add provider, or change action") -}}
{{- end -}}
{{- end -}}
{{- if and (not (kindIs "invalid" $a.networkPolicy)) (kindIs "invalid" ($a.networkPolicy | default dict).ingress) -}}
{{- if or $all (not (include "chart_basico.access.ports" $ | fromJsonArray)) -}}
{{- include "chart_basico.mistake" (dict
      "path" "access.networkPolicy.ingress" "found" "nothing"
      "allowed" (ternary "rules for all pods of the namespace" "rules, since neither workload nor service in this file says the ports" $all)
      "fix" "add rules; an empty list lets nothing in") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
