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
