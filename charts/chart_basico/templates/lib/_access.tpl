{{- /*
chart_basico.access.selector: the pods that the access block holds for, as Istio's selector and
Kubernetes' podSelector both say it; empty for all of the namespace. In: root. Out: JSON map.
*/ -}}
{{- define "chart_basico.access.selector" -}}
{{- if eq (.Values.access.scope | default "app") "app" -}}
{{- toJson (dict "matchLabels" (dict "app" .Values.app)) -}}
{{- else -}}
{{- toJson dict -}}
{{- end -}}
{{- end -}}

{{- /*
chart_basico.access.ports: the ports on which the pods are called, as far as this file says them:
those of the containers, else those that the Service sends to. In: root. Out: JSON list.
*/ -}}
{{- define "chart_basico.access.ports" -}}
{{- $out := list -}}
{{- if .Values.workload -}}
{{- range $group := list "containers" "sidecars" -}}
{{- $containers := get $.Values.workload $group -}}
{{- range $name := include "chart_basico.names" $containers | fromJsonArray -}}
{{- $ports := (get $containers $name).ports -}}
{{- range $port := include "chart_basico.names" $ports | fromJsonArray -}}
{{- $p := get $ports $port -}}
{{- $out = append $out (dict "port" $p.containerPort "protocol" ($p.protocol | default "TCP")) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- else -}}
{{- $ports := (.Values.service | default dict).ports -}}
{{- range $port := include "chart_basico.names" $ports | fromJsonArray -}}
{{- $p := get $ports $port -}}
{{- $out = append $out (dict "port" ($p.targetPort | default $p.port) "protocol" ($p.protocol | default "TCP")) -}}
{{- end -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}
