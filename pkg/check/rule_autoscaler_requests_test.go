package check

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"chartbasico/pkg/render"
)

func TestAutoscalerRequests(t *testing.T) {
	const some = "resources: {requests: {cpu: 100m}}"
	for name, c := range map[string]struct {
		metrics, pod string
		want         []string
	}{
		"all request it":                   {"", "containers: [{name: a, " + some + "}, {name: b, resources: {limits: {cpu: 1}}}]", nil},
		"one does not":                     {"", "containers: [{name: a, " + some + "}, {name: b, resources: {requests: {memory: 1Gi}}}]", []string{"b"}},
		"a sidecar does not":               {"", "initContainers: [{name: first}, {name: log, restartPolicy: Always}], containers: [{name: a, " + some + "}]", []string{"log"}},
		"the pods do":                      {"", some + ", containers: [{name: a}]", nil},
		"another resource":                 {"[{type: Resource, resource: {name: memory, target: {type: Utilization, averageUtilization: 70}}}]", "containers: [{name: a, " + some + "}]", []string{"a"}},
		"a value is no part":               {"[{type: Resource, resource: {name: cpu, target: {type: AverageValue, averageValue: 1}}}]", "containers: [{name: a}]", nil},
		"one container, which does":        {"[{type: ContainerResource, containerResource: {name: cpu, container: a, target: {type: Utilization, averageUtilization: 70}}}]", "containers: [{name: a, " + some + "}, {name: b}]", nil},
		"one container, whatever the pods": {"[{type: ContainerResource, containerResource: {name: cpu, container: b, target: {type: Utilization, averageUtilization: 70}}}]", some + ", containers: [{name: a}, {name: b}]", []string{"b"}},
	} {
		t.Run(name, func(t *testing.T) {
			text := "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, namespace: n}\nspec: {template: {spec: {" + c.pod + "}}}\n---\n" +
				"apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: a, namespace: n}\nspec: {scaleTargetRef: {kind: Deployment, name: a}, maxReplicas: 6"
			if c.metrics != "" {
				text += ", metrics: " + c.metrics
			}
			m := newModel([]*render.Release{rendered(t, "n/a", text+"}")})
			got := ruleAutoscalerRequests.check(m)
			if c.want == nil {
				assert.Empty(t, got)
				return
			}
			assert.Len(t, got, 1)
			for _, name := range c.want {
				assert.Contains(t, got[0].Fix, " of "+name)
			}
		})
	}
}
