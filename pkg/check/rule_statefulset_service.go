package check

import "chartbasico/pkg/problem"

// Pods without a port need no name, and Kubernetes lets them run without that Service.
var ruleStatefulSetService = rule{"statefulset-service", "The Service that a StatefulSet names is there for its pods, and headless: else they have no DNS names of their own.", environmentScope, func(m *model) (out problem.List) {
	for _, p := range m.pods {
		name := text(p.Object, "spec", "serviceName")
		if p.GetKind() != "StatefulSet" || name == "" || len(p.ports()) == 0 {
			continue
		}
		add := func(found, fix string) {
			wrong := p.problem("spec.serviceName", found, "a headless Service that selects its pods, which have no DNS names of their own otherwise", fix)
			wrong.Severity = problem.Warning // as they may need none
			out = append(out, wrong)
		}
		s := m.services[p.GetNamespace()+"/"+name]
		switch {
		case s == nil:
			fix := "add a release with that Service, with clusterIP: None"
			if near := m.nearService(name, p.GetNamespace()); near != "" {
				fix = "write " + near
			}
			add(problem.Quote(name)+", which is no Service in namespace "+p.GetNamespace(), fix)
		case len(s.selector) > 0 && !contains(p.labels, s.selector):
			add(s.id+", which selects "+labels(s.selector)+" and so none of its pods", "name the Service of these pods")
		case text(s.Object, "spec", "clusterIP") != "None":
			add(s.id+", which is not headless", "name another Service, with clusterIP: None; that of one that is installed cannot change")
		}
	}
	return out
}}
