package check

import "chartbasico/pkg/problem"

var ruleServicePort = rule{"service-port", "Each port of a Service leads to a port of the containers that it selects.", releaseScope, func(m *model) (out problem.List) {
	for _, name := range m.names {
		s := m.services[name]
		for _, port := range s.ports {
			for _, p := range s.pods {
				if !p.ends && !p.listens(port.target) {
					out = append(out, s.problem(port.path+".targetPort", "no container of "+p.id+" has the port "+problem.Quote(port.target), "one of "+p.portNames(), "correct the Service's targetPort or the container's ports"))
				}
			}
		}
	}
	return out
}}
