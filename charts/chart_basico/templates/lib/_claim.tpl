{{- /* chart_basico.claim.fields: what is Kubernetes' own and passed through as it is. Out: YAML list. */ -}}
{{- define "chart_basico.claim.fields" -}}
- accessModes
- dataSource
- dataSourceRef
- resources
- selector
- storageClassName
- volumeAttributesClassName
- volumeMode
- volumeName
{{- end -}}
