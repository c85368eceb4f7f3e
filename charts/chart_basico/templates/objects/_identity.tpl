{{- define "chart_basico.identity" -}}
{{- if not (kindIs "invalid" .Values.identity) -}}
{{- $i := .Values.identity -}}
{{- $name := $i.name | default .Values.app -}}
{{- $meta := include "chart_basico.metadata" (dict "root" . "name" $name "from" $i) | fromJson -}}
{{- $account := dict
      "apiVersion" "v1" "kind" "ServiceAccount" "metadata" $meta
      "automountServiceAccountToken" ($i.automountServiceAccountToken | default false) -}}
{{- with $i.imagePullSecrets -}}{{- $_ := set $account "imagePullSecrets" . -}}{{- end -}}
{{- include "chart_basico.document" $account -}}
{{- with $i.rules -}}
{{- $plain := include "chart_basico.metadata" (dict "root" $ "name" $name) | fromJson -}}
{{- include "chart_basico.document" (dict
      "apiVersion" "rbac.authorization.k8s.io/v1" "kind" "Role" "metadata" $plain "rules" .) -}}
{{- include "chart_basico.document" (dict
      "apiVersion" "rbac.authorization.k8s.io/v1" "kind" "RoleBinding" "metadata" $plain
      "roleRef" (dict "apiGroup" "rbac.authorization.k8s.io" "kind" "Role" "name" $name)
      "subjects" (list (dict "kind" "ServiceAccount" "name" $name "namespace" $.Release.Namespace))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
