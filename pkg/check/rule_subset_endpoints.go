package check

import (
	"fmt"
	"slices"

	"chartbasico/pkg/problem"
)

var ruleSubsetEndpoints = rule{"subset-endpoints", "Every subset, and so the version of every weight, has pods of a workload release.", environmentScope, func(m *model) (out problem.List) {
	for _, o := range m.objects {
		if o.GetKind() != "DestinationRule" {
			continue
		}
		host := text(o.Object, "spec", "host")
		s := m.resolve(host, o.GetNamespace())
		if s == nil || s.entry || s.platform {
			continue
		}
		for i, subset := range list(o.Object, "spec", "subsets") {
			want := stringMap(subset["labels"])
			if slices.ContainsFunc(s.pods, func(p pods) bool { return !p.ends && contains(p.labels, want) }) {
				continue
			}
			out = append(out, o.problem(fmt.Sprintf("spec.subsets[%d].labels", i), "subset "+problem.Quote(text(subset, "name"))+": no pods of "+s.id+" have "+labels(want), "a workload release of that version", "add the release, or take the version out of the routing"))
		}
	}
	return out
}}

func stringMap(v any) map[string]string {
	m, _ := v.(map[string]any)
	out := make(map[string]string, len(m))
	for k, at := range m {
		out[k], _ = at.(string)
	}
	return out
}
