package check

import (
	"strings"

	"chartbasico/pkg/problem"
)

var ruleExposedOnce = rule{"exposed-once", "A host and path from outside lead to one place: of two Ingresses or Routes that claim them, one loses.", environmentScope, func(m *model) (out problem.List) {
	type claim struct{ class, host, path string }
	first := map[claim]object{}
	claims := func(o object, path string, c claim) {
		if other, ok := first[c]; ok && other.id != o.id {
			where := c.path
			if c.host != "" {
				where = c.host + c.path
			}
			out = append(out, o.problem(path, where+", which "+other.id+" has already", "each host and path once", "change the host or the path of one of the two: "+other.file()+" or "+o.file()))
			return
		}
		first[c] = o
	}
	for _, o := range m.objects {
		group, _, _ := strings.Cut(o.GetAPIVersion(), "/")
		switch group + "/" + o.GetKind() {
		case "networking.k8s.io/Ingress":
			for i, r := range list(o.Object, "spec", "rules") {
				for j, p := range list(r, "http", "paths") {
					claims(o, at(at("spec.rules", i)+".http.paths", j)+".path", claim{"Ingress " + text(o.Object, "spec", "ingressClassName"), text(r, "host"), text(p, "path")})
				}
			}
		case "route.openshift.io/Route":
			claims(o, "spec.host", claim{"Route", text(o.Object, "spec", "host"), text(o.Object, "spec", "path")})
		}
	}
	return out
}}
