package check

import (
	"slices"
	"strings"

	"chartbasico/pkg/problem"
)

var ruleRouteHost = rule{"route-host", "Every host that a route sends to is a Service or a declared external host.", environmentScope, func(m *model) (out problem.List) {
	for _, o := range m.objects {
		for _, d := range slices.Concat(routes(o)...) {
			if m.to(d) == nil {
				out = append(out, m.missing(o, d.hostPath, "host "+problem.Quote(d.host), d.host))
			}
		}
	}
	return out
}}

// missing is the problem with an object that names a host which means nothing in its namespace.
func (m *model) missing(o object, path, found, host string) Problem {
	namespace := o.GetNamespace()
	if entries := m.entries[host]; len(entries) > 0 && m.outside(host, namespace) == nil {
		return o.problem(path, found+", which "+entries[0].id+" does not export to namespace "+namespace, "a host that is declared for it", "declare it in this namespace too, or name the namespace in exportTo")
	}
	if entry := m.outside(host, namespace); entry != nil && !strings.Contains(host, ".") {
		return o.problem(path, found+", which is no Service in namespace "+namespace+": "+entry.id+" declares it, but a route's host of one word is always a Service of its namespace", "a host that exists", "declare the host by a name with a dot and write that, or add a release with that Service")
	}
	return o.problem(path, found+", which is no Service in namespace "+namespace+" and no declared external host", "a host that exists", m.nearHost(host, namespace))
}

func (m *model) nearHost(host, namespace string) string {
	if s := m.named(host, namespace); s != nil {
		return "write " + s.host
	}
	if near := m.nearService(host, namespace); near != "" {
		return "write " + near
	}
	return "add a release with that Service, or an egress host"
}
