package check

import (
	"slices"
	"strings"

	"chartbasico/pkg/problem"
)

var ruleRoutePort = rule{"route-port", "Every port that a route sends to is one of its host; a host of several ports is sent to at one that is named.", environmentScope, func(m *model) (out problem.List) {
	for _, o := range m.objects {
		for _, d := range slices.Concat(routes(o)...) {
			s := m.to(d)
			switch {
			case s == nil:
			case d.port == nil && len(s.ports) > 1:
				out = append(out, o.problem(strings.TrimSuffix(d.portPath, ".number"), "no port, and host "+d.host+" has several", "one of "+s.portList(), "set the port"))
			case d.port != nil && !s.has(d.port):
				out = append(out, o.problem(d.portPath, problem.Quote(d.port), "a port of "+s.id+": "+s.portList(), "correct the port"))
			}
		}
	}
	return out
}}
