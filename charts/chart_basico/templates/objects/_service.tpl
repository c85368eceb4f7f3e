{{- /* Selects the app, so all its versions are behind one name. */ -}}
{{- define "chart_basico.service" -}}
{{- with .Values.service -}}
{{- $s := . -}}
{{- $spec := include "chart_basico.pick" (dict "from" $s "keys" (include "chart_basico.service.fields" . | fromYamlArray)) | fromJson -}}
{{- $ports := list -}}
{{- range $name := include "chart_basico.names" $s.ports | fromJsonArray -}}
{{- $port := include "chart_basico.pick" (dict "from" (get $s.ports $name) "keys" (list "appProtocol" "nodePort" "port" "protocol" "targetPort")) | fromJson -}}
{{- $ports = append $ports (merge $port (dict "name" $name "protocol" "TCP")) -}}
{{- end -}}
{{- $_ := set $spec "ports" $ports -}}
{{- $_ := set $spec "selector" (dict "app" $.Values.app) -}}
{{- include "chart_basico.document" (dict
      "apiVersion" "v1" "kind" "Service"
      "metadata" (include "chart_basico.metadata" (dict "root" $ "name" $.Values.app "from" $s) | fromJson)
      "spec" $spec) -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.service.fields: what is Kubernetes' own and passed through as it is. Out: YAML list. */ -}}
{{- define "chart_basico.service.fields" -}}
- allocateLoadBalancerNodePorts
- clusterIP
- clusterIPs
- externalIPs
- externalTrafficPolicy
- healthCheckNodePort
- internalTrafficPolicy
- ipFamilies
- ipFamilyPolicy
- loadBalancerClass
- loadBalancerSourceRanges
- publishNotReadyAddresses
- sessionAffinity
- sessionAffinityConfig
- trafficDistribution
- type
{{- end -}}
