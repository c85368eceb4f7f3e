{{- define "chart_basico.check.egress" -}}
{{- $hosts := (.Values.egress | default dict).hosts -}}
{{- $kept := include "chart_basico.egress.kept" . | fromJsonArray -}}
{{- $seen := dict -}}
{{- $kinds := dict -}}
{{- range $name := include "chart_basico.names" $hosts | fromJsonArray -}}
{{- $host := get $hosts $name -}}
{{- $path := printf "egress.hosts.%s" $name -}}
{{- $resolution := $host.resolution | default "DNS" -}}
{{- $free := list "NONE" "DYNAMIC_DNS" -}}
{{- if and (hasPrefix "*" $host.host) (not (has $resolution $free)) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.resolution" $path) "found" (printf "%s for %s" $resolution $host.host) "allowed" "NONE or DYNAMIC_DNS for a host with *, which has no address to look up"
      "fix" "set resolution to NONE, or name the host in full") -}}
{{- end -}}
{{- if and (eq $resolution "STATIC") (not $host.endpoints) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.endpoints" $path) "found" "nothing" "allowed" "one or more, with resolution STATIC"
      "fix" "add endpoints, or change resolution") -}}
{{- end -}}
{{- if and (has $resolution $free) $host.endpoints -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.endpoints" $path) "found" "endpoints" "allowed" (printf "none, with resolution %s" $resolution)
      "fix" "remove them, or change resolution") -}}
{{- end -}}
{{- if eq $resolution "DYNAMIC_DNS" -}}{{- include "chart_basico.check.egress.dynamic" (dict "host" $host "path" $path) -}}{{- end -}}
{{- range $i, $endpoint := $host.endpoints -}}
{{- if not (or $endpoint.address (and $endpoint.network (eq $resolution "STATIC"))) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.endpoints[%d].address" $path $i) "found" "nothing" "allowed" "an address, or a network alone with resolution STATIC"
      "fix" "add address") -}}
{{- end -}}
{{- end -}}
{{- if and (has "." $host.exportTo) (has $.Release.Namespace $host.exportTo) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.exportTo" $path) "found" (printf "., %s" $.Release.Namespace) "allowed" "each namespace once, and a dot is that of the release"
      "fix" (printf "remove %s" $.Release.Namespace)) -}}
{{- end -}}
{{- include "chart_basico.check.egress.ports" (dict "host" $host "path" $path) -}}
{{- range include "chart_basico.egress.ports" $host | fromJsonArray -}}
{{- $address := printf "%s:%d" $host.host (int .number) -}}
{{- with get $seen $address -}}
{{- include "chart_basico.mistake" (dict
      "path" $path "found" (printf "%s, which egress.hosts.%s has too" $address .) "allowed" "one entry for a host and port"
      "fix" "remove one") -}}
{{- end -}}
{{- $_ := set $seen $address $name -}}
{{- end -}}
{{- if has $name $kept -}}{{- include "chart_basico.check.egress.kept" (dict "root" $ "host" $host "path" $path "name" $name "kinds" $kinds) -}}{{- end -}}
{{- if and (include "chart_basico.service.policy" $ | fromJson) (include "chart_basico.egress.policy" $host | fromJson) (eq (printf "%s-%s" $.Values.app $name) (include "chart_basico.service.name" $)) -}}
{{- include "chart_basico.mistake" (dict
      "path" $path "found" "a name that the DestinationRule of service has too" "allowed" "another name" "fix" "rename it") -}}
{{- end -}}
{{- end -}}
{{- include "chart_basico.check.egress.policies" (dict "hosts" $hosts) -}}
{{- if and $.Values.exposure (has "exposure" $kept) -}}
{{- include "chart_basico.mistake" (dict
      "path" "egress.hosts.exposure" "found" "a name that the VirtualService of exposure has too" "allowed" "another name" "fix" "rename it") -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.check.egress.dynamic: a host whose proxies look up the name that a request says. In: host, path. */ -}}
{{- define "chart_basico.check.egress.dynamic" -}}
{{- $host := .host -}}
{{- $path := .path -}}
{{- if not (hasPrefix "*" $host.host) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.resolution" $path) "found" (printf "DYNAMIC_DNS for %s" $host.host) "allowed" "it for a host with *"
      "fix" "set resolution to DNS") -}}
{{- end -}}
{{- if $host.addresses -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.addresses" $path) "found" "addresses" "allowed" "none, with resolution DYNAMIC_DNS"
      "fix" "remove them, or change resolution") -}}
{{- end -}}
{{- $protocols := list "GRPC" "HTTP" "HTTP2" "TLS" -}}
{{- range include "chart_basico.egress.ports" $host | fromJsonArray -}}
{{- if not (has .protocol $protocols) -}}
{{- include "chart_basico.mistake" (dict
      "path" (ternary (printf "%s.protocol" $path) (printf "%s.ports.%s.protocol" $path .name) (not (empty $host.port)))
      "found" (printf "%s with resolution DYNAMIC_DNS" .protocol) "allowed" (printf "%s, which say the host" (join ", " $protocols))
      "fix" "change it, or change resolution") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.check.egress.ports. In: host, path. */ -}}
{{- define "chart_basico.check.egress.ports" -}}
{{- $host := .host -}}
{{- $path := .path -}}
{{- $several := include "chart_basico.names" $host.ports | fromJsonArray -}}
{{- if eq (not $several) (not $host.port) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.port" $path) "found" (ternary "port and ports" "neither port nor ports" (not (empty $several))) "allowed" "port, or several under ports"
      "fix" "give one of the two") -}}
{{- end -}}
{{- range $field := list "protocol" "targetPort" "tls" -}}
{{- if and $several (not $host.port) (include "chart_basico.check.given" (dict "from" $host "path" $field)) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.%s" $path $field) "found" "it beside ports" "allowed" "it beside port" "fix" "move it to the port that it is of") -}}
{{- end -}}
{{- end -}}
{{- range include "chart_basico.egress.ports" $host | fromJsonArray -}}
{{- if not (kindIs "invalid" .tls) -}}
{{- $at := ternary (printf "%s.tls" $path) (printf "%s.ports.%s.tls" $path .name) (not (empty $host.port)) -}}
{{- if has .protocol (list "HTTPS" "TLS") -}}
{{- include "chart_basico.mistake" (dict
      "path" $at "found" (printf "TLS around %s, which the pods encrypt already" .protocol) "allowed" "a protocol that pods speak plainly"
      "fix" "remove it, or set protocol to what the pods speak, such as HTTP") -}}
{{- end -}}
{{- $field := ternary "tls" "portLevelSettings" (not (empty $host.port)) -}}
{{- if get ($host.trafficPolicy | default dict) $field -}}
{{- include "chart_basico.mistake" (dict
      "path" $at "found" (printf "it beside trafficPolicy.%s" $field) "allowed" "one of the two" "fix" (printf "move what trafficPolicy.%s says here" $field)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.check.egress.policies: a DestinationRule is for a host with all its ports, of whichever entry. In: hosts. */ -}}
{{- define "chart_basico.check.egress.policies" -}}
{{- $hosts := .hosts -}}
{{- $policies := dict -}}
{{- $entries := dict -}}
{{- range $name := include "chart_basico.names" $hosts | fromJsonArray -}}
{{- $host := get $hosts $name -}}
{{- $policy := include "chart_basico.egress.policy" $host | fromJson -}}
{{- $earlier := get $entries $host.host | default list -}}
{{- range $other := $earlier -}}
{{- $theirs := get $policies $other -}}
{{- if or (and $policy $theirs) $policy.tls $theirs.tls -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "egress.hosts.%s" $name) "found" (printf "%s, which egress.hosts.%s has too, with tls or trafficPolicy" $host.host $other)
      "allowed" "one entry for a host with either, since they hold for the whole host"
      "fix" "put the ports of both into one entry, under ports") -}}
{{- end -}}
{{- end -}}
{{- $_ := set $policies $name $policy -}}
{{- $_ := set $entries $host.host (append $earlier $name) -}}
{{- end -}}
{{- end -}}

{{- /*
chart_basico.check.egress.kept: a host that is reached through the egress gateway.
In: root, host, path, name, kinds (the entry that has a port of each host and kind; more are set).
*/ -}}
{{- define "chart_basico.check.egress.kept" -}}
{{- $path := .path -}}
{{- if hasPrefix "*" .host.host -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.host" $path) "found" (printf "%s through the egress gateway" .host.host) "allowed" "a host named in full, since the gateway must know where to"
      "fix" "name the host, or set direct") -}}
{{- end -}}
{{- with .host.exportTo -}}
{{- $here := $.root.Release.Namespace -}}
{{- $gateway := (include "chart_basico.egress.gateway" $.root | fromJson).namespace -}}
{{- $seen := list -}}
{{- range . -}}{{- $seen = append $seen (ternary $here . (eq . ".")) -}}{{- end -}}
{{- if not (or (has $gateway $seen) (has "*" $seen)) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.exportTo" $path) "found" (join ", " .) "allowed" (printf "%s among them, since the egress gateway there needs to know the host" $gateway)
      "fix" "add it, remove exportTo, or set direct") -}}
{{- end -}}
{{- $kinds := list -}}
{{- range include "chart_basico.egress.ports" $.host | fromJsonArray -}}{{- $kinds = append $kinds (include "chart_basico.egress.kind" .protocol) -}}{{- end -}}
{{- if and (has "tcp" $kinds) (without $seen $here $gateway) -}}
{{- include "chart_basico.mistake" (dict
      "path" (printf "%s.exportTo" $path) "found" (join ", " .) "allowed" (printf "%s, since the pods of this namespace alone know the way of TCP to the egress gateway" (ternary "." (printf "., %s" $gateway) (eq $gateway $here)))
      "fix" "remove exportTo, or set direct") -}}
{{- end -}}
{{- end -}}
{{- range include "chart_basico.egress.ports" .host | fromJsonArray -}}
{{- $kind := ternary "HTTP" "other than HTTP" (eq (include "chart_basico.egress.kind" .protocol) "http") -}}
{{- $key := printf "%s %s" $.host.host $kind -}}
{{- with get $.kinds $key -}}
{{- $same := eq . $.name -}}
{{- include "chart_basico.mistake" (dict
      "path" (ternary (printf "%s.ports" $path) $path $same)
      "found" (ternary
        (printf "two ports of a protocol %s through the egress gateway" $kind)
        (printf "a port of %s of a protocol %s through the egress gateway, which egress.hosts.%s has too" $.host.host $kind .) $same)
      "allowed" "one, since the gateway cannot tell which was meant"
      "fix" "remove one, or set direct") -}}
{{- end -}}
{{- $_ := set $.kinds $key $.name -}}
{{- end -}}
{{- if eq .name "egress-gateway" -}}
{{- include "chart_basico.mistake" (dict
      "path" $path "found" "a name that the DestinationRule of the gateway has too" "allowed" "another name" "fix" "rename it") -}}
{{- end -}}
{{- end -}}
