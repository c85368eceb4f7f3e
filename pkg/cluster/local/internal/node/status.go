package node

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
)

// report writes the pod's status to the API server.
func (p *pod) report(ctx context.Context) {
	pods := p.agent.client.CoreV1().Pods(p.object.Namespace)
	current, err := p.agent.pods.Pods(p.object.Namespace).Get(p.object.Name)
	if err != nil {
		current = p.object
	}
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if current.UID != p.object.UID {
			return nil // another pod of the same name
		}
		updated := current.DeepCopy()
		p.fill(&updated.Status)
		refuseEphemeral(updated)
		_, err := pods.UpdateStatus(ctx, updated, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) {
			if latest, getErr := pods.Get(ctx, p.object.Name, metav1.GetOptions{}); getErr == nil {
				current = latest
			}
		}
		return err
	})
	if err != nil && !apierrors.IsNotFound(err) && ctx.Err() == nil {
		p.agent.config.Log.Error("the pod's status was not written", "pod", p.name(), "error", err)
	}
}

// fill sets what a kubelet says of a pod, and leaves what others say.
func (p *pod) fill(s *corev1.PodStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Phase = p.phase
	s.HostIP = p.agent.config.Address.String()
	s.HostIPs = []corev1.HostIP{{IP: s.HostIP}}
	s.PodIP = p.ip.String()
	s.PodIPs = []corev1.PodIP{{IP: s.PodIP}}
	s.StartTime = &p.started
	s.InitContainerStatuses, s.ContainerStatuses = nil, nil
	initialized := p.phase != corev1.PodPending
	for _, c := range p.containers {
		running := c.state.Running != nil
		status := corev1.ContainerStatus{
			Name: c.spec.Name, Image: c.spec.Image, ImageID: "standin://" + c.spec.Image,
			ContainerID: "standin://" + string(p.object.UID) + "/" + c.spec.Name,
			State:       c.state, Ready: c.ready, Started: &running, RestartCount: c.count,
		}
		if c.init {
			s.InitContainerStatuses = append(s.InitContainerStatuses, status)
		} else {
			s.ContainerStatuses = append(s.ContainerStatuses, status)
		}
	}
	why := p.why
	reason := "ContainersNotReady"
	switch p.phase {
	case corev1.PodSucceeded:
		reason = "PodCompleted"
	case corev1.PodFailed:
		reason = "PodFailed"
	}
	condition(s, corev1.PodReadyToStartContainers, true, "", "")
	condition(s, corev1.PodInitialized, initialized, "ContainersNotInitialized", why)
	condition(s, corev1.ContainersReady, p.ready, reason, why)
	condition(s, corev1.PodReady, p.ready && p.gatesOpen(s), reason, why)
}

// differs tells whether a status says otherwise than the pod does whether it is ready: a gate has opened or closed, or
// the controllers took the node for dead.
func (p *pod) differs(s *corev1.PodStatus) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	said := slices.ContainsFunc(s.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
	return p.up && said != (p.ready && p.gatesOpen(s))
}

// refuseEphemeral says of each ephemeral container that it could not start, so that nobody waits for it.
func refuseEphemeral(object *corev1.Pod) {
	s := &object.Status
	for _, c := range object.Spec.EphemeralContainers[min(len(s.EphemeralContainerStatuses), len(object.Spec.EphemeralContainers)):] {
		s.EphemeralContainerStatuses = append(s.EphemeralContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Image: c.Image,
			State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				ExitCode: 128, Reason: "StartError", Message: cannot(runEphemeral), StartedAt: metav1.Now(), FinishedAt: metav1.Now(),
			}},
		})
	}
}

// gatesOpen: every readiness gate's condition is true. Those are others' to set.
func (p *pod) gatesOpen(s *corev1.PodStatus) bool {
	for _, gate := range p.object.Spec.ReadinessGates {
		if !slices.ContainsFunc(s.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == gate.ConditionType && c.Status == corev1.ConditionTrue
		}) {
			return false
		}
	}
	return true
}

func condition(s *corev1.PodStatus, kind corev1.PodConditionType, holds bool, reason, message string) {
	c := corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}
	if !holds {
		c.Status, c.Reason, c.Message = corev1.ConditionFalse, reason, message
	}
	for i, old := range s.Conditions {
		if old.Type == kind {
			if old.Status == c.Status {
				c.LastTransitionTime = old.LastTransitionTime
			}
			s.Conditions[i] = c
			return
		}
	}
	s.Conditions = append(s.Conditions, c)
}

// finished: no pod that the kubelet would start again.
func finished(object *corev1.Pod) bool {
	return object.Status.Phase == corev1.PodSucceeded || object.Status.Phase == corev1.PodFailed
}
