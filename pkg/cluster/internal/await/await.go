// Package await waits until what a cluster consists of is ready, by watching it. A wait that runs out says what was
// seen last.
package await

import (
	"context"
	"errors"
	"fmt"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// Timeout bounds each wait. A process that dies ends the wait at once; this is for one that hangs.
const Timeout = 2 * time.Minute

// Ready asks a server that is starting until it is ready: it cannot tell us by itself.
func Ready(ctx context.Context, name string, ready func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready(limited)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-limited.Done():
			return fmt.Errorf("%s was not ready after %s; it last said: %w", name, Timeout, err)
		case <-tick.C:
		}
	}
}

// lister is the part of a typed client that a wait needs.
type lister[L runtime.Object] interface {
	List(ctx context.Context, opts metav1.ListOptions) (L, error)
	Watch(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error)
}

// Named is what lists and watches the object of that name alone.
func Named[L runtime.Object](client lister[L], name string) *cache.ListWatch {
	selector := fields.OneTermEqualSelector("metadata.name", name).String()
	return selected(client, func(o *metav1.ListOptions) { o.FieldSelector = selector })
}

// Labelled is what lists and watches the objects that the selector chooses by their labels.
func Labelled[L runtime.Object](client lister[L], selector string) *cache.ListWatch {
	return selected(client, func(o *metav1.ListOptions) { o.LabelSelector = selector })
}

func selected[L runtime.Object](client lister[L], choose func(*metav1.ListOptions)) *cache.ListWatch {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			choose(&o)
			return client.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			choose(&o)
			return client.Watch(ctx, o)
		},
	}
}

// Until watches the objects of that type that source lists until done says so or fails, and no longer than limit. What
// then is the error, late says.
func Until(ctx context.Context, limit time.Duration, source *cache.ListWatch, object runtime.Object, done func(watch.Event) (bool, error), late func() error) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_, err := watchtools.UntilWithSync(limited, source, object, nil, done)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case limited.Err() != nil:
		return late()
	}
	return err
}

// object watches the object of that name until holds says so. A wait that runs out tells what was missing.
func object[T runtime.Object, L runtime.Object](ctx context.Context, client lister[L], what, name string, holds func(T) error) error {
	var zero T
	missing := fmt.Errorf("it does not exist")
	return Until(ctx, Timeout, Named(client, name), zero, func(event watch.Event) (bool, error) {
		object, ok := event.Object.(T)
		if !ok || event.Type == watch.Deleted {
			return false, nil
		}
		missing = holds(object)
		return missing == nil, nil
	}, func() error { return fmt.Errorf("%s was not ready after %s: %w", what, Timeout, missing) })
}

// ConfigMaps waits until they exist.
func ConfigMaps(ctx context.Context, client kubernetes.Interface, namespace string, names ...string) error {
	for _, name := range names {
		err := object(ctx, client.CoreV1().ConfigMaps(namespace), "ConfigMap/"+namespace+"/"+name, name, func(*corev1.ConfigMap) error { return nil })
		if err != nil {
			return err
		}
	}
	return nil
}

// Deployment waits until it is available.
func Deployment(ctx context.Context, client kubernetes.Interface, namespace, name string) error {
	return object(ctx, client.AppsV1().Deployments(namespace), "Deployment/"+namespace+"/"+name, name, Available)
}

// Available says what keeps a Deployment from having as many pods available as are wanted; nil if nothing does.
func Available(d *appsv1.Deployment) error {
	if d.Status.ObservedGeneration < d.Generation || d.Spec.Replicas == nil {
		return errors.New("its controller has not seen it")
	}
	if want := *d.Spec.Replicas; d.Status.AvailableReplicas == want && d.Status.UpdatedReplicas == want && d.Status.Replicas == want {
		return nil
	}
	return fmt.Errorf("of %d replicas %d are up to date and %d available, and its conditions are %v",
		d.Status.Replicas, d.Status.UpdatedReplicas, d.Status.AvailableReplicas, d.Status.Conditions)
}

// Node waits until the node is ready.
func Node(ctx context.Context, client kubernetes.Interface, name string) error {
	return object(ctx, client.CoreV1().Nodes(), "Node/"+name, name, NodeReady)
}

// NodeReady says what keeps a node from being ready; nil if nothing does.
func NodeReady(n *corev1.Node) error {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
			return nil
		}
	}
	return fmt.Errorf("its conditions are %v", n.Status.Conditions)
}

// Webhooks waits until the istiod of that namespace has put its certificate into its webhooks, without which pods would be refused and
// mistakes accepted.
func Webhooks(ctx context.Context, client kubernetes.Interface, namespace string) error {
	v1 := client.AdmissionregistrationV1()
	if err := object(ctx, v1.MutatingWebhookConfigurations(), "the injection webhook", "istio-sidecar-injector",
		func(c *admissionv1.MutatingWebhookConfiguration) error {
			for _, w := range c.Webhooks {
				if len(w.ClientConfig.CABundle) == 0 {
					return fmt.Errorf("webhook %s has no certificate of istiod yet", w.Name)
				}
			}
			return nil
		}); err != nil {
		return err
	}
	return object(ctx, v1.ValidatingWebhookConfigurations(), "the validation webhook", "istio-validator-"+namespace,
		func(c *admissionv1.ValidatingWebhookConfiguration) error {
			for _, w := range c.Webhooks {
				if len(w.ClientConfig.CABundle) == 0 {
					return fmt.Errorf("webhook %s has no certificate of istiod yet", w.Name)
				}
				if w.FailurePolicy == nil || *w.FailurePolicy != admissionv1.Fail {
					return fmt.Errorf("webhook %s lets pass what istiod has not seen", w.Name)
				}
			}
			return nil
		})
}
