{{- /* Every name and label follows from app, version and the keys of maps; never from how many there are. */ -}}

{{- /*
chart_basico.legal: a version as part of a DNS label: v1.3.4 → v1-3-4.
In: text. Out: text.
*/ -}}
{{- define "chart_basico.legal" -}}
{{- . | lower | replace "." "-" | replace "_" "-" -}}
{{- end -}}

{{- /*
chart_basico.workloadName: <app>-<version>.
In: root. Out: text.
*/ -}}
{{- define "chart_basico.workloadName" -}}
{{- printf "%s-%s" .Values.app (include "chart_basico.legal" (.Values.version | default "")) -}}
{{- end -}}

{{- /*
chart_basico.partName: the name of a ConfigMap or Secret: <app>[-<version>]-<key>.
In: root, name. Out: text.
*/ -}}
{{- define "chart_basico.partName" -}}
{{- with .root.Values.version -}}
{{- printf "%s-%s-%s" $.root.Values.app (include "chart_basico.legal" .) $.name -}}
{{- else -}}
{{- printf "%s-%s" .root.Values.app .name -}}
{{- end -}}
{{- end -}}

{{- /*
chart_basico.claimName: of a PersistentVolumeClaim: <app>-<key>, without the version: a renamed claim has lost its data.
In: root, name. Out: text.
*/ -}}
{{- define "chart_basico.claimName" -}}
{{- printf "%s-%s" .root.Values.app .name -}}
{{- end -}}

{{- /*
chart_basico.serviceAccountName: the account of the pods: the one named, else the one of the
identity block, else nothing (the namespace's default account).
In: root. Out: text.
*/ -}}
{{- define "chart_basico.serviceAccountName" -}}
{{- $v := .Values -}}
{{- if and $v.workload $v.workload.serviceAccountName -}}
{{- $v.workload.serviceAccountName -}}
{{- else if not (kindIs "invalid" $v.identity) -}}
{{- include "chart_basico.identity.name" . -}}
{{- end -}}
{{- end -}}

{{- /*
chart_basico.metadata: the metadata of an object.
In: root, name, versioned (whether the object belongs to one version), from (the block, for its
labels and annotations; optional), annotations (more of them; optional). Out: JSON map.
*/ -}}
{{- define "chart_basico.metadata" -}}
{{- $v := .root.Values -}}
{{- $from := .from | default dict -}}
{{- $labels := merge (dict
      "app" $v.app
      "app.kubernetes.io/name" $v.app
      "app.kubernetes.io/instance" .root.Release.Name
      "app.kubernetes.io/managed-by" .root.Release.Service) -}}
{{- if and .versioned $v.version -}}
{{- $_ := set $labels "version" $v.version -}}
{{- $_ := set $labels "app.kubernetes.io/version" $v.version -}}
{{- end -}}
{{- $out := dict "name" .name "labels" (merge $labels (deepCopy ($from.labels | default dict))) -}}
{{- with merge (deepCopy (.annotations | default dict)) (deepCopy ($from.annotations | default dict)) -}}
{{- $_ := set $out "annotations" . -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{- /*
chart_basico.selector: the labels that select the pods of one version. Immutable on the server:
nothing may ever be added.
In: root. Out: JSON map.
*/ -}}
{{- define "chart_basico.selector" -}}
{{- toJson (dict "app" .Values.app "version" .Values.version) -}}
{{- end -}}

{{- /* chart_basico.identity.name: of the ServiceAccount this file makes. In: root. Out: text. */ -}}
{{- define "chart_basico.identity.name" -}}
{{- .Values.identity.name | default .Values.app -}}
{{- end -}}

{{- /* chart_basico.identity.clusterName: of its ClusterRole; two namespaces may have an account of one name. In: root. Out: text. */ -}}
{{- define "chart_basico.identity.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "chart_basico.identity.name" .) -}}
{{- end -}}
