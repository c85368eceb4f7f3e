package check

import (
	"slices"

	"chartbasico/pkg/problem"
)

var ruleServicePort = rule{"service-port", "Each port of a Service leads to a port of the containers that it selects.", releaseScope, func(m *model) (out problem.List) {
	for _, name := range m.names {
		s := m.services[name]
		for _, port := range s.ports {
			listens := func(p pods) bool { return !p.ends && p.listens(port.target, port.transport) }
			target := problem.Quote(port.target)
			_, named := port.target.(string) // of numbers Kubernetes asks no container
			if named {
				target = ofTransport(target, port.transport)
			}
			nobody := named && !slices.ContainsFunc(s.pods, listens)
			for _, p := range s.pods {
				if p.ends || listens(p) {
					continue
				}
				wrong := s.style(port.path+".targetPort", "no container of "+p.id+" has the port "+target, "one of "+p.portNames(), "correct the Service's targetPort or the container's ports")
				if nobody {
					wrong.Severity = problem.Error
				}
				out = append(out, wrong)
			}
		}
	}
	return out
}}
