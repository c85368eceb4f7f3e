package check

import (
	"slices"

	"chartbasico/pkg/problem"
)

var ruleRouteHost = rule{"route-host", "Every host that a route sends to is a Service or a declared external host.", environmentScope, func(m *model) (out problem.List) {
	for _, o := range m.objects {
		for _, d := range slices.Concat(routes(o)...) {
			if m.to(d) == nil {
				out = append(out, o.problem(d.hostPath, "host "+problem.Quote(d.host)+", which is no Service in namespace "+o.GetNamespace()+" and no declared external host", "a host that exists", m.nearHost(d.host, o.GetNamespace())))
			}
		}
	}
	return out
}}

func (m *model) nearHost(host, namespace string) string {
	if s := m.named(host, namespace); s != nil {
		return "write " + s.host
	}
	if near := m.nearService(host, namespace); near != "" {
		return "write " + near
	}
	return "add a release with that Service, or an egress host"
}
