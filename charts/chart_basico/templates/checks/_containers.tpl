{{- define "chart_basico.check.containers" -}}
{{- $w := .Values.workload | default dict -}}
{{- $seen := dict -}}
{{- $open := dict -}}
{{- range $group := list "containers" "initContainers" "sidecars" -}}
{{- range $name := include "chart_basico.names" (get $w $group) | fromJsonArray -}}
{{- $c := get (get $w $group) $name -}}
{{- $path := printf "workload.%s.%s" $group $name -}}
{{- with get $seen $name -}}
{{- include "chart_basico.mistake" (dict
      "path" $path "found" (printf "a name that workload.%s has too" .) "allowed" "a name that no other container of the pod has"
      "fix" "rename one") -}}
{{- end -}}
{{- $_ := set $seen $name $group -}}
{{- if not (or $c.image.tag $c.image.digest) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.image" $path) "found" (printf "%s without tag or digest" $c.image.repository) "allowed" "a tag, a digest, or both"
      "fix" "add tag or digest, so that the same values always run the same image") -}}
{{- end -}}
{{- include "chart_basico.check.container.ports" (dict "path" $path "container" $c "open" $open "alone" (eq $group "initContainers")) -}}
{{- include "chart_basico.check.container.probes" (dict "path" $path "container" $c) -}}
{{- if eq $group "initContainers" -}}
{{- range $field := list "lifecycle" "livenessProbe" "readinessProbe" "startupProbe" -}}
{{- if get $c $field -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.%s" $path $field) "found" "set" "allowed" "none for a container that runs to its end before the others start"
      "fix" "remove it, or move the container to workload.sidecars") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- include "chart_basico.check.container.env" (dict "root" $ "path" $path "container" $c) -}}
{{- include "chart_basico.check.container.mounts" (dict "root" $ "path" $path "container" $c) -}}
{{- $security := $c.securityContext | default dict -}}
{{- if and $security.privileged (not $security.allowPrivilegeEscalation) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.securityContext.privileged" $path) "found" "true while allowPrivilegeEscalation is false, its default" "allowed" "privileged with allowPrivilegeEscalation true"
      "fix" "remove privileged, or set allowPrivilegeEscalation to true") -}}
{{- end -}}
{{- $own := include "chart_basico.pick" (dict "from" $security "keys" (list "runAsNonRoot" "runAsUser")) | fromJson -}}
{{- $as := mergeOverwrite (dict "runAsNonRoot" true) ($w.securityContext | default dict) $own -}}
{{- $of := printf "%s.securityContext.runAsUser" (ternary $path "workload" (hasKey $own "runAsUser")) -}}
{{- if and $as.runAsNonRoot (eq (toString $as.runAsUser) "0") (not (hasKey $seen $of)) -}}
{{- $_ := set $seen $of true -}}
{{- include "chart_basico.mistake" (dict
      "path" $of "found" "0, which is root, while runAsNonRoot is true" "allowed" "another user, as the kubelet starts no such container"
      "fix" "set runAsNonRoot to false beside it, or name another user") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /*
chart_basico.check.container.ports: containers of a pod share one network.
In: path, container, open (map of the ports seen so far, by number and by name; added to), alone (runs before the others).
*/ -}}
{{- define "chart_basico.check.container.ports" -}}
{{- $ports := .container.ports | default dict -}}
{{- range $name := include "chart_basico.names" $ports | fromJsonArray -}}
{{- $port := get $ports $name -}}
{{- $path := printf "%s.ports.%s" $.path $name -}}
{{- $number := printf "%d/%s" (int $port.containerPort) ($port.protocol | default "TCP") -}}
{{- with get $.open $number -}}
{{- include "chart_basico.mistake" (dict
      "path" $path "found" (printf "%s, which is %s too" $number .) "allowed" "a number that no other container of the pod has"
      "fix" "change one, since they share one network") -}}
{{- end -}}
{{- if not $.alone -}}
{{- $named := printf "%s/%s" $name ($port.protocol | default "TCP") -}}
{{- with get $.open $named -}}
{{- include "chart_basico.mistake" (dict
      "path" $path "found" (printf "the name of %s too" .) "allowed" "a name that no other port of the pod with its protocol has, as a Service sends to the first that has it"
      "fix" "rename one") -}}
{{- end -}}
{{- $_ := set $.open $named $path -}}
{{- $_ := set $.open $number $path -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.check.container.probes: ports by name must be there. In: path, container. */ -}}
{{- define "chart_basico.check.container.probes" -}}
{{- $c := .container -}}
{{- $handlers := dict -}}
{{- range $probe := list "livenessProbe" "readinessProbe" "startupProbe" -}}
{{- with get $c $probe -}}{{- $_ := set $handlers $probe . -}}{{- end -}}
{{- end -}}
{{- range $hook, $handler := ($c.lifecycle | default dict) -}}
{{- if kindIs "map" $handler -}}{{- $_ := set $handlers (printf "lifecycle.%s" $hook) $handler -}}{{- end -}}
{{- end -}}
{{- $names := include "chart_basico.names" $c.ports | fromJsonArray -}}
{{- range $where := keys $handlers | sortAlpha -}}
{{- range $how := list "httpGet" "tcpSocket" -}}
{{- with get (get $handlers $where) $how -}}
{{- if and (kindIs "string" .port) (not (has .port $names)) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.%s.%s.port" $.path $where $how) "found" (printf "the port %s, which the container does not have" .port) "allowed" (join ", " $names | default "a number, since the container has no ports")
      "fix" (printf "name one of them, or add it under %s.ports" $.path)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.check.container.env: each variable has one source, and it is there. In: root, path, container. */ -}}
{{- define "chart_basico.check.container.env" -}}
{{- range $field := list "env" "envFrom" -}}
{{- $all := get $.container $field | default dict -}}
{{- $sources := ternary (list "fromConfig" "fromSecret" "valueFrom") (list "configMapRef" "fromConfig" "fromSecret" "secretRef") (eq $field "env") -}}
{{- range $name := include "chart_basico.names" $all | fromJsonArray -}}
{{- $entry := get $all $name -}}
{{- $path := printf "%s.%s.%s" $.path $field $name -}}
{{- include "chart_basico.check.text" (dict "path" $path "value" $entry) -}}
{{- if kindIs "map" $entry -}}
{{- $given := include "chart_basico.pick" (dict "from" $entry "keys" $sources) | fromJson -}}
{{- if ne (len $given) 1 -}}
{{- include "chart_basico.mistake" (dict
      "path" $path "found" (keys $given | sortAlpha | join " and " | default "no source") "allowed" (printf "one of %s" (join ", " $sources))
      "fix" "keep one") -}}
{{- end -}}
{{- include "chart_basico.check.reference" (dict "root" $.root "path" $path "entry" $entry "keyed" (eq $field "env")) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /*
chart_basico.check.reference: fromClaim, fromConfig and fromSecret name blocks of this file, and keys in them.
In: root, path, entry, keyed (whether it needs a key).
*/ -}}
{{- define "chart_basico.check.reference" -}}
{{- range $from, $block := dict "fromClaim" "claims" "fromConfig" "config" "fromSecret" "secrets" -}}
{{- with get $.entry $from -}}
{{- $blocks := get $.root.Values $block | default dict -}}
{{- $names := include "chart_basico.names" $blocks | fromJsonArray -}}
{{- if not (has . $names) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.%s" $.path $from) "found" (printf "%s, which is not under %s" . $block) "allowed" (join ", " $names | default (printf "nothing, since %s is empty" $block))
      "fix" (printf "add it under %s, or refer to one made elsewhere in Kubernetes' own way" $block)) -}}
{{- else if $.keyed -}}
{{- $b := get $blocks . -}}
{{- $keys := list -}}
{{- range list $b.data $b.stringData $b.binaryData -}}
{{- $keys = concat $keys (include "chart_basico.compact" (. | default dict) | fromJson | keys) -}}
{{- end -}}
{{- $keys = sortAlpha $keys -}}
{{- if not (has ($.entry.key | default "") $keys) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.key" $.path) "found" ($.entry.key | default "nothing") "allowed" (join ", " $keys | default (printf "nothing, since %s.%s is empty" $block .))
      "fix" (printf "name a key of %s.%s" $block .)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.check.container.mounts: what is mounted is there, and in one place. In: root, path, container. */ -}}
{{- define "chart_basico.check.container.mounts" -}}
{{- $w := .root.Values.workload -}}
{{- $volumes := concat
      (include "chart_basico.names" $w.volumes | fromJsonArray)
      (include "chart_basico.names" $w.volumeClaimTemplates | fromJsonArray) | sortAlpha -}}
{{- $at := dict -}}
{{- $mounts := .container.volumeMounts | default dict -}}
{{- range $name := include "chart_basico.names" $mounts | fromJsonArray -}}
{{- $mount := get $mounts $name -}}
{{- $volume := $mount.volume | default $name -}}
{{- $path := printf "%s.volumeMounts.%s" $.path $name -}}
{{- if not (has $volume $volumes) -}}
{{- include "chart_basico.mistake" (dict
      "path" $path "found" (printf "the volume %s, which is not under workload.volumes" $volume) "allowed" (join ", " $volumes | default "nothing, since there are no volumes")
      "fix" "add the volume, or name one that is there") -}}
{{- end -}}
{{- with get $at $mount.mountPath -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.mountPath" $path) "found" (printf "%s, where %s is too" $mount.mountPath .) "allowed" "one mount at each path"
      "fix" "change one") -}}
{{- end -}}
{{- $_ := set $at $mount.mountPath $name -}}
{{- end -}}
{{- end -}}
