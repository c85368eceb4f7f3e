package check

import (
	"slices"
	"strings"

	"chartbasico/pkg/problem"
)

var ruleAutoscalerRequests = rule{"autoscaler-requests", "Where an autoscaler goes by utilization, a part of what is requested, every container says what it requests: else it never scales.", environmentScope, func(m *model) (out problem.List) {
	for _, o := range m.objects {
		group, _, _ := strings.Cut(o.GetAPIVersion(), "/")
		if group != "autoscaling" || o.GetKind() != "HorizontalPodAutoscaler" {
			continue
		}
		target := slices.IndexFunc(m.pods, func(p pods) bool {
			return p.GetNamespace() == o.GetNamespace() && p.GetKind() == text(o.Object, "spec", "scaleTargetRef", "kind") && p.GetName() == text(o.Object, "spec", "scaleTargetRef", "name")
		})
		if target < 0 {
			continue
		}
		for _, u := range utilizations(o) {
			lacking := m.pods[target].withoutRequest(u)
			if len(lacking) == 0 {
				continue
			}
			wrong := o.problem(u.path, "utilization of "+u.resource+", of which "+strings.Join(lacking, ", ")+" in "+m.pods[target].id+" requests nothing",
				"a request of it in every container, without which the autoscaler never scales", "set resources.requests."+u.resource+" of "+strings.Join(lacking, ", "))
			wrong.Severity = problem.Warning // as a LimitRange of the namespace may say it
			out = append(out, wrong)
		}
	}
	return out
}}

// utilization is a part of what pods request, or one of their containers does.
type utilization struct{ path, resource, container string }

// utilizations are those that an autoscaler goes by; cpu, where it says nothing.
func utilizations(o object) []utilization {
	metrics := list(o.Object, "spec", "metrics")
	if len(metrics) == 0 {
		return []utilization{{path: "spec.metrics", resource: "cpu"}}
	}
	var out []utilization
	for i, m := range metrics {
		for _, field := range []string{"resource", "containerResource"} {
			if text(m, field, "target", "type") == "Utilization" {
				out = append(out, utilization{at("spec.metrics", i) + "." + field, text(m, field, "name"), text(m, field, "container")})
			}
		}
	}
	return out
}

// withoutRequest are the containers that run along with the pods and request nothing of the resource. A limit is a request too,
// and the pods may have one for all.
func (p pods) withoutRequest(u utilization) (names []string) {
	says := func(of map[string]any) bool {
		for _, field := range []string{"requests", "limits"} {
			resources, _ := of["resources"].(map[string]any)
			amounts, _ := resources[field].(map[string]any)
			if amounts[u.resource] != nil {
				return true
			}
		}
		return false
	}
	if u.container == "" && says(p.spec) {
		return nil
	}
	sidecars := slices.DeleteFunc(list(p.spec, "initContainers"), func(c map[string]any) bool { return text(c, "restartPolicy") != "Always" })
	for _, c := range append(list(p.spec, "containers"), sidecars...) {
		if name := text(c, "name"); (u.container == "" || u.container == name) && !says(c) {
			names = append(names, name)
		}
	}
	return names
}
