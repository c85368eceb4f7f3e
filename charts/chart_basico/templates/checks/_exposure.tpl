{{- define "chart_basico.check.exposure" -}}
{{- with .Values.exposure -}}
{{- include "chart_basico.check.exposure.fields" (dict "exposure" .) -}}
{{- include "chart_basico.check.exposure.hosts" (dict "exposure" .) -}}
{{- if eq .kind "route" -}}{{- include "chart_basico.check.exposure.names" $ -}}{{- end -}}
{{- include "chart_basico.check.exposure.paths" (dict "exposure" .) -}}
{{- include "chart_basico.check.exposure.tls" (dict "exposure" .) -}}
{{- include "chart_basico.check.exposure.port" $ -}}
{{- if $.Values.routing -}}{{- include "chart_basico.check.exposure.routing" $ -}}{{- end -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.check.exposure.fields: each field belongs to some kinds, goes with some fields and not with others. In: exposure. */ -}}
{{- define "chart_basico.check.exposure.fields" -}}
{{- $e := .exposure -}}
{{- $kinds := dict
      "className" (list "ingress" "gatewayAPI")
      "gateway" (list "istio" "gatewayAPI")
      "gateway.selector" (list "istio")
      "gatewayAPI" (list "gatewayAPI")
      "istio" (list "istio")
      "route" (list "route")
      "tls.redirect" (list "istio" "gatewayAPI" "route") -}}
{{- range $path, $allowed := $kinds -}}
{{- if and (include "chart_basico.check.given" (dict "from" $e "path" $path)) (not (has $e.kind $allowed)) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "exposure.%s" $path) "found" (printf "it with kind %s" $e.kind) "allowed" (printf "it with kind %s" (join ", " $allowed))
      "fix" "remove it, or change exposure.kind") -}}
{{- end -}}
{{- end -}}
{{- $needs := dict
      "gatewayAPI.options" "tls" "gatewayAPI.sectionName" "gateway.existing" "istio.tls" "tls" "route.tls" "tls" -}}
{{- range $path, $other := $needs -}}
{{- if and (include "chart_basico.check.given" (dict "from" $e "path" $path)) (not (include "chart_basico.check.given" (dict "from" $e "path" $other))) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "exposure.%s" $path) "found" (printf "it without exposure.%s" $other) "allowed" (printf "it beside exposure.%s" $other)
      "fix" (printf "add exposure.%s, or remove it" $other)) -}}
{{- end -}}
{{- end -}}
{{- with ($e.gateway | default dict).existing -}}
{{- $made := list "className" "gateway.port" "gateway.selector" "gatewayAPI.addresses" "gatewayAPI.infrastructure" "tls" -}}
{{- range $path := $made -}}
{{- if include "chart_basico.check.given" (dict "from" $e "path" $path) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "exposure.%s" $path) "found" (printf "it beside exposure.gateway.existing %s" $e.gateway.existing) "allowed" "it for a Gateway that this release makes"
      "fix" "remove one of the two; what is there already is set where it is made") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.check.exposure.hosts. In: exposure. */ -}}
{{- define "chart_basico.check.exposure.hosts" -}}
{{- $e := .exposure -}}
{{- $seen := dict -}}
{{- range $i, $host := $e.hosts -}}
{{- if hasKey $seen $host -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "exposure.hosts[%d]" $i) "found" (printf "%s for the second time" $host) "allowed" "each host once" "fix" "remove it") -}}
{{- end -}}
{{- $_ := set $seen $host true -}}
{{- range $other := without $e.hosts $host -}}
{{- if and (eq $e.kind "istio") (hasPrefix "*" $other) (hasSuffix (trimPrefix "*" $other) $host) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "exposure.hosts[%d]" $i) "found" (printf "%s, for which %s stands too" $host $other) "allowed" "hosts of which none stands for another, with kind istio"
      "fix" "remove one of the two") -}}
{{- end -}}
{{- end -}}
{{- if and (eq $host "*") (eq $e.kind "route") -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "exposure.hosts[%d]" $i) "found" "*" "allowed" "a host name, or a domain with *. in front, since a Route has one"
      "fix" "name the host") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.check.exposure.names: of Routes, where dots are dashes. In: root. */ -}}
{{- define "chart_basico.check.exposure.names" -}}
{{- $hosts := dict -}}
{{- range $i, $host := .Values.exposure.hosts -}}
{{- range include "chart_basico.exposure.paths" $ | fromJsonArray -}}
{{- $name := include "chart_basico.exposure.route.name" (dict "root" $ "host" $host "path" .name) -}}
{{- with get $hosts $name -}}
{{- if ne . $host -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "exposure.hosts[%d]" $i) "found" (printf "%s, whose Route would be named %s as that of %s" $host $name .) "allowed" "hosts whose Routes differ in name, with kind route"
      "fix" "remove one of the two; an App of another name may have it") -}}
{{- end -}}
{{- end -}}
{{- $_ := set $hosts $name $host -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.check.exposure.paths. In: exposure. */ -}}
{{- define "chart_basico.check.exposure.paths" -}}
{{- $e := .exposure -}}
{{- $allowed := get (dict
      "gatewayAPI" (list "Prefix" "Exact") "ingress" (list "Prefix" "Exact" "ImplementationSpecific")
      "istio" (list "Prefix" "Exact") "route" (list "Prefix")) $e.kind -}}
{{- range $name := include "chart_basico.names" $e.paths | fromJsonArray -}}
{{- $type := (get $e.paths $name).pathType | default "Prefix" -}}
{{- if not (has $type $allowed) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "exposure.paths.%s.pathType" $name) "found" (printf "%s with kind %s" $type $e.kind) "allowed" (join ", " $allowed)
      "fix" "change it, or change exposure.kind") -}}
{{- end -}}
{{- $path := (get $e.paths $name).path -}}
{{- if and (contains "*" $path) (ne $type "ImplementationSpecific") -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "exposure.paths.%s.path" $name) "found" (printf "%s with pathType %s, of which * is a letter" $path $type) "allowed" "a path without *"
      "fix" "remove *; Prefix is a path and all that is below it") -}}
{{- end -}}
{{- end -}}
{{- $tls := (($e.route | default dict).tls) | default dict -}}
{{- if and $e.paths (eq ($tls.termination | default "") "passthrough") -}}
{{- include "chart_basico.mistake" (dict
      "path" "exposure.paths" "found" "paths with TLS that is passed through" "allowed" "paths where the router ends TLS, since it reads none otherwise"
      "fix" "remove exposure.paths, or change exposure.route.tls.termination") -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.check.exposure.tls. In: exposure. */ -}}
{{- define "chart_basico.check.exposure.tls" -}}
{{- $e := .exposure -}}
{{- if not (kindIs "invalid" $e.tls) -}}
{{- $own := (($e.istio | default dict).tls) | default dict -}}
{{- $certificates := include "chart_basico.names" $e.tls.certificates | fromJsonArray -}}
{{- if $certificates -}}
{{- include "chart_basico.check.exposure.certificates" . -}}
{{- else if and (has $e.kind (list "istio" "gatewayAPI")) (not $e.tls.secretName) (not $own) -}}
{{- include "chart_basico.mistake" (dict
      "path" "exposure.tls.secretName" "found" "nothing" "allowed" "the Secret with key and certificate"
      "fix" "add exposure.tls.secretName") -}}
{{- end -}}
{{- if has ($own.mode | default "") (list "PASSTHROUGH" "AUTO_PASSTHROUGH") -}}
{{- include "chart_basico.mistake" (dict
      "path" "exposure.istio.tls.mode" "found" $own.mode "allowed" "a mode in which the gateway ends TLS, since its routes are HTTP's"
      "fix" "change the mode") -}}
{{- end -}}
{{- $passes := eq ((($e.route | default dict).tls | default dict).termination | default "") "passthrough" -}}
{{- if and $passes (or $certificates $e.tls.secretName) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "exposure.tls.%s" (ternary "certificates" "secretName" (gt (len $certificates) 0))) "found" "a certificate for TLS that is passed through" "allowed" "one where the router ends TLS"
      "fix" "remove it, or change exposure.route.tls.termination") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.check.exposure.certificates: each host has one certificate, and each certificate a host. In: exposure, which has some. */ -}}
{{- define "chart_basico.check.exposure.certificates" -}}
{{- $e := .exposure -}}
{{- $of := dict -}}
{{- range $name := include "chart_basico.names" $e.tls.certificates | fromJsonArray -}}
{{- $path := printf "exposure.tls.certificates.%s" $name -}}
{{- $certificate := get $e.tls.certificates $name -}}
{{- if and (has $e.kind (list "istio" "gatewayAPI")) (not $certificate.secretName) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.secretName" $path) "found" "nothing" "allowed" "the Secret with key and certificate" "fix" "add it") -}}
{{- end -}}
{{- range $i, $host := $certificate.hosts -}}
{{- if not (has $host $e.hosts) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.hosts[%d]" $path $i) "found" (printf "%s, which is not exposed" $host) "allowed" (join ", " $e.hosts)
      "fix" "name one of them, or add it to exposure.hosts") -}}
{{- else if hasKey $of $host -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.hosts[%d]" $path $i) "found" (printf "%s, which %s has too" $host (get $of $host)) "allowed" "one certificate for a host"
      "fix" "remove one of the two") -}}
{{- end -}}
{{- $_ := set $of $host $path -}}
{{- end -}}
{{- end -}}
{{- $rest := list -}}
{{- range $e.hosts -}}{{- if not (hasKey $of .) -}}{{- $rest = append $rest . -}}{{- end -}}{{- end -}}
{{- if and $rest (not $e.tls.secretName) -}}
{{- include "chart_basico.mistake" (dict
      "path" "exposure.tls.certificates" "found" (printf "none for %s" (join ", " $rest)) "allowed" "one for each host"
      "fix" "add them to the hosts of a certificate, or set exposure.tls.secretName for all that have none") -}}
{{- end -}}
{{- if and (not $rest) $e.tls.secretName -}}
{{- include "chart_basico.mistake" (dict
      "path" "exposure.tls.secretName" "found" (printf "%s, while each host has another certificate" $e.tls.secretName) "allowed" "it for hosts that have none in exposure.tls.certificates"
      "fix" "remove it") -}}
{{- end -}}
{{- range $kind, $fields := dict
      "istio" (list "credentialName" "credentialNames" "privateKey" "serverCertificate" "tlsCertificates")
      "route" (list "certificate" "externalCertificate" "key") -}}
{{- range $field := $fields -}}
{{- $path := printf "%s.tls.%s" $kind $field -}}
{{- if include "chart_basico.check.given" (dict "from" $e "path" $path) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "exposure.%s" $path) "found" "it beside exposure.tls.certificates" "allowed" "one of the two, since it would hold for all hosts"
      "fix" "remove it") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.check.exposure.port. In: root. */ -}}
{{- define "chart_basico.check.exposure.port" -}}
{{- $e := .Values.exposure -}}
{{- $ports := (.Values.service | default dict).ports | default dict -}}
{{- $names := include "chart_basico.names" $ports | fromJsonArray -}}
{{- $numbers := dict -}}
{{- range $names -}}{{- $_ := set $numbers . (include "chart_basico.text" (get $ports .).port) -}}{{- end -}}
{{- $found := include "chart_basico.text" ($e.port | default "nothing") -}}
{{- $known := include "chart_basico.workload.portsText" $numbers -}}
{{- if eq $e.kind "route" -}}
{{- /* A Service of one port needs no name; a Service that is not in this file may have one. */ -}}
{{- $name := include "chart_basico.exposure.portName" . -}}
{{- if or (and $names (not (has $name $names))) (and $e.port (not (kindIs "string" $e.port)) (not $names)) -}}
{{- include "chart_basico.mistake" (dict
      "path" "exposure.port" "found" $found "allowed" (ternary $known "the name of a port of the Service, since a Route knows no number of it" (gt (len $names) 0))
      "fix" "set exposure.port to the name of the Service's port") -}}
{{- end -}}
{{- else if and .Values.routing $e.port -}}
{{- include "chart_basico.mistake" (dict
      "path" "exposure.port" "found" (printf "%s beside routing" $found) "allowed" "routing.port, since the routes are those of routing"
      "fix" "move it to routing.port") -}}
{{- else if not (or (include "chart_basico.exposure.port" .) (and .Values.routing (eq $e.kind "istio") (le (len $names) 1))) -}}
{{- include "chart_basico.mistake" (dict
      "path" (ternary "routing.port" "exposure.port" (not (empty .Values.routing))) "found" $found
      "allowed" (ternary $known "a number, since service is not in this file" (gt (len $names) 0))
      "fix" "set it to the port of the Service") -}}
{{- else if and $names $e.port (not (kindIs "string" $e.port)) (not (has $found (values $numbers))) -}}
{{- include "chart_basico.mistake" (dict
      "path" "exposure.port" "found" (printf "%s, a port that the Service does not have" $found) "allowed" $known
      "fix" "set exposure.port to one of them") -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.check.exposure.routing: what of the routing holds for those outside, too. In: root, which has routing. */ -}}
{{- define "chart_basico.check.exposure.routing" -}}
{{- $e := .Values.exposure -}}
{{- $r := .Values.routing -}}
{{- if eq $e.kind "ingress" -}}
{{- include "chart_basico.mistake" (dict
      "path" "exposure.kind" "found" "ingress beside routing" "allowed" "gatewayAPI, istio, route, since an Ingress has no weights"
      "fix" "change exposure.kind; in a file of its own routing divides the mesh alone") -}}
{{- end -}}
{{- if eq $e.kind "istio" -}}
{{- range $field := include "chart_basico.exposure.istio.fields" . | fromYamlArray -}}
{{- if include "chart_basico.check.given" (dict "from" $e.istio "path" $field) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "exposure.istio.%s" $field) "found" "it beside routing" "allowed" (printf "routing.%s, since the routes are those of routing" $field)
      "fix" (printf "move it to routing.%s" $field)) -}}
{{- end -}}
{{- end -}}
{{- range $field := list "http" "match" -}}
{{- if and $e.paths (get $r $field) -}}
{{- include "chart_basico.mistake" (dict
      "path" "exposure.paths" "found" (printf "paths beside routing.%s" $field) "allowed" "one of the two, since both say which requests match"
      "fix" (printf "remove exposure.paths, and match on uri in routing.%s" $field)) -}}
{{- end -}}
{{- end -}}
{{- if ne ($r.protocol | default "HTTP") "HTTP" -}}
{{- include "chart_basico.mistake" (dict
      "path" "exposure" "found" (printf "it beside routing.protocol %s" $r.protocol) "allowed" "it beside routes of HTTP"
      "fix" "give routing a file of its own") -}}
{{- end -}}
{{- end -}}
{{- if has $e.kind (list "gatewayAPI" "route") -}}
{{- range $field := concat (include "chart_basico.routing.fields" . | fromYamlArray) (list "http" "tcp" "tls") -}}
{{- if get $r $field -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "routing.%s" $field) "found" (printf "it beside exposure.kind %s, which takes the weights alone" $e.kind) "allowed" "it beside exposure.kind istio"
      "fix" "change exposure.kind, or remove it") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $versions := include "chart_basico.routing.versions" . | fromJsonArray -}}
{{- if and (eq $e.kind "route") (gt (len $versions) 4) -}}
{{- include "chart_basico.mistake" (dict
      "path" "routing.stages" "found" (printf "%d versions" (len $versions)) "allowed" "4 at most beside exposure.kind route, as a Route divides over no more"
      "fix" "drop versions from the stages, or change exposure.kind") -}}
{{- end -}}
{{- end -}}
