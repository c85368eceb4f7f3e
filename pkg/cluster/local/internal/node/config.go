package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// What is missing is looked for again after firstLook, and then after twice as long each time.
const (
	firstLook = 20 * time.Millisecond
	lastLook  = time.Second
)

// awaitConfig returns when the ConfigMaps and Secrets are there that the pod's volumes and containers must have. Until
// then its containers wait, as a kubelet lets them, with its reasons and messages; unlike a kubelet it starts none
// before all can start. It tells whether ctx is still alive.
func (p *pod) awaitConfig(ctx context.Context) bool {
	said := ""
	for wait := firstLook; ; wait = min(2*wait, lastLook) {
		why := p.missing(ctx)
		if ctx.Err() != nil || why == "" {
			return ctx.Err() == nil
		}
		if why != said {
			said = why
			p.notReady(ctx, why)
		}
		if !sleep(ctx, wait) {
			return false
		}
	}
}

// missing lets containers wait for what they lack or may not be, and says what that is; "" if nothing is.
func (p *pod) missing(ctx context.Context) string {
	c := config{namespace: p.object.Namespace, get: p.lookUp(ctx)}
	mount := c.volumes(p.object.Spec.Volumes)
	errs := []error{mount}
	var states []corev1.ContainerState
	for _, container := range p.containers {
		waiting := &corev1.ContainerStateWaiting{Reason: p.creating()}
		if mount != nil {
			waiting.Message = mount.Error()
		} else if err := cmp.Or(c.container(container.spec), nonRoot(p.object, container.spec)); err != nil {
			waiting.Reason, waiting.Message = "CreateContainerConfigError", err.Error()
			errs = append(errs, fmt.Errorf("container %s: %w", container.spec.Name, err))
		}
		states = append(states, corev1.ContainerState{Waiting: waiting})
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, container := range p.containers {
		container.state = states[i]
	}
	if err := errors.Join(errs...); err != nil {
		return err.Error()
	}
	return ""
}

// creating is a kubelet's reason for a container that is to come.
func (p *pod) creating() string {
	if len(p.object.Spec.InitContainers) > 0 {
		return "PodInitializing"
	}
	return "ContainerCreating"
}

// config finds what a pod refers to. Its errors are a kubelet's (pkg/kubelet/kubelet_pods.go, pkg/volume).
type config struct {
	namespace string
	get       func(kind, name string) (keys []string, err error)
}

// Kinds as a kubelet writes them in errors.
const (
	configMap = "configmap"
	secret    = "secret"
)

// lookUp returns what asks for each ConfigMap and Secret once.
func (p *pod) lookUp(ctx context.Context) func(kind, name string) ([]string, error) {
	core := p.agent.client.CoreV1()
	type object struct {
		keys []string
		err  error
	}
	known := map[[2]string]object{}
	return func(kind, name string) ([]string, error) {
		o, ok := known[[2]string{kind, name}]
		if ok {
			return o.keys, o.err
		}
		if kind == secret {
			var found *corev1.Secret
			if found, o.err = core.Secrets(p.object.Namespace).Get(ctx, name, metav1.GetOptions{}); o.err == nil {
				o.keys = slices.Collect(maps.Keys(found.Data))
			}
		} else {
			var found *corev1.ConfigMap
			if found, o.err = core.ConfigMaps(p.object.Namespace).Get(ctx, name, metav1.GetOptions{}); o.err == nil {
				o.keys = slices.AppendSeq(slices.Collect(maps.Keys(found.Data)), maps.Keys(found.BinaryData))
			}
		}
		if apierrors.IsNotFound(o.err) {
			o.err = apierrors.NewNotFound(corev1.Resource(kind), name)
		}
		known[[2]string{kind, name}] = o
		return o.keys, o.err
	}
}

// object is the error of a reference to a whole object.
func (c config) object(kind, name string, optional *bool) error {
	_, err := c.get(kind, name)
	if ptr.Deref(optional, false) && apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// items is the error of a volume's reference to an object, and to keys of it.
func (c config) items(kind, name string, items []corev1.KeyToPath, optional *bool) error {
	if err := c.object(kind, name, optional); err != nil || ptr.Deref(optional, false) {
		return err
	}
	keys, _ := c.get(kind, name)
	for _, item := range items {
		switch {
		case slices.Contains(keys, item.Key):
		case kind == secret:
			return fmt.Errorf("references non-existent secret key: %s", item.Key)
		default:
			return fmt.Errorf("configmap references non-existent config key: %s", item.Key)
		}
	}
	return nil
}

// key is the error of a variable's reference to a key of an object.
func (c config) key(kind, written, name, key string, optional *bool) error {
	if err := c.object(kind, name, optional); err != nil || ptr.Deref(optional, false) {
		return err
	}
	if keys, _ := c.get(kind, name); !slices.Contains(keys, key) {
		return fmt.Errorf("couldn't find key %s in %s %s/%s", key, written, c.namespace, name)
	}
	return nil
}

// volumes says what keeps the first of the pod's volumes from being mounted that cannot be.
func (c config) volumes(volumes []corev1.Volume) error {
	for _, v := range volumes {
		var err error
		switch {
		case v.ConfigMap != nil:
			err = c.items(configMap, v.ConfigMap.Name, v.ConfigMap.Items, v.ConfigMap.Optional)
		case v.Secret != nil:
			err = c.items(secret, v.Secret.SecretName, v.Secret.Items, v.Secret.Optional)
		case v.Projected != nil:
			for _, s := range v.Projected.Sources {
				switch {
				case err != nil:
				case s.ConfigMap != nil:
					err = c.items(configMap, s.ConfigMap.Name, s.ConfigMap.Items, s.ConfigMap.Optional)
				case s.Secret != nil:
					err = c.items(secret, s.Secret.Name, s.Secret.Items, s.Secret.Optional)
				}
			}
		}
		if err != nil {
			return fmt.Errorf("MountVolume.SetUp failed for volume %q : %w", v.Name, err)
		}
	}
	return nil
}

// container says what keeps a container from getting its environment.
func (c config) container(spec corev1.Container) error {
	for _, from := range spec.EnvFrom {
		var err error
		switch {
		case from.ConfigMapRef != nil:
			err = c.object(configMap, from.ConfigMapRef.Name, from.ConfigMapRef.Optional)
		case from.SecretRef != nil:
			err = c.object(secret, from.SecretRef.Name, from.SecretRef.Optional)
		}
		if err != nil {
			return err
		}
	}
	for _, e := range spec.Env {
		var err error
		switch from := e.ValueFrom; {
		case from == nil:
		case from.ConfigMapKeyRef != nil:
			err = c.key(configMap, "ConfigMap", from.ConfigMapKeyRef.Name, from.ConfigMapKeyRef.Key, from.ConfigMapKeyRef.Optional)
		case from.SecretKeyRef != nil:
			err = c.key(secret, "Secret", from.SecretKeyRef.Name, from.SecretKeyRef.Key, from.SecretKeyRef.Optional)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// nonRoot says what keeps a container from running as the user that it is told, in the words of a kubelet
// (pkg/kubelet/kuberuntime/security_context_others.go). Of the image's user, by which a kubelet goes too, it knows nothing.
func nonRoot(pod *corev1.Pod, spec corev1.Container) error {
	whole, own := ptr.Deref(pod.Spec.SecurityContext, corev1.PodSecurityContext{}), ptr.Deref(spec.SecurityContext, corev1.SecurityContext{})
	user := cmp.Or(own.RunAsUser, whole.RunAsUser)
	if ptr.Deref(cmp.Or(own.RunAsNonRoot, whole.RunAsNonRoot), false) && user != nil && *user == 0 {
		return fmt.Errorf("container's runAsUser breaks non-root policy (pod: %q, container: %s)", fmt.Sprintf("%s_%s(%s)", pod.Name, pod.Namespace, pod.UID), spec.Name)
	}
	return nil
}
