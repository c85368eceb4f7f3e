package check

import (
	"slices"
	"strings"

	"chartbasico/pkg/problem"
)

var ruleRouteSubset = rule{"route-subset", "Every subset that a route sends to is defined by a DestinationRule of its host.", environmentScope, func(m *model) (out problem.List) {
	for _, o := range m.virtualServices() {
		for _, d := range slices.Concat(destinations(o)...) {
			s := m.to(d)
			if s == nil || d.subset == "" {
				continue
			}
			defined := false
			for _, dr := range m.destinationRules(s) {
				for _, subset := range list(dr.Object, "spec", "subsets") {
					defined = defined || text(subset, "name") == d.subset
				}
			}
			if !defined {
				out = append(out, o.problem(strings.TrimSuffix(d.hostPath, "host")+"subset", "subset "+problem.Quote(d.subset)+", which no DestinationRule of host "+d.host+" defines", "a defined subset", "add the version to the routing of "+d.host))
			}
		}
	}
	return out
}}
