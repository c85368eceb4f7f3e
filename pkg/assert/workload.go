package assert

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
	"k8s.io/kubectl/pkg/util/podutils"
)

// JobEnded judges that a Job has succeeded.
func JobEnded(job *batchv1.Job) Judgement {
	got := fmt.Sprintf("%d active, %d succeeded, %d failed pods", job.Status.Active, job.Status.Succeeded, job.Status.Failed)
	complaint := []string{"it has not completed"}
	for _, c := range job.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch c.Type {
		case batchv1.JobComplete:
			complaint = nil
		case batchv1.JobFailed:
			complaint = []string{"it failed: " + c.Reason + " " + c.Message}
		}
	}
	return certain("complete", got, complaint...)
}

// OnEveryNode judges that a DaemonSet has one ready pod on every node that its pods tolerate and select.
func OnEveryNode(spec *corev1.PodSpec, nodes []corev1.Node, pods []*corev1.Pod) Judgement {
	var complaints []string
	wanted := map[string]bool{}
	for i := range nodes {
		n := &nodes[i]
		fits, err := nodeaffinity.GetRequiredNodeAffinity(&corev1.Pod{Spec: *spec}).Match(n)
		if err != nil {
			return certain("a ready pod on every node", "not known", err.Error())
		}
		if fits && tolerated(spec, n) {
			wanted[n.Name] = true
		}
	}
	ready := map[string]int{}
	for _, p := range pods {
		if podutils.IsPodReady(p) {
			ready[p.Spec.NodeName]++
		}
	}
	for _, n := range slices.Sorted(maps.Keys(wanted)) {
		if ready[n] != 1 {
			complaints = append(complaints, fmt.Sprintf("Node/%s has %s that are ready, expected 1", n, number(ready[n], "pod")))
		}
	}
	if len(wanted) == 0 {
		complaints = append(complaints, "no node is one that its pods tolerate and select")
	}
	return certain(fmt.Sprintf("a ready pod on each of %s", number(len(wanted), "node")), fmt.Sprintf("%s ready", number(len(ready), "node")), complaints...)
}

func tolerated(spec *corev1.PodSpec, n *corev1.Node) bool {
	_, untolerated := schedulingv1.FindMatchingUntoleratedTaint(klog.Background(), n.Spec.Taints, spec.Tolerations, func(t *corev1.Taint) bool {
		// The controller tolerates for its pods what says that a node is not well.
		return t.Effect != corev1.TaintEffectPreferNoSchedule && !strings.HasPrefix(t.Key, "node.kubernetes.io/")
	}, false)
	return !untolerated
}

// SameVolumes judges that a pod's claims are bound to the same volumes as those of its predecessor, of which there was
// one or more.
func SameVolumes(before, after map[string]string) Judgement {
	var complaints []string
	if len(before) == 0 {
		complaints = append(complaints, "there was no claim, so nothing could stay")
	}
	for claim, volume := range before {
		if volume == "" {
			complaints = append(complaints, claim+" was bound to nothing")
		}
	}
	if !maps.Equal(before, after) {
		complaints = append(complaints, fmt.Sprintf("found %s, expected %s", bindings(after), bindings(before)))
	}
	return certain("a new pod with the volumes of the old one", bindings(after), complaints...)
}

func bindings(of map[string]string) string {
	var all []string
	for _, claim := range slices.Sorted(maps.Keys(of)) {
		all = append(all, claim+" → "+of[claim])
	}
	return strings.Join(all, ", ")
}

// SidecarsReady judges that the sidecar of each pod has started and is ready.
func SidecarsReady(pods []*corev1.Pod) Judgement {
	var complaints []string
	for _, p := range pods {
		i := slices.IndexFunc(statuses(p), func(s corev1.ContainerStatus) bool { return s.Name == proxyContainer })
		switch {
		case i < 0:
			complaints = append(complaints, fmt.Sprintf("Pod/%s/%s has no %s that has begun", p.Namespace, p.Name, proxyContainer))
		case !statuses(p)[i].Ready:
			complaints = append(complaints, fmt.Sprintf("%s of Pod/%s/%s is not ready", proxyContainer, p.Namespace, p.Name))
		}
	}
	return certain("each one ready", fmt.Sprintf("%d of %d", len(pods)-len(complaints), len(pods)), complaints...)
}

func statuses(p *corev1.Pod) []corev1.ContainerStatus {
	return slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses)
}

// HungUp judges that every connection to a host was made and then ended by it without an answer, as mutual TLS does to
// those who speak plainly. failures is errors by reason. A request that went nowhere proves nothing.
func HungUp(host string, requests, errors int, failures map[string]int) Judgement {
	j := Refused(host, requests, errors, failures)
	for _, reason := range slices.Sorted(maps.Keys(failures)) {
		if reason != "connection reset" && reason != "connection closed" {
			j.Pass, j.PValue = false, 0
			j.Why = strings.TrimPrefix(j.Why+"; not refused by "+host+" itself: "+reason, "; ")
		}
	}
	return j
}
