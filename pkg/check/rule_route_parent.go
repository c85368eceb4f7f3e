package check

import (
	"strings"

	"chartbasico/pkg/problem"
)

var ruleRouteParent = rule{"route-parent", "The Gateway that a route of Gateway API names is there, with that listener.", environmentScope, func(m *model) (out problem.List) {
	gateways := map[string]object{}
	namespaces := map[string]bool{}
	for _, o := range m.objects {
		namespaces[o.GetNamespace()] = true
		if o.GetKind() == "Gateway" && strings.HasPrefix(o.GetAPIVersion(), "gateway.networking.k8s.io/") {
			gateways[o.GetNamespace()+"/"+o.GetName()] = o
		}
	}
	for _, o := range m.objects {
		if !strings.HasPrefix(o.GetAPIVersion(), "gateway.networking.k8s.io/") {
			continue
		}
		for i, ref := range list(o.Object, "spec", "parentRefs") {
			namespace := text(ref, "namespace")
			if namespace == "" {
				namespace = o.GetNamespace()
			}
			if kind := text(ref, "kind"); kind != "" && kind != "Gateway" || !namespaces[namespace] {
				continue // a Gateway of a namespace that is not of the environment is someone else's
			}
			name := namespace + "/" + text(ref, "name")
			gateway, ok := gateways[name]
			if !ok {
				out = append(out, o.problem(at("spec.parentRefs", i)+".name", "Gateway "+problem.Quote(text(ref, "name"))+", which is not in namespace "+namespace, "a Gateway that exists", "add the release that makes it, or correct the name"))
				continue
			}
			section := text(ref, "sectionName")
			var names []string
			found := section == ""
			for _, listener := range list(gateway.Object, "spec", "listeners") {
				names = append(names, text(listener, "name"))
				found = found || section == text(listener, "name")
			}
			if !found {
				out = append(out, o.problem(at("spec.parentRefs", i)+".sectionName", problem.Quote(section), "a listener of "+gateway.id+": "+strings.Join(names, ", "), "correct the name"))
			}
		}
	}
	return out
}}
