package check

import "chartbasico/pkg/problem"

var ruleServiceJob = rule{"service-job", "A Service does not select pods that end.", releaseScope, func(m *model) (out problem.List) {
	for _, name := range m.names {
		s := m.services[name]
		for _, p := range s.pods {
			if p.ends {
				out = append(out, s.style("spec.selector", "it selects the pods of "+p.id+", which end", "pods that serve without end", "give the job another app"))
			}
		}
	}
	return out
}}
