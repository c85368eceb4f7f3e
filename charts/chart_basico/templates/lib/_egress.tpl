{{- /* Hosts outside, and the way to them. Helpers of one host take it with its key under `egress.hosts`. */ -}}

{{- /*
chart_basico.egress.ports: the ports of a host, each with name, number, protocol, and targetPort
and tls if it has them. In: host. Out: JSON list.
*/ -}}
{{- define "chart_basico.egress.ports" -}}
{{- $given := dict -}}
{{- if .port -}}
{{- $_ := set $given (lower (.protocol | default "TCP")) (dict "port" .port "protocol" .protocol "targetPort" .targetPort "tls" .tls) -}}
{{- else -}}
{{- $given = .ports -}}
{{- end -}}
{{- $out := list -}}
{{- range $name := include "chart_basico.names" $given | fromJsonArray -}}
{{- $p := get $given $name -}}
{{- $port := include "chart_basico.pick" (dict "from" $p "keys" (list "targetPort" "tls")) | fromJson -}}
{{- $out = append $out (merge $port (dict "name" $name "number" $p.port "protocol" ($p.protocol | default "TCP"))) -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{- /*
chart_basico.egress.tls: TLS that the proxy begins, towards the host by its name and nobody else.
In: host (its name), tls. Out: JSON map.
*/ -}}
{{- define "chart_basico.egress.tls" -}}
{{- $out := dict "mode" "SIMPLE" -}}
{{- if and (has (.tls.mode | default "SIMPLE") (list "SIMPLE" "MUTUAL")) (not (hasPrefix "*" .host)) -}}
{{- $_ := set $out "sni" .host -}}
{{- if not .tls.insecureSkipVerify -}}{{- $_ := set $out "subjectAltNames" (list .host) -}}{{- end -}}
{{- end -}}
{{- toJson (mergeOverwrite $out (deepCopy .tls)) -}}
{{- end -}}

{{- /*
chart_basico.egress.policy: the traffic policy of a host, with the TLS of its ports. Istio takes a
port's policy instead of the host's, not on top of it: repeat the host's under it.
In: host. Out: JSON map.
*/ -}}
{{- define "chart_basico.egress.policy" -}}
{{- $host := . -}}
{{- $policy := include "chart_basico.policy" .trafficPolicy | fromJson -}}
{{- $levels := list -}}
{{- range include "chart_basico.egress.ports" . | fromJsonArray -}}
{{- if not (kindIs "invalid" .tls) -}}
{{- $tls := include "chart_basico.egress.tls" (dict "host" $host.host "tls" .tls) | fromJson -}}
{{- if $host.port -}}
{{- $_ := set $policy "tls" $tls -}}
{{- else -}}
{{- $shared := include "chart_basico.pick" (dict "from" $policy "keys" (list "connectionPool" "loadBalancer" "outlierDetection")) | fromJson -}}
{{- $levels = append $levels (merge (dict "port" (dict "number" .number) "tls" $tls) $shared) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $levels -}}{{- $_ := set $policy "portLevelSettings" . -}}{{- end -}}
{{- toJson $policy -}}
{{- end -}}

{{- /* chart_basico.egress.gateway: the egress gateway with its defaults, empty where there is none. In: root. Out: JSON map. */ -}}
{{- define "chart_basico.egress.gateway" -}}
{{- $gateway := (.Values.egress | default dict).gateway -}}
{{- if kindIs "invalid" $gateway -}}
{{- toJson dict -}}
{{- else -}}
{{- $host := $gateway.host | default "istio-egressgateway.istio-system.svc.cluster.local" -}}
{{- toJson (dict
      "host" $host
      "namespace" (index (splitList "." $host) 1)
      "selector" ($gateway.selector | default (dict "istio" "egressgateway"))
      "name" (printf "%s-egress" .Values.app)) -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.egress.kept: the keys of the hosts that the egress gateway keeps. In: root. Out: JSON list. */ -}}
{{- define "chart_basico.egress.kept" -}}
{{- $out := list -}}
{{- if include "chart_basico.egress.gateway" . | fromJson -}}
{{- range $key := include "chart_basico.names" .Values.egress.hosts | fromJsonArray -}}
{{- if not (get $.Values.egress.hosts $key).direct -}}{{- $out = append $out $key -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{- /*
chart_basico.egress.exportTo: the namespaces for which a host is declared: this one, whose egress it is, since the port
of a host of TCP without addresses is taken from all who see it; and that of the egress gateway that keeps it.
In: root, key. Out: JSON list.
*/ -}}
{{- define "chart_basico.egress.exportTo" -}}
{{- $out := list "." -}}
{{- if has .key (include "chart_basico.egress.kept" .root | fromJsonArray) -}}
{{- $there := (include "chart_basico.egress.gateway" .root | fromJson).namespace -}}
{{- if ne $there .root.Release.Namespace -}}{{- $out = append $out $there -}}{{- end -}}
{{- end -}}
{{- toJson ((get .root.Values.egress.hosts .key).exportTo | default $out) -}}
{{- end -}}

{{- /* chart_basico.egress.kind: the kind of route that a protocol takes: http, tls or tcp. In: text. Out: text. */ -}}
{{- define "chart_basico.egress.kind" -}}
{{- if has . (list "HTTP" "HTTP2" "GRPC") -}}http{{- else if has . (list "HTTPS" "TLS") -}}tls{{- else -}}tcp{{- end -}}
{{- end -}}

{{- /*
chart_basico.egress.servers: what the egress gateway listens to. Hosts of HTTP and of TLS are told
apart by name; the bytes of TCP by the name within mutual TLS, so each has a server of its own.
In: root. Out: JSON list.
*/ -}}
{{- define "chart_basico.egress.servers" -}}
{{- $hosts := dict "http" list "tls" list -}}
{{- $servers := list -}}
{{- range $key := include "chart_basico.egress.kept" . | fromJsonArray -}}
{{- $host := get $.Values.egress.hosts $key -}}
{{- range include "chart_basico.egress.ports" $host | fromJsonArray -}}
{{- $kind := include "chart_basico.egress.kind" .protocol -}}
{{- if eq $kind "tcp" -}}
{{- $servers = append $servers (dict
      "hosts" (list $host.host)
      "port" (dict "name" (printf "tcp-%s" $key) "number" 443 "protocol" "TLS")
      "tls" (dict "mode" "ISTIO_MUTUAL")) -}}
{{- else -}}
{{- $_ := set $hosts $kind (append (get $hosts $kind) $host.host) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $hosts.tls -}}
{{- $servers = prepend $servers (dict
      "hosts" . "port" (dict "name" "tls" "number" 443 "protocol" "TLS") "tls" (dict "mode" "PASSTHROUGH")) -}}
{{- end -}}
{{- with $hosts.http -}}
{{- $servers = prepend $servers (dict "hosts" . "port" (dict "name" "http" "number" 80 "protocol" "HTTP")) -}}
{{- end -}}
{{- toJson $servers -}}
{{- end -}}

{{- /*
chart_basico.egress.routes: of one host by kind: from the pods to the gateway, and from there to
the host. In: root, key. Out: JSON map.
*/ -}}
{{- define "chart_basico.egress.routes" -}}
{{- $host := get .root.Values.egress.hosts .key -}}
{{- $gateway := include "chart_basico.egress.gateway" .root | fromJson -}}
{{- $out := dict -}}
{{- range include "chart_basico.egress.ports" $host | fromJsonArray -}}
{{- $kind := include "chart_basico.egress.kind" .protocol -}}
{{- $number := ternary 80 443 (eq $kind "http") -}}
{{- $in := dict "gateways" (list "mesh") "port" .number -}}
{{- $on := dict "gateways" (list $gateway.name) "port" $number -}}
{{- $to := dict "host" $gateway.host "port" (dict "number" $number) -}}
{{- if eq $kind "tcp" -}}{{- $_ := set $to "subset" $.key -}}{{- end -}}
{{- if eq $kind "tls" -}}
{{- $_ := set $in "sniHosts" (list $host.host) -}}
{{- $_ := set $on "sniHosts" (list $host.host) -}}
{{- end -}}
{{- $_ := set $out $kind (list
      (dict "match" (list $in) "route" (list (dict "destination" $to)))
      (dict "match" (list $on) "route" (list (dict "destination" (dict "host" $host.host "port" (dict "number" .number)))))) -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{- /*
chart_basico.egress.visible: the services that the pods see, as namespace/host: those of the
values, and with them the hosts of this file and the gateway that leads there.
In: root. Out: JSON list.
*/ -}}
{{- define "chart_basico.egress.visible" -}}
{{- $e := .Values.egress -}}
{{- $out := $e.visible | default (list "*/*") -}}
{{- if not (has "*/*" $out) -}}
{{- if not (has "./*" $out) -}}
{{- range $key := include "chart_basico.names" $e.hosts | fromJsonArray -}}
{{- $out = append $out (printf "./%s" (get $e.hosts $key).host) -}}
{{- end -}}
{{- end -}}
{{- with include "chart_basico.egress.gateway" . | fromJson -}}
{{- $out = append $out (printf "%s/%s" .namespace .host) -}}
{{- end -}}
{{- end -}}
{{- toJson (uniq $out) -}}
{{- end -}}

{{- /* chart_basico.egress.addresses: the fixed addresses of a host as blocks of a NetworkPolicy, none where one is not known. In: host. Out: JSON list. */ -}}
{{- define "chart_basico.egress.addresses" -}}
{{- $all := list -}}
{{- $resolution := .resolution | default "DNS" -}}
{{- if eq $resolution "NONE" -}}{{- $all = .addresses | default list -}}{{- end -}}
{{- if eq $resolution "STATIC" -}}
{{- range .endpoints -}}{{- $all = append $all .address -}}{{- end -}}
{{- /* An endpoint of another network has none: its gateway is in front of it. */ -}}
{{- if ne (len $all) (compact $all | len) -}}{{- $all = list -}}{{- end -}}
{{- end -}}
{{- $out := list -}}
{{- range $all -}}
{{- $cidr := . -}}
{{- if not (contains "/" .) -}}{{- $cidr = printf "%s/%s" . (ternary "128" "32" (contains ":" .)) -}}{{- end -}}
{{- $out = append $out (dict "ipBlock" (dict "cidr" $cidr)) -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{- /* chart_basico.egress.rules: what the NetworkPolicy lets out. In: root. Out: JSON list. */ -}}
{{- define "chart_basico.egress.rules" -}}
{{- $e := .Values.egress -}}
{{- /* 5353 is where the DNS of OpenShift listens behind its Service. */ -}}
{{- $dns := list -}}
{{- range $port := list 53 5353 -}}
{{- range $protocol := list "UDP" "TCP" -}}{{- $dns = append $dns (dict "port" $port "protocol" $protocol) -}}{{- end -}}
{{- end -}}
{{- $istiod := dict "podSelector" (dict "matchLabels" (dict "app" "istiod")) "namespaceSelector" dict -}}
{{- $out := list
      (dict "ports" $dns)
      (dict "to" (list $istiod) "ports" (list (dict "port" 15012 "protocol" "TCP"))) -}}
{{- $mesh := list -}}
{{- range $e.visible | default (list "*/*") -}}
{{- $namespace := splitList "/" . | first -}}
{{- if eq $namespace "*" -}}
{{- $mesh = append $mesh (dict "namespaceSelector" dict) -}}
{{- else if eq $namespace "." -}}
{{- $mesh = append $mesh (dict "podSelector" dict) -}}
{{- else if ne $namespace "~" -}}
{{- $mesh = append $mesh (dict "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" $namespace))) -}}
{{- end -}}
{{- end -}}
{{- with uniq $mesh -}}{{- $out = append $out (dict "to" .) -}}{{- end -}}
{{- $kept := include "chart_basico.egress.kept" . | fromJsonArray -}}
{{- range $key := include "chart_basico.names" $e.hosts | fromJsonArray -}}
{{- if not (has $key $kept) -}}
{{- $host := get $e.hosts $key -}}
{{- $ports := list -}}
{{- range include "chart_basico.egress.ports" $host | fromJsonArray -}}
{{- $ports = append $ports (dict "port" (.targetPort | default .number) "protocol" "TCP") -}}
{{- end -}}
{{- range $host.endpoints -}}
{{- range $name, $number := .ports -}}{{- $ports = append $ports (dict "port" $number "protocol" "TCP") -}}{{- end -}}
{{- end -}}
{{- $rule := dict "ports" (uniq $ports) -}}
{{- with include "chart_basico.egress.addresses" $host | fromJsonArray -}}{{- $_ := set $rule "to" . -}}{{- end -}}
{{- $out = append $out $rule -}}
{{- end -}}
{{- end -}}
{{- if $kept -}}
{{- $selector := (include "chart_basico.egress.gateway" . | fromJson).selector -}}
{{- $out = append $out (dict "to" (list (dict "podSelector" (dict "matchLabels" $selector) "namespaceSelector" dict))) -}}
{{- end -}}
{{- toJson (concat $out ($e.networkPolicy.egress | default list)) -}}
{{- end -}}
