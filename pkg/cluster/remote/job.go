package remote

import (
	"context"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"

	"chartbasico/pkg/cluster/internal/await"
)

// jobLife ends the Job of a run that could not end it. No run takes so long.
const jobLife = 12 * time.Hour

// jobPod returns the pod, without a sidecar, of a Job that is there to send. It is made for the first that sends from
// there, and goes with Close; that of a run that was killed goes by itself.
func (c *Cluster) jobPod(ctx context.Context) (*corev1.Pod, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pod != nil {
		return c.pod, nil
	}
	if c.job == nil {
		job, err := c.makeJob(ctx)
		if err != nil {
			return nil, fmt.Errorf("make a Job that sends: %w", err)
		}
		c.job = job
		c.progress("requests from outside of the mesh are sent by " + nameOf(job))
	}
	var err error
	c.pod, err = c.podOfJob(ctx)
	return c.pod, err
}

func nameOf(j *batchv1.Job) string { return "Job/" + j.Namespace + "/" + j.Name }

func (c *Cluster) makeJob(ctx context.Context) (*batchv1.Job, error) {
	image, err := c.proxyImage(ctx, &corev1.Pod{})
	if err != nil {
		return nil, err
	}
	return c.client.BatchV1().Jobs(metav1.NamespaceDefault).Create(ctx, &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "basico-load-"},
		Spec: batchv1.JobSpec{
			ActiveDeadlineSeconds:   ptr.To(int64(jobLife.Seconds())),
			TTLSecondsAfterFinished: ptr.To[int32](0),
			BackoffLimit:            ptr.To[int32](0),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"sidecar.istio.io/inject": "false"}},
				Spec: corev1.PodSpec{
					RestartPolicy:                 corev1.RestartPolicyNever,
					AutomountServiceAccountToken:  ptr.To(false),
					TerminationGracePeriodSeconds: ptr.To[int64](0),
					Containers: []corev1.Container{{
						Name: senderContainer, Image: image, ImagePullPolicy: corev1.PullIfNotPresent,
						Command: untilEnd, SecurityContext: restricted(nobody),
					}},
				},
			},
		},
	}, metav1.CreateOptions{})
}

// podOfJob watches until the Job's controller has made its pod.
func (c *Cluster) podOfJob(ctx context.Context) (*corev1.Pod, error) {
	source := await.Labelled(c.client.CoreV1().Pods(c.job.Namespace), batchv1.JobNameLabel+"="+c.job.Name)
	var pod *corev1.Pod
	err := await.Until(ctx, containerTimeout, source, &corev1.Pod{}, func(event watch.Event) (bool, error) {
		if event.Type == watch.Deleted {
			return false, nil
		}
		pod, _ = event.Object.(*corev1.Pod)
		return pod != nil, nil
	}, func() error {
		return fmt.Errorf("%s got no pod within %v; its events say why: kubectl -n %s describe job %s", nameOf(c.job), containerTimeout, c.job.Namespace, c.job.Name)
	})
	return pod, err
}

func (c *Cluster) removeJob() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.job == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := c.client.BatchV1().Jobs(c.job.Namespace).Delete(ctx, c.job.Name, metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationBackground)})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("remove %s: %w", nameOf(c.job), err)
	}
	return nil
}

// restricted is what Pod Security demands of a container.
func restricted(user int64) *corev1.SecurityContext {
	return &corev1.SecurityContext{
		RunAsUser: ptr.To(user), RunAsNonRoot: ptr.To(true), AllowPrivilegeEscalation: ptr.To(false),
		Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}
