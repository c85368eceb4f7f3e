{{- define "chart_basico.check.access" -}}
{{- with .Values.access -}}
{{- $a := . -}}
{{- $all := eq ($a.scope | default "app") "namespace" -}}
{{- if and $all ($a.peerAuthentication | default dict).portLevelMtls -}}
{{- include "chart_basico.mistake" (dict
      "path" "access.peerAuthentication.portLevelMtls" "found" "it with access.scope namespace" "allowed" "it with scope app, since ports are those of some pods"
      "fix" "move it to the App's own file") -}}
{{- end -}}
{{- $peers := $a.peerAuthentication | default dict -}}
{{- $policy := ($.Values.service | default dict).trafficPolicy | default dict -}}
{{- if and (not $peers.portLevelMtls) (eq ($peers.mtls | default dict).mode "STRICT") (eq ($policy.tls | default dict).mode "DISABLE") -}}
{{- include "chart_basico.mistake" (dict
      "path" "service.trafficPolicy.tls.mode" "found" "DISABLE with access.peerAuthentication.mtls.mode STRICT" "allowed" "ISTIO_MUTUAL, since the pods refuse all else"
      "fix" "remove it, or set the mode of access to PERMISSIVE") -}}
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
{{- range $i, $rule := $policy.rules -}}
{{- include "chart_basico.check.access.rule" (dict "path" (printf "%s.rules[%d]" $path $i) "rule" $rule) -}}
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

{{- /* chart_basico.check.access.rule: texts that no request has, so that the rule never matches. In: path, rule. */ -}}
{{- define "chart_basico.check.access.rule" -}}
{{- range $i, $from := .rule.from -}}
{{- range $field := list "notPrincipals" "principals" -}}
{{- range $j, $text := index ($from.source | default dict) $field -}}
{{- if hasPrefix "spiffe://" $text -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.from[%d].source.%s[%d]" $.path $i $field $j) "found" $text "allowed" "a principal without spiffe://, which Istio adds itself"
      "fix" (printf "write %s" (trimPrefix "spiffe://" $text))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $i, $to := .rule.to -}}
{{- range $field := list "methods" "notMethods" -}}
{{- range $j, $text := index ($to.operation | default dict) $field -}}
{{- if ne $text (upper $text) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.to[%d].operation.%s[%d]" $.path $i $field $j) "found" $text "allowed" "a method in capitals, as requests have it"
      "fix" (printf "write %s" (upper $text))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $field := list "notPaths" "paths" -}}
{{- range $j, $text := index ($to.operation | default dict) $field -}}
{{- if not (or (hasPrefix "/" $text) (hasPrefix "*" $text)) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.to[%d].operation.%s[%d]" $.path $i $field $j) "found" $text "allowed" "a path from its beginning, which is /, or * and its end"
      "fix" (printf "write /%s" $text)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
