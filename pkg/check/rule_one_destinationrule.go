package check

import "chartbasico/pkg/problem"

var ruleOneDestinationRule = rule{"one-destinationrule", "A host has one DestinationRule: Istio merges several in an order that nobody chose.", releaseScope, func(m *model) (out problem.List) {
	first := map[*service]object{}
	for _, o := range m.objects {
		if o.GetKind() != "DestinationRule" || o.Object["spec"] == nil || len(list(o.Object, "spec", "workloadSelector")) > 0 {
			continue
		}
		s := m.resolve(text(o.Object, "spec", "host"), o.GetNamespace())
		if s == nil || s.platform { // each egress has subsets of its own for the gateway
			continue
		}
		if other, ok := first[s]; ok {
			if other.id != o.id { // the same twice is another rule's
				out = append(out, o.problem("spec.host", text(o.Object, "spec", "host")+" has "+other.id+" already", "one DestinationRule for a host", "merge the two"))
			}
			continue
		}
		first[s] = o
	}
	return out
}}
