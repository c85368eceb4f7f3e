package check

import (
	"fmt"
	"slices"

	"chartbasico/pkg/problem"
)

// An autoscaler does not raise what is set to none: that switches it off.
var ruleWeightedPods = rule{"weighted-pods", "A version that gets requests has pods.", environmentScope, func(m *model) (out problem.List) {
	for _, o := range m.virtualServices() {
		for _, route := range destinations(o) {
			for _, d := range route {
				serving := m.serving(d)
				if d.weight == 0 && (d.weighted || len(route) > 1) || d.mirrors() || len(serving) == 0 ||
					slices.ContainsFunc(serving, func(p pods) bool { return !p.none() }) {
					continue
				}
				share := "all requests"
				if len(route) > 1 || d.weighted {
					share = fmt.Sprintf("%d%% of the requests", d.weight)
				}
				wrong := o.problem(d.path, share+" to subset "+problem.Quote(d.subset)+", of which "+serving[0].id+" has replicas: 0", "a version with pods", "raise its replicas, or send it nothing")
				wrong.Severity = problem.Warning // as somebody may scale it by hand
				out = append(out, wrong)
			}
		}
	}
	return out
}}

// serving are the workloads whose pods are of the subset that a place names; none where it names none.
func (m *model) serving(d destination) (out []pods) {
	s := m.to(d)
	if s == nil || d.subset == "" {
		return nil
	}
	for _, rule := range m.destinationRules(s) {
		for _, subset := range list(rule.Object, "spec", "subsets") {
			if text(subset, "name") != d.subset {
				continue
			}
			for _, p := range s.pods {
				if !p.ends && contains(p.labels, stringMap(subset["labels"])) {
					out = append(out, p)
				}
			}
		}
	}
	return out
}

// none says whether the workload is to have no pods.
func (p pods) none() bool {
	n, ok := number(p.Object, "spec", "replicas")
	return ok && n == 0
}
