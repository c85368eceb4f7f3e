package check

import (
	"slices"
	"strings"

	"istio.io/istio/pkg/config/resource"
	"istio.io/istio/pkg/config/schema/gvk"
	corev1 "k8s.io/api/core/v1"

	"chartbasico/internal/nearest"
	"chartbasico/pkg/problem"
)

// elsewhere makes a warning of a Gateway whose selector finds no pods, as a platform's gateways may be of no environment, and
// names those that are there, one of which may be meant.
func (c *analysisContext) elsewhere(p *Problem, selector string) {
	var there []string
	c.ForEach(gvk.Pod, func(r *resource.Instance) bool {
		pod, ok := r.Message.(*corev1.PodSpec)
		if !ok || !slices.ContainsFunc(pod.Containers, func(c corev1.Container) bool { return c.Name == "istio-proxy" }) {
			return true // a sidecar is an init container here
		}
		of := labels(r.Metadata.Labels)
		if name, ok := r.Metadata.Labels["istio"]; ok {
			of = "istio=" + name
		}
		if !slices.Contains(there, of) {
			there = append(there, of)
		}
		return true
	})
	slices.Sort(there)
	p.Severity, p.Path = problem.Warning, "spec.selector"
	p.Expected = "the labels of a gateway's pods: " + strings.Join(there, " or ") + " here, or those of one that others run"
	if near := nearest.Word(selector, there); near != "" {
		p.Fix = "write " + near
	}
}
