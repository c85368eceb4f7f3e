package check

import "chartbasico/pkg/problem"

var ruleVersionLabel = rule{"version-label", "Pods that serve an app say which version they are.", releaseScope, func(m *model) (out problem.List) {
	for _, p := range m.pods {
		if p.ends || p.labels["version"] != "" || p.labels["app"] == "" {
			continue
		}
		out = append(out, p.style(p.template+".metadata.labels", "pods of app "+p.labels["app"]+" without a version label", "labels app and version", "set version"))
	}
	return out
}}
