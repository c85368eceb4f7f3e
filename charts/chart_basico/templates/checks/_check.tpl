{{- /*
Rules across fields, which the schema cannot say. A validator is a define that prints one line for
each mistake and nothing else; this one runs them all and fails once, with everything they found.
*/ -}}

{{- /* chart_basico.check: fails if any rule is broken. In: root. Out: nothing. */ -}}
{{- define "chart_basico.check" -}}
{{- $found := "" -}}
{{- range $domain := list "app" "config" "workload" "labels" "containers" "volumes" "claims" "service" "exposure" "access" "namespace" "routing" "egress" -}}
{{- $found = print $found (include (printf "chart_basico.check.%s" $domain) $) -}}
{{- end -}}
{{- with trim $found -}}
{{- $n := splitList "\n" . | len -}}
{{- fail (printf "\n%d mistake%s in the values of release %s:\n%s" $n (ternary "" "s" (eq $n 1)) $.Release.Name .) -}}
{{- end -}}
{{- end -}}

{{- /*
chart_basico.mistake: one line about one mistake.
In: path (in the values), found, allowed, fix. Out: text.
*/ -}}
{{- define "chart_basico.mistake" -}}
{{- printf "- %s: found %s; allowed: %s; fix: %s\n" .path .found .allowed .fix -}}
{{- end -}}

{{- /*
chart_basico.check.text: what becomes text has all its digits: Helm reads numbers as floating point, which has 53 bits
for them. Does not print the number, which may be a secret.
In: path, value.
*/ -}}
{{- define "chart_basico.check.text" -}}
{{- $number := ternary 0.0 (float64 .value) (kindIs "string" .value) -}}
{{- if or (ge $number 9007199254740992.0) (le $number -9007199254740992.0) -}}
{{- include "chart_basico.mistake" (dict
      "path" .path "found" "a number of so many digits that Helm has lost some" "allowed" "text, or a number below 9007199254740992" "fix" "quote it") -}}
{{- end -}}
{{- end -}}

{{- /* chart_basico.check.given: whether a map has a value at a path such as a.b. In: from, path. Out: text, empty for no. */ -}}
{{- define "chart_basico.check.given" -}}
{{- $at := .from | default dict -}}
{{- range splitList "." .path -}}
{{- $at = index ($at | default dict) . -}}
{{- end -}}
{{- if not (kindIs "invalid" $at) -}}yes{{- end -}}
{{- end -}}
