package assert

import (
	"testing"

	"github.com/stretchr/testify/assert"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestJobEnded(t *testing.T) {
	t.Parallel()
	job := func(kind batchv1.JobConditionType) *batchv1.Job {
		return &batchv1.Job{Status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{{Type: kind, Status: corev1.ConditionTrue, Reason: "Why"}}}}
	}
	assert.True(t, JobEnded(job(batchv1.JobComplete)).Pass)
	assert.Equal(t, "it failed: Why ", JobEnded(job(batchv1.JobFailed)).Why)
	assert.Equal(t, "it has not completed", JobEnded(&batchv1.Job{}).Why)
}

func TestOnEveryNode(t *testing.T) {
	t.Parallel()
	node := func(name string, taints ...corev1.Taint) corev1.Node {
		return corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"disk": name}}, Spec: corev1.NodeSpec{Taints: taints}}
	}
	control := node("a", corev1.Taint{Key: "node-role.kubernetes.io/control-plane", Effect: corev1.TaintEffectNoSchedule})
	unwell := node("b", corev1.Taint{Key: "node.kubernetes.io/not-ready", Effect: corev1.TaintEffectNoSchedule})
	pod := func(node string, ready corev1.ConditionStatus) *corev1.Pod {
		return &corev1.Pod{Spec: corev1.PodSpec{NodeName: node}, Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}}}
	}
	everywhere := corev1.PodSpec{Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}}}
	for name, c := range map[string]struct {
		spec  corev1.PodSpec
		nodes []corev1.Node
		pods  []*corev1.Pod
		why   string
	}{
		"both":                   {everywhere, []corev1.Node{control, unwell}, []*corev1.Pod{pod("a", "True"), pod("b", "True")}, ""},
		"one is missing":         {everywhere, []corev1.Node{control, unwell}, []*corev1.Pod{pod("a", "True")}, "Node/b has 0 pods that are ready, expected 1"},
		"one is not ready":       {everywhere, []corev1.Node{control}, []*corev1.Pod{pod("a", "False")}, "Node/a has 0 pods that are ready, expected 1"},
		"two on one":             {everywhere, []corev1.Node{control}, []*corev1.Pod{pod("a", "True"), pod("a", "True")}, "Node/a has 2 pods that are ready, expected 1"},
		"a taint not tolerated":  {corev1.PodSpec{}, []corev1.Node{control, unwell}, []*corev1.Pod{pod("b", "True")}, ""},
		"a node not selected":    {corev1.PodSpec{NodeSelector: map[string]string{"disk": "b"}}, []corev1.Node{control, unwell}, []*corev1.Pod{pod("b", "True")}, ""},
		"nothing that it can be": {corev1.PodSpec{}, []corev1.Node{control}, nil, "no node is one that its pods tolerate and select"},
		"a taint tolerated by its value": {corev1.PodSpec{Tolerations: []corev1.Toleration{{Key: "node-role.kubernetes.io/control-plane", Effect: corev1.TaintEffectNoSchedule}}},
			[]corev1.Node{control}, nil, "Node/a has 0 pods that are ready, expected 1"},
		"a taint of another value": {corev1.PodSpec{Tolerations: []corev1.Toleration{{Key: "node-role.kubernetes.io/control-plane", Value: "x"}}},
			[]corev1.Node{control}, nil, "no node is one that its pods tolerate and select"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := OnEveryNode(&c.spec, c.nodes, c.pods)
			assert.Equal(t, c.why, j.Why)
			assert.Equal(t, c.why == "", j.Pass)
		})
	}
}

func TestSameVolumes(t *testing.T) {
	t.Parallel()
	before := map[string]string{"data-db-0": "pv-1"}
	assert.True(t, SameVolumes(before, map[string]string{"data-db-0": "pv-1"}).Pass)
	assert.Equal(t, "found data-db-0 → pv-2, expected data-db-0 → pv-1", SameVolumes(before, map[string]string{"data-db-0": "pv-2"}).Why)
	assert.Equal(t, "there was no claim, so nothing could stay", SameVolumes(nil, nil).Why)
	unbound := map[string]string{"data-db-0": ""}
	assert.Equal(t, "data-db-0 was bound to nothing", SameVolumes(unbound, unbound).Why)
}

func TestSidecarsReady(t *testing.T) {
	t.Parallel()
	pod := func(statuses ...corev1.ContainerStatus) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "a"}, Status: corev1.PodStatus{InitContainerStatuses: statuses}}
	}
	ready := pod(corev1.ContainerStatus{Name: "istio-proxy", Ready: true})
	assert.True(t, SidecarsReady([]*corev1.Pod{ready}).Pass)
	j := SidecarsReady([]*corev1.Pod{ready, pod(corev1.ContainerStatus{Name: "istio-proxy"}), pod()})
	assert.Equal(t, "istio-proxy of Pod/shop/a is not ready; Pod/shop/a has no istio-proxy that has begun", j.Why)
	assert.Equal(t, "1 of 3", j.Got)
}

func TestHungUp(t *testing.T) {
	t.Parallel()
	assert.True(t, HungUp("cart", 10, 10, map[string]int{"connection reset": 6, "connection closed": 4}).Pass)
	assert.Equal(t, "1 request reached cart, expected none", HungUp("cart", 10, 9, map[string]int{"connection reset": 9}).Why)
	assert.Equal(t, "not refused by cart itself: connection refused", HungUp("cart", 10, 10, map[string]int{"connection refused": 10}).Why)
	assert.False(t, HungUp("cart", 0, 0, nil).Pass)
}
