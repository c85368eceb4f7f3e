package release

import (
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// state is what is known of one object at one moment.
type state struct {
	ready bool
	dead  bool   // it cannot come right without a change, so waiting on is of no use
	seen  string // what was seen, in words
}

func deploymentState(d *appsv1.Deployment) state {
	want, s := ptr.Deref(d.Spec.Replicas, 1), d.Status
	st := state{
		ready: s.ObservedGeneration >= d.Generation && s.UpdatedReplicas == want && s.Replicas == want && s.AvailableReplicas == want,
		seen:  fmt.Sprintf("%d of %d replicas updated, %d available", s.UpdatedReplicas, want, s.AvailableReplicas),
	}
	for _, c := range d.Status.Conditions {
		switch {
		case c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue:
			st.seen += "; " + c.Message
			st.dead = refused(c.Message) && s.ObservedGeneration >= d.Generation
		case c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse && s.ObservedGeneration >= d.Generation:
			st.seen += "; " + c.Message
			st.dead = true
		}
	}
	return st
}

func statefulSetState(s *appsv1.StatefulSet) state {
	want, st := ptr.Deref(s.Spec.Replicas, 1), s.Status
	updated := st.UpdatedReplicas == want
	if s.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
		updated = true // the user deletes pods when it suits; the old ones are as wanted
	} else if r := s.Spec.UpdateStrategy.RollingUpdate; r != nil && ptr.Deref(r.Partition, 0) > 0 {
		updated = st.UpdatedReplicas >= max(0, want-*r.Partition)
	}
	return state{
		ready: st.ObservedGeneration >= s.Generation && st.Replicas == want && st.ReadyReplicas == want && updated,
		seen:  fmt.Sprintf("%d of %d replicas updated, %d ready", st.UpdatedReplicas, want, st.ReadyReplicas),
	}
}

func daemonSetState(d *appsv1.DaemonSet) state {
	s := d.Status
	updated := s.UpdatedNumberScheduled == s.DesiredNumberScheduled || d.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType
	return state{
		ready: s.ObservedGeneration >= d.Generation && updated && s.NumberAvailable == s.DesiredNumberScheduled,
		seen:  fmt.Sprintf("%d of %d pods updated, %d available", s.UpdatedNumberScheduled, s.DesiredNumberScheduled, s.NumberAvailable),
	}
}

func jobState(j *batchv1.Job) state {
	st := state{seen: fmt.Sprintf("%d active, %d succeeded, %d failed pods", j.Status.Active, j.Status.Succeeded, j.Status.Failed)}
	if ptr.Deref(j.Spec.Suspend, false) {
		return state{ready: true, seen: "suspended"}
	}
	for _, c := range j.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch c.Type {
		case batchv1.JobComplete:
			st.ready = true
		case batchv1.JobFailed:
			st.dead = true
			st.seen += "; failed: " + join(": ", c.Reason, c.Message)
		}
	}
	return st
}

// A container that keeps ending is given up after so many restarts, and so long: it may end until what it needs is there.
const (
	crashes  = 3
	crashing = 5 * time.Minute
)

// pulls is after how long an image that could not be pulled is given up: the kubelet has tried twice by then.
const pulls = 20 * time.Second

// podState is what the pod of a workload says about why it is not ready. A pod that is being deleted says nothing.
func podState(p *corev1.Pod) state {
	if p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodSucceeded {
		return state{ready: true}
	}
	var st state
	var seen []string
	longer := func(than time.Duration) bool {
		return p.Status.StartTime != nil && time.Since(p.Status.StartTime.Time) > than
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return state{ready: true}
		}
		if c.Status != corev1.ConditionTrue && (c.Type == corev1.PodScheduled || c.Type == corev1.PodReady || c.Type == corev1.PodInitialized) && (c.Reason != "" || c.Message != "") {
			seen = append(seen, join(": ", fmt.Sprintf("%s %s", c.Type, c.Status), c.Reason, c.Message))
		}
	}
	for _, c := range append(append([]corev1.ContainerStatus{}, p.Status.InitContainerStatuses...), p.Status.ContainerStatuses...) {
		if w := c.State.Waiting; w != nil {
			seen = append(seen, fmt.Sprintf("container %s waits: %s", c.Name, join(": ", w.Reason, w.Message)))
			switch w.Reason {
			case "InvalidImageName", "ErrImageNeverPull":
				st.dead = true
			case "ImagePullBackOff":
				st.dead = st.dead || longer(pulls)
			case "CrashLoopBackOff":
				st.dead = st.dead || c.RestartCount >= crashes && (longer(crashing) || notStarted(c.LastTerminationState.Terminated))
			}
		}
		for _, t := range []*corev1.ContainerStateTerminated{c.State.Terminated, c.LastTerminationState.Terminated} {
			if t != nil && t.ExitCode != 0 {
				seen = append(seen, fmt.Sprintf("container %s ended with exit code %d, %d restarts%s", c.Name, t.ExitCode, c.RestartCount, prefixed("; last words: ", strings.TrimSpace(t.Message))))
				break
			}
		}
	}
	if len(seen) == 0 {
		seen = append(seen, "phase "+string(p.Status.Phase))
	}
	st.seen = strings.Join(seen, "; ")
	return st
}

// notStarted says whether a container ended because its program is not there or cannot be run.
func notStarted(t *corev1.ContainerStateTerminated) bool {
	return t != nil && (t.Reason == "StartError" || t.ExitCode == 126 || t.ExitCode == 127) // as shells say it
}

// refused says whether the API server refused a pod for good: another try gets the same answer.
func refused(message string) bool {
	return strings.Contains(message, "violates PodSecurity") || strings.Contains(message, "is invalid")
}

func join(sep string, parts ...string) string {
	var some []string
	for _, p := range parts {
		if p != "" {
			some = append(some, p)
		}
	}
	return strings.Join(some, sep)
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}
