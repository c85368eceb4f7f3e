{{- define "small.deep" }}{{ .Values.no.such.thing }}{{ end }}
