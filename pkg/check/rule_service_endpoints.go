package check

import (
	"maps"
	"slices"
	"strings"

	"chartbasico/pkg/problem"
)

var ruleServiceEndpoints = rule{"service-endpoints", "A Service selects the pods of some workload.", environmentScope, func(m *model) (out problem.List) {
	for _, name := range m.names {
		s := m.services[name]
		if len(s.selector) == 0 || len(s.pods) > 0 || text(s.Object, "spec", "type") == "ExternalName" {
			continue
		}
		out = append(out, s.style("spec.selector", "no workload's pods have the labels "+labels(s.selector), "pods in namespace "+s.GetNamespace()+" with these labels", "add a workload release of the app, or correct the selector"))
	}
	return out
}}

func labels(m map[string]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, k+"="+m[k])
	}
	return strings.Join(out, ",")
}
