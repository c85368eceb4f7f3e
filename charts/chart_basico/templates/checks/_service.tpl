{{- define "chart_basico.check.service" -}}
{{- if not (kindIs "invalid" .Values.service) -}}
{{- $s := .Values.service -}}
{{- $kind := include "chart_basico.workload.kind" $ -}}
{{- if has $kind (list "Job" "CronJob") -}}
{{- include "chart_basico.mistake" (dict
      "path" "service" "found" (printf "a Service in front of a %s" $kind) "allowed" "a Service in front of a workload that runs without end"
      "fix" "remove service; a program that ends is an App of its own") -}}
{{- end -}}
{{- $names := include "chart_basico.names" $s.ports | fromJsonArray -}}
{{- $elsewhere := eq ($s.type | default "ClusterIP") "ExternalName" -}}
{{- if not (or $names $elsewhere) -}}
{{- include "chart_basico.mistake" (dict
      "path" "service.ports" "found" "no port" "allowed" "one or more" "fix" "add a port by name") -}}
{{- end -}}
{{- if ne $elsewhere (not (empty $s.externalName)) -}}
{{- include "chart_basico.mistake" (dict
      "path" "service.externalName" "found" (printf "%s with type %s" ($s.externalName | default "nothing") ($s.type | default "ClusterIP")) "allowed" "the name that type ExternalName stands for"
      "fix" "set type ExternalName and externalName both, or neither") -}}
{{- end -}}
{{- if and $elsewhere $.Values.workload -}}
{{- include "chart_basico.mistake" (dict
      "path" "service.type" "found" "ExternalName beside a workload" "allowed" "a type that leads to the pods"
      "fix" "remove one of the two") -}}
{{- end -}}
{{- if include "chart_basico.service.policy" $ | fromJson -}}
{{- if $elsewhere -}}
{{- include "chart_basico.mistake" (dict
      "path" "service.trafficPolicy" "found" "it with type ExternalName" "allowed" "it with a type that leads to the pods"
      "fix" "declare the host in egress.hosts, which have a trafficPolicy") -}}
{{- else if and $.Values.routing (not $s.perVersion) -}}
{{- include "chart_basico.mistake" (dict
      "path" "service.trafficPolicy" "found" "it beside routing" "allowed" "one DestinationRule for the Service"
      "fix" "move it to routing.trafficPolicy") -}}
{{- end -}}
{{- end -}}
{{- if $s.perVersion -}}
{{- if not $.Values.version -}}
{{- include "chart_basico.mistake" (dict
      "path" "service.perVersion" "found" "it without version" "allowed" "it beside the version that it is for" "fix" "add version") -}}
{{- else if gt (len (include "chart_basico.service.name" $)) 63 -}}
{{- include "chart_basico.mistake" (dict
      "path" "service.perVersion" "found" (printf "the name %s, longer than 63 characters" (include "chart_basico.service.name" $)) "allowed" "63 characters"
      "fix" "shorten app or version") -}}
{{- else if and (eq $kind "StatefulSet") (not $.Values.workload.serviceName) -}}
{{- /* It cannot change on a live StatefulSet, so it does not follow the Service on its own. */ -}}
{{- $name := include "chart_basico.service.name" $ -}}
{{- include "chart_basico.mistake" (dict
      "path" "workload.serviceName" "found" (printf "nothing, which stands for %s, while the Service of service.perVersion is %s" $.Values.app $name) "allowed" "the Service that gives the pods their names"
      "fix" (printf "set it to %s, or to %s where another file makes that Service or the StatefulSet is there already" $name $.Values.app)) -}}
{{- end -}}
{{- end -}}
{{- if and (eq ($s.clusterIP | default "") "None") (ne ($s.type | default "ClusterIP") "ClusterIP") -}}
{{- include "chart_basico.mistake" (dict
      "path" "service.clusterIP" "found" (printf "None with type %s" $s.type) "allowed" "None with type ClusterIP"
      "fix" "remove one of the two") -}}
{{- end -}}
{{- $protocols := list "grpc" "grpc-web" "http" "http2" "https" "mongo" "mysql" "redis" "tcp" "tls" "udp" -}}
{{- $declared := include "chart_basico.workload.ports" $ | fromJson -}}
{{- $numbers := dict -}}
{{- range $name := $names -}}
{{- $port := get $s.ports $name -}}
{{- $path := printf "service.ports.%s" $name -}}
{{- if not (or $port.appProtocol (has (splitList "-" $name | first) $protocols)) -}}
{{- include "chart_basico.mistake" (dict
      "path" $path "found" "a name that says no protocol" "allowed" (printf "%s, alone or before a dash" (join ", " $protocols))
      "fix" (printf "rename it, for example http-%s, or set appProtocol" $name)) -}}
{{- end -}}
{{- $number := printf "%d/%s" (int $port.port) ($port.protocol | default "TCP") -}}
{{- with get $numbers $number -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.port" $path) "found" (printf "%s, which service.ports.%s has too" $number .) "allowed" "a number for each port"
      "fix" "change or remove one") -}}
{{- end -}}
{{- $_ := set $numbers $number $name -}}
{{- if and $port.nodePort (not (has $s.type (list "NodePort" "LoadBalancer"))) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.nodePort" $path) "found" (printf "%d with type %s" (int $port.nodePort) ($s.type | default "ClusterIP")) "allowed" "nodePort with type NodePort or LoadBalancer"
      "fix" "remove it, or set service.type") -}}
{{- end -}}
{{- if and (kindIs "string" $port.targetPort) (regexMatch "^[0-9]+$" $port.targetPort) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.targetPort" $path) "found" (printf "the text \"%s\"" $port.targetPort) "allowed" "a number, or the name of a port, which has a letter"
      "fix" (printf "write %s without quotes" $port.targetPort)) -}}
{{- else if $.Values.workload -}}
{{- $target := $port.targetPort | default $port.port -}}
{{- $named := kindIs "string" $target -}}
{{- $target = ternary (printf "%v/%s" $target ($port.protocol | default "TCP") | trimSuffix "/TCP") (include "chart_basico.text" $target) $named -}}
{{- if not (has $target (ternary (keys $declared) (values $declared) $named)) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.%s" $path (ternary "targetPort" "port" (not (kindIs "invalid" ($port.targetPort | default nil))))) "found" (printf "%s, a port that no container has" $target)
      "allowed" (include "chart_basico.workload.portsText" $declared)
      "fix" "set targetPort to one of them, or add the port to a container") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /*
chart_basico.workload.ports: the ports of containers and sidecars, number as text by name, or by name and protocol as dns/UDP
where that is not TCP: a Service looks a name up among the ports of its own protocol. In: root. Out: JSON map.
*/ -}}
{{- define "chart_basico.workload.ports" -}}
{{- $out := dict -}}
{{- range $group := list "containers" "sidecars" -}}
{{- range $name, $c := get ($.Values.workload | default dict) $group | default dict -}}
{{- range $port, $p := ($c | default dict).ports -}}
{{- if kindIs "map" $p -}}{{- $_ := set $out (printf "%s/%s" $port ($p.protocol | default "TCP") | trimSuffix "/TCP") (include "chart_basico.text" $p.containerPort) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{- /* chart_basico.workload.portsText. In: map of number by name. Out: text. */ -}}
{{- define "chart_basico.workload.portsText" -}}
{{- $out := list -}}
{{- range $name, $number := . -}}{{- $out = append $out (printf "%s (%s)" $name $number) -}}{{- end -}}
{{- join ", " $out | default "nothing, since the containers have no ports" -}}
{{- end -}}
