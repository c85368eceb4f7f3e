package check

import (
	"slices"

	"chartbasico/pkg/problem"
)

// What holds in the mesh alone does not hold at a gateway, and an Ingress or a Route knows nothing of it.
var ruleDividedOutside = rule{"divided-outside", "Where a route divides the requests to a Service in the mesh, those who come from outside are divided as well.", environmentScope, func(m *model) (out problem.List) {
	divided := map[*service]object{}
	for _, o := range m.virtualServices() {
		gateways, ok := stringList(o.Object, "spec", "gateways")
		if ok && !slices.Contains(gateways, "mesh") || !m.divides(destinations(o)) {
			continue
		}
		hosts, _ := stringList(o.Object, "spec", "hosts")
		for _, host := range hosts {
			if s := m.resolve(host, o.GetNamespace()); s != nil {
				divided[s] = o
			}
		}
	}
	for _, o := range m.objects {
		all := routes(o)
		if !outside(o) || m.divides(all) {
			continue
		}
		for _, d := range slices.Concat(all...) {
			s := m.to(d)
			mesh, ok := divided[s]
			if s == nil || !ok || d.mirrors() {
				continue
			}
			wrong := o.problem(d.hostPath, "all of "+s.id+", whose requests "+mesh.id+" divides in the mesh alone", "the same weights for those who come from outside",
				"put exposure and routing into one values file, with a kind of exposure that has weights")
			wrong.Severity = problem.Warning // as somebody may mean it
			out = append(out, wrong)
			break
		}
	}
	return out
}}

// divides says whether a route names several places, or one version where there are others.
func (m *model) divides(routes [][]destination) bool {
	return slices.ContainsFunc(routes, func(route []destination) bool {
		return len(route) > 1 || slices.ContainsFunc(route, m.leavesOut)
	})
}

// leavesOut says whether a place is a subset, and its Service has pods that are not of it.
func (m *model) leavesOut(d destination) bool {
	s := m.to(d)
	if s == nil || d.subset == "" {
		return false
	}
	for _, rule := range m.destinationRules(s) {
		for _, subset := range list(rule.Object, "spec", "subsets") {
			if text(subset, "name") == d.subset {
				want := stringMap(subset["labels"])
				return slices.ContainsFunc(s.pods, func(p pods) bool { return !p.ends && !contains(p.labels, want) })
			}
		}
	}
	return false
}

// outside says whether an object leads requests from outside to their Service.
func outside(o object) bool {
	if o.GetKind() == "VirtualService" {
		gateways, _ := stringList(o.Object, "spec", "gateways")
		return slices.ContainsFunc(gateways, func(name string) bool { return name != "mesh" })
	}
	parents := list(o.Object, "spec", "parentRefs")
	return len(parents) == 0 || slices.ContainsFunc(parents, func(ref map[string]any) bool { return text(ref, "kind") != "Service" })
}
