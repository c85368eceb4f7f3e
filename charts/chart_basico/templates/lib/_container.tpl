{{- /*
chart_basico.containers: the containers of one kind, as Kubernetes' list.
In: root, containers (map by name), fixed (map set on each; optional). Out: JSON list.
*/ -}}
{{- define "chart_basico.containers" -}}
{{- $out := list -}}
{{- range $name := include "chart_basico.names" .containers | fromJsonArray -}}
{{- $container := include "chart_basico.container" (dict "root" $.root "name" $name "container" (get $.containers $name)) | fromJson -}}
{{- $out = append $out (merge $container ($.fixed | default dict)) -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{- /*
chart_basico.container: one container, secure unless it says otherwise.
In: root, name, container. Out: JSON map.
*/ -}}
{{- define "chart_basico.container" -}}
{{- $c := .container -}}
{{- $out := include "chart_basico.pick" (dict "from" $c "keys" (include "chart_basico.container.fields" . | fromYamlArray)) | fromJson -}}
{{- $_ := set $out "name" .name -}}
{{- $_ := set $out "image" (include "chart_basico.image" $c.image) -}}
{{- $secure := dict -}}
{{- if not (include "chart_basico.pod.windows" .root) -}}
{{- $secure = dict
      "allowPrivilegeEscalation" false
      "capabilities" (dict "drop" (list "ALL"))
      "readOnlyRootFilesystem" true -}}
{{- end -}}
{{- with mergeOverwrite $secure (deepCopy ($c.securityContext | default dict)) -}}
{{- $_ := set $out "securityContext" . -}}
{{- end -}}
{{- with include "chart_basico.container.ports" $c.ports | fromJsonArray -}}
{{- $_ := set $out "ports" . -}}
{{- end -}}
{{- with include "chart_basico.container.env" (dict "root" .root "env" $c.env) | fromJsonArray -}}
{{- $_ := set $out "env" . -}}
{{- end -}}
{{- with include "chart_basico.container.envFrom" (dict "root" .root "envFrom" $c.envFrom) | fromJsonArray -}}
{{- $_ := set $out "envFrom" . -}}
{{- end -}}
{{- with include "chart_basico.container.volumeMounts" $c.volumeMounts | fromJsonArray -}}
{{- $_ := set $out "volumeMounts" . -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{- /* chart_basico.container.fields: what is Kubernetes' own and passed through as it is. Out: YAML list. */ -}}
{{- define "chart_basico.container.fields" -}}
- args
- command
- imagePullPolicy
- lifecycle
- livenessProbe
- readinessProbe
- resizePolicy
- resources
- startupProbe
- stdin
- stdinOnce
- terminationMessagePath
- terminationMessagePolicy
- tty
- volumeDevices
- workingDir
{{- end -}}

{{- /*
chart_basico.image: repository[:tag][@digest].
In: image. Out: text.
*/ -}}
{{- define "chart_basico.image" -}}
{{- .repository -}}
{{- with .tag -}}:{{- . -}}{{- end -}}
{{- with .digest -}}@{{- . -}}{{- end -}}
{{- end -}}

{{- /* chart_basico.container.ports. In: map by name. Out: JSON list. */ -}}
{{- define "chart_basico.container.ports" -}}
{{- $out := list -}}
{{- $ports := . | default dict -}}
{{- range $name := include "chart_basico.names" $ports | fromJsonArray -}}
{{- $port := include "chart_basico.pick" (dict "from" (get $ports $name) "keys" (list "containerPort" "hostIP" "hostPort" "protocol")) | fromJson -}}
{{- /* Without a protocol, server-side apply cannot tell two entries of one port number apart. */ -}}
{{- $out = append $out (merge $port (dict "name" $name "protocol" "TCP")) -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{- /*
chart_basico.container.env: by name; those that use $(OTHER) last, and after those they name, since Kubernetes
expands only what stands before.
In: root, env (map of name to text, or to where it comes from). Out: JSON list.
*/ -}}
{{- define "chart_basico.container.env" -}}
{{- $env := .env | default dict -}}
{{- $plain := list -}}
{{- $expanded := list -}}
{{- range $name := include "chart_basico.names" $env | fromJsonArray -}}
{{- $entry := get $env $name -}}
{{- if kindIs "map" $entry -}}
{{- if $entry.fromConfig -}}
{{- $ref := dict "name" (include "chart_basico.partName" (dict "root" $.root "name" $entry.fromConfig)) "key" $entry.key -}}
{{- $plain = append $plain (dict "name" $name "valueFrom" (dict "configMapKeyRef" $ref)) -}}
{{- else if $entry.fromSecret -}}
{{- $ref := dict "name" (include "chart_basico.partName" (dict "root" $.root "name" $entry.fromSecret)) "key" $entry.key -}}
{{- $plain = append $plain (dict "name" $name "valueFrom" (dict "secretKeyRef" $ref)) -}}
{{- else -}}
{{- $plain = append $plain (dict "name" $name "valueFrom" $entry.valueFrom) -}}
{{- end -}}
{{- else -}}
{{- $text := include "chart_basico.text" $entry -}}
{{- if contains "$(" $text -}}
{{- $expanded = append $expanded (dict "name" $name "value" $text) -}}
{{- else -}}
{{- $plain = append $plain (dict "name" $name "value" $text) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson (concat $plain (include "chart_basico.container.env.sorted" $expanded | fromJsonArray)) -}}
{{- end -}}

{{- /*
chart_basico.container.env.sorted: variables, each after those of them that its text names, else in the order given.
Those that name each other in a circle come last.
In: list of {name, value}. Out: JSON list.
*/ -}}
{{- define "chart_basico.container.env.sorted" -}}
{{- $out := list -}}
{{- $left := . -}}
{{- $missing := dict -}}
{{- range . -}}{{- $_ := set $missing .name true -}}{{- end -}}
{{- range . -}}
{{- $waiting := list -}}
{{- range $variable := $left -}}
{{- $text := $variable.value | replace "$$" "" -}}
{{- $ready := true -}}
{{- range $name, $_ := omit $missing $variable.name -}}
{{- if contains (printf "$(%s)" $name) $text -}}{{- $ready = false -}}{{- end -}}
{{- end -}}
{{- if $ready -}}
{{- $out = append $out $variable -}}
{{- $_ := unset $missing $variable.name -}}
{{- else -}}
{{- $waiting = append $waiting $variable -}}
{{- end -}}
{{- end -}}
{{- $left = $waiting -}}
{{- end -}}
{{- toJson (concat $out $left) -}}
{{- end -}}

{{- /* chart_basico.container.envFrom: by key. In: root, envFrom (map). Out: JSON list. */ -}}
{{- define "chart_basico.container.envFrom" -}}
{{- $out := list -}}
{{- $all := .envFrom | default dict -}}
{{- range $key := include "chart_basico.names" $all | fromJsonArray -}}
{{- $entry := get $all $key -}}
{{- $source := include "chart_basico.pick" (dict "from" $entry "keys" (list "configMapRef" "prefix" "secretRef")) | fromJson -}}
{{- with $entry.fromConfig -}}
{{- $_ := set $source "configMapRef" (dict "name" (include "chart_basico.partName" (dict "root" $.root "name" .))) -}}
{{- end -}}
{{- with $entry.fromSecret -}}
{{- $_ := set $source "secretRef" (dict "name" (include "chart_basico.partName" (dict "root" $.root "name" .))) -}}
{{- end -}}
{{- $out = append $out $source -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{- /* chart_basico.container.volumeMounts: the key is the volume unless `volume` says another. In: map. Out: JSON list. */ -}}
{{- define "chart_basico.container.volumeMounts" -}}
{{- $out := list -}}
{{- $all := . | default dict -}}
{{- range $key := include "chart_basico.names" $all | fromJsonArray -}}
{{- $entry := get $all $key -}}
{{- $mount := include "chart_basico.pick" (dict "from" $entry "keys" (list "mountPath" "mountPropagation" "readOnly" "recursiveReadOnly" "subPath" "subPathExpr")) | fromJson -}}
{{- $out = append $out (merge $mount (dict "name" ($entry.volume | default $key))) -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}
