{{- define "chart_basico.check.volumes" -}}
{{- $w := .Values.workload | default dict -}}
{{- $claims := include "chart_basico.names" $w.volumeClaimTemplates | fromJsonArray -}}
{{- range $name := include "chart_basico.names" $w.volumes | fromJsonArray -}}
{{- $volume := get $w.volumes $name -}}
{{- $path := printf "workload.volumes.%s" $name -}}
{{- $set := include "chart_basico.pick" (dict "from" $volume "keys" (keys $volume)) | fromJson -}}
{{- $given := without (keys $set | sortAlpha) "defaultMode" "items" -}}
{{- if ne (len $given) 1 -}}
{{- include "chart_basico.mistake" (dict
      "path" $path "found" (join " and " $given | default "no source") "allowed" "one source, such as emptyDir, fromConfig or persistentVolumeClaim"
      "fix" "keep one") -}}
{{- else if not (has (first $given) (list "fromConfig" "fromSecret")) -}}
{{- range $key := list "defaultMode" "items" -}}
{{- if hasKey $set $key -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.%s" $path $key) "found" (printf "%s beside %s" $key (first $given)) "allowed" (printf "%s beside fromConfig or fromSecret" $key)
      "fix" "remove it") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- include "chart_basico.check.reference" (dict "root" $ "path" $path "entry" $volume) -}}
{{- range $i, $source := ($volume.projected | default dict).sources -}}
{{- $at := printf "%s.projected.sources[%d]" $path $i -}}
{{- $from := include "chart_basico.pick" (dict "from" $source "keys" (without (keys $source | sortAlpha) "items")) | fromJson -}}
{{- if ne (len $from) 1 -}}
{{- include "chart_basico.mistake" (dict
      "path" $at "found" (keys $from | sortAlpha | join " and " | default "no source") "allowed" "one source, such as fromConfig or serviceAccountToken"
      "fix" "keep one, and make another entry of the other") -}}
{{- end -}}
{{- if and (not (kindIs "invalid" $source.items)) (eq (len $from) 1) (not (or $source.fromConfig $source.fromSecret)) -}}
{{- $other := keys $from | first -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.items" $at) "found" (printf "items beside %s" $other) "allowed" "items beside fromConfig or fromSecret"
      "fix" (printf "move it to %s.%s.items, if it has such" $at $other)) -}}
{{- end -}}
{{- include "chart_basico.check.reference" (dict "root" $ "path" $at "entry" $source) -}}
{{- end -}}
{{- if has $name $claims -}}
{{- include "chart_basico.mistake" (dict
      "path" $path "found" "a name that workload.volumeClaimTemplates has too" "allowed" "a name in one of the two"
      "fix" "rename the volume; a claim that is renamed loses its data") -}}
{{- end -}}
{{- end -}}
{{- end -}}
