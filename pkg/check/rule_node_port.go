package check

import (
	"fmt"

	"chartbasico/pkg/problem"
)

// A number is one Service's, whatever the protocol; ports of that Service with the same number share it.
var ruleNodePort = rule{"node-port", "A port of the nodes is one Service's, and in the range that the API server gives out.", releaseScope, func(m *model) (out problem.List) {
	type owner struct {
		*service
		port int64
	}
	first := map[int64]owner{}
	for _, name := range m.names {
		s := m.services[name]
		for i, p := range list(s.Object, "spec", "ports") {
			n, _ := number(p, "nodePort")
			if n == 0 {
				continue
			}
			path := at("spec.ports", i) + ".nodePort"
			own, _ := number(p, "port")
			if have, ok := first[n]; ok && (have.service != s || have.port != own) {
				out = append(out, s.problem(path, fmt.Sprintf("%d, which %s has already", n, have.id), "a port of the nodes that is free", "choose another, or leave it out, and the API server chooses one"))
				continue
			}
			first[n] = owner{s, own}
			if n < 30000 || n > 32767 {
				wrong := s.problem(path, fmt.Sprint(n), "one of 30000 to 32767, unless the API server has another --service-node-port-range", "choose another, or leave it out, and the API server chooses one")
				wrong.Severity = problem.Warning
				out = append(out, wrong)
			}
		}
	}
	return out
}}
