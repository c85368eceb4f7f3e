package check

import (
	"cmp"
	"strings"

	"chartbasico/pkg/problem"
)

var ruleExposedOnce = rule{"exposed-once", "A host and path from outside lead to one place: of two Ingresses or Routes that claim them, one loses.", environmentScope, func(m *model) (out problem.List) {
	type claim struct{ class, host, path, pathType string }
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
			notes := o.GetAnnotations()
			if notes["nginx.ingress.kubernetes.io/canary"] == "true" {
				continue // it shares the host and path of another on purpose
			}
			class := cmp.Or(text(o.Object, "spec", "ingressClassName"), notes["kubernetes.io/ingress.class"])
			for i, r := range list(o.Object, "spec", "rules") {
				for j, p := range list(r, "http", "paths") {
					claims(o, at(at("spec.rules", i)+".http.paths", j)+".path", claim{"Ingress " + class, text(r, "host"), text(p, "path"), text(p, "pathType")})
				}
			}
		case "route.openshift.io/Route":
			if host := text(o.Object, "spec", "host"); host != "" { // else the router makes one of its own for each
				claims(o, "spec.host", claim{class: "Route", host: host, path: text(o.Object, "spec", "path")})
			}
		}
	}
	return out
}}
