package check

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"chartbasico/pkg/problem"
)

// Those of several namespaces are not merged: that of the caller's holds, or else that of the host's.
var ruleOneDestinationRule = rule{"one-destinationrule", "A host has one DestinationRule in a namespace: Istio merges several in an order that nobody chose.", releaseScope, func(m *model) (out problem.List) {
	type rule struct{ namespace, host string }
	first := map[rule]object{}
	for _, o := range m.objects {
		if selector, _, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "workloadSelector"); o.GetKind() != "DestinationRule" || selector != nil {
			continue // one for some pods is not merged
		}
		host := text(o.Object, "spec", "host")
		s := m.resolve(host, o.GetNamespace())
		if s == nil || s.platform { // each egress has subsets of its own for the gateway
			continue
		}
		if !s.entry { // a host of a wildcard's is its own
			host = s.host
		}
		key := rule{o.GetNamespace(), host}
		other, ok := first[key]
		switch {
		case !ok:
			first[key] = o
		case other.id != o.id: // the same twice is another rule's
			out = append(out, o.problem("spec.host", text(o.Object, "spec", "host")+" has "+other.id+" already", "one DestinationRule for a host", "merge the two"))
		}
	}
	return out
}}
