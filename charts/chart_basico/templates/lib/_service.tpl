{{- /* chart_basico.service.fields: what is Kubernetes' own and passed through as it is. Out: YAML list. */ -}}
{{- define "chart_basico.service.fields" -}}
- allocateLoadBalancerNodePorts
- clusterIP
- clusterIPs
- externalIPs
- externalName
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

{{- /* chart_basico.service.name: the App's, or that of one version. In: root. Out: text. */ -}}
{{- define "chart_basico.service.name" -}}
{{- if (.Values.service | default dict).perVersion -}}
{{- include "chart_basico.workloadName" . -}}
{{- else -}}
{{- .Values.app -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.service.policy: the policy of its DestinationRule, empty where there is none. In: root. Out: JSON map. */ -}}
{{- define "chart_basico.service.policy" -}}
{{- include "chart_basico.policy" (.Values.service | default dict).trafficPolicy -}}
{{- end -}}
