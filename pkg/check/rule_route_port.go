package check

import (
	"fmt"
	"slices"

	"chartbasico/pkg/problem"
)

var ruleRoutePort = rule{"route-port", "Every port that a route sends to is one of its host; a host of several ports is sent to by number.", environmentScope, func(m *model) (out problem.List) {
	for _, o := range m.virtualServices() {
		for _, d := range slices.Concat(destinations(o)...) {
			s := m.resolve(d.host, o.GetNamespace())
			switch {
			case s == nil:
			case d.port == 0 && len(s.ports) > 1:
				out = append(out, o.problem(d.path+".destination.port", "no port, and host "+d.host+" has several", "one of "+s.portNumbers(), "set the port"))
			case d.port != 0 && !s.has(d.port):
				out = append(out, o.problem(d.path+".destination.port.number", fmt.Sprint(d.port), "a port of "+s.id+": "+s.portNumbers(), "correct the port"))
			}
		}
	}
	return out
}}
