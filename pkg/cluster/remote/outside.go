package remote

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// outsideLife ends the pod of a run that could not end it.
const outsideLife = time.Hour

// outsidePod returns the pod that has no sidecar. It is made for the first that sends from there, and goes with Close.
func (c *Cluster) outsidePod(ctx context.Context) (*corev1.Pod, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.outside != nil {
		return c.outside, nil
	}
	image, err := c.proxyImage(ctx, &corev1.Pod{})
	if err != nil {
		return nil, err
	}
	pod, err := c.client.CoreV1().Pods(metav1.NamespaceDefault).Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "basico-outside-", Labels: map[string]string{"sidecar.istio.io/inject": "false"}},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken:  ptr.To(false),
			ActiveDeadlineSeconds:         ptr.To(int64(outsideLife.Seconds())),
			TerminationGracePeriodSeconds: ptr.To[int64](0),
			Containers: []corev1.Container{{
				Name: senderContainer, Image: image, ImagePullPolicy: corev1.PullIfNotPresent,
				Command: []string{"sleep", "infinity"}, SecurityContext: restricted(nobody),
			}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("make a pod outside of the mesh: %w", err)
	}
	c.outside = pod
	return pod, nil
}

func (c *Cluster) removeOutside() error {
	if c.outside == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	p := c.outside
	err := c.client.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("remove Pod/%s/%s: %w", p.Namespace, p.Name, err)
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
