{{- /* Helpers that know nothing of Kubernetes. Those that return a map or list return JSON. */ -}}

{{- /*
chart_basico.pick: the named keys of a map, without those that are absent or null.
In: from (map), keys (list). Out: JSON map.
*/ -}}
{{- define "chart_basico.pick" -}}
{{- $out := dict -}}
{{- $from := .from | default dict -}}
{{- range .keys -}}
{{- /* Zero, false and empty are values; only null is not. */ -}}
{{- if not (kindIs "invalid" (get $from .)) -}}
{{- if hasKey $from . -}}{{- $_ := set $out . (get $from .) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{- /*
chart_basico.text: a value as text, integers in full (Helm reads 20250811 as 2.0250811e+07).
In: string, number or boolean. Out: text.
*/ -}}
{{- define "chart_basico.text" -}}
{{- if kindIs "float64" . -}}
{{- if eq (floor .) . -}}{{- printf "%.0f" . -}}{{- else -}}{{- toString . -}}{{- end -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{- /*
chart_basico.names: the keys of a map whose entries are not null, in printing order: by the
entry's own `order` (default 0), then by name. A null entry removes one that a lower layer set.
In: map. Out: JSON list.
*/ -}}
{{- define "chart_basico.names" -}}
{{- $orders := list -}}
{{- $map := . | default dict -}}
{{- range $name, $entry := $map -}}
{{- if not (kindIs "invalid" $entry) -}}
{{- $order := 0 -}}
{{- if kindIs "map" $entry -}}{{- $order = int (get $entry "order" | default 0) -}}{{- end -}}
{{- /* Shifted, so that negative numbers sort as text too. */ -}}
{{- $orders = append $orders (printf "%011d %s" (add $order 1000000000) $name) -}}
{{- end -}}
{{- end -}}
{{- $names := list -}}
{{- range sortAlpha $orders -}}{{- $names = append $names (substr 12 -1 .) -}}{{- end -}}
{{- toJson $names -}}
{{- end -}}

{{- /*
chart_basico.document: one object as a YAML document, without the nulls by which a layer removed
something. No newline may follow it: Helm 4 would keep it as a blank line.
In: map.
*/ -}}
{{- define "chart_basico.document" -}}
{{- $object := . -}}
{{- if contains ":null" (toJson .) -}}
{{- $object = include "chart_basico.compact" . | fromJson -}}
{{- end -}}
{{- printf "\n---\n%s" (toYaml $object) -}}
{{- end -}}

{{- /* chart_basico.compact: a map without its null entries, at any depth. In: map. Out: JSON map. */ -}}
{{- define "chart_basico.compact" -}}
{{- $out := dict -}}
{{- range $key, $value := . -}}
{{- if kindIs "map" $value -}}
{{- $_ := set $out $key (include "chart_basico.compact" $value | fromJson) -}}
{{- else if kindIs "slice" $value -}}
{{- $items := list -}}
{{- range $value -}}
{{- if kindIs "map" . -}}
{{- $items = append $items (include "chart_basico.compact" . | fromJson) -}}
{{- else -}}
{{- $items = append $items . -}}
{{- end -}}
{{- end -}}
{{- $_ := set $out $key $items -}}
{{- else if not (kindIs "invalid" $value) -}}
{{- $_ := set $out $key $value -}}
{{- end -}}
{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{- /*
chart_basico.policy: a traffic policy of Istio's without what a layer removed, and without an empty connection pool: it says
nothing, and server-side apply makes null of an object that is emptied. In: map, may be absent. Out: JSON map.
*/ -}}
{{- define "chart_basico.policy" -}}
{{- $policy := include "chart_basico.compact" . | fromJson -}}
{{- $pool := $policy.connectionPool | default dict -}}
{{- range $part := list "http" "tcp" -}}
{{- if not (get $pool $part) -}}{{- $_ := unset $pool $part -}}{{- end -}}
{{- end -}}
{{- if not $pool -}}{{- $_ := unset $policy "connectionPool" -}}{{- end -}}
{{- toJson $policy -}}
{{- end -}}
