package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"chartbasico/internal/nearest"
	"chartbasico/pkg/render"
)

// placeholderLabel marks what is ours to remove.
const placeholderLabel = "chart-basico/placeholder"

// lookEvery is how often it is looked whether the namespace of a placeholder is there.
const lookEvery = 100 * time.Millisecond

// inEachNamespace are the ConfigMaps that the cluster itself makes in each namespace.
var inEachNamespace = []string{"kube-root-ca.crt", "istio-ca-root-cert"}

// reference names a ConfigMap or a Secret.
type reference struct{ kind, namespace, name string }

func (r reference) String() string { return r.kind + "/" + r.namespace + "/" + r.name }

// placeholder stands for a ConfigMap or a Secret that no release makes and without which pods do not start.
type placeholder struct {
	reference

	keys map[string]string // that pods refer to, with values of no meaning
	near string            // the name of one that a release makes, if this one's may be a misspelling of it
	made bool
}

// madeElsewhere returns a placeholder for each ConfigMap and Secret that pods of the releases must have and that none
// of them makes. rendered are those that they make.
func madeElsewhere(releases []*render.Release) (missing []*placeholder, rendered map[reference]bool) {
	rendered = map[reference]bool{}
	needed := map[reference]*placeholder{}
	for _, r := range releases {
		for _, o := range r.Objects {
			rendered[reference{o.GetKind(), o.GetNamespace(), o.GetName()}] = true
			for _, n := range needs(podSpec(o)) {
				n.namespace = o.GetNamespace()
				if p := needed[n.reference]; p != nil {
					maps.Copy(p.keys, n.keys)
				} else {
					needed[n.reference] = &n
				}
			}
		}
	}
	for ref, p := range needed {
		if rendered[ref] || ref.kind == "ConfigMap" && slices.Contains(inEachNamespace, ref.name) {
			continue
		}
		var names []string
		for other := range rendered {
			if other.kind == ref.kind && other.namespace == ref.namespace {
				names = append(names, other.name)
			}
		}
		slices.Sort(names)
		p.near = nearest.Word(ref.name, names)
		missing = append(missing, p)
	}
	slices.SortFunc(missing, func(a, b *placeholder) int { return cmp.Compare(a.String(), b.String()) })
	return missing, rendered
}

// podSpec is that of the pods which an object of Kubernetes' own makes; an empty one if it makes none.
func podSpec(o *unstructured.Unstructured) (spec corev1.PodSpec) {
	if template, ok := render.PodTemplate(o.GetKind()); ok {
		found, _, _ := unstructured.NestedMap(o.Object, append(template, "spec")...)
		_ = runtime.DefaultUnstructuredConverter.FromUnstructured(found, &spec) // the API server says it better
	}
	return spec
}

// needs are the ConfigMaps and Secrets without which a pod's containers do not start, in no namespace yet.
func needs(spec corev1.PodSpec) (needed []placeholder) {
	add := func(kind, name string, optional *bool, keys ...string) {
		if ptr.Deref(optional, false) {
			return
		}
		p := placeholder{reference: reference{kind: kind, name: name}, keys: map[string]string{}}
		for _, k := range keys {
			p.keys[k] = "placeholder"
		}
		needed = append(needed, p)
	}
	keys := func(items []corev1.KeyToPath) (keys []string) {
		for _, i := range items {
			keys = append(keys, i.Key)
		}
		return keys
	}
	for _, v := range spec.Volumes {
		if c := v.ConfigMap; c != nil {
			add("ConfigMap", c.Name, c.Optional, keys(c.Items)...)
		}
		if s := v.Secret; s != nil {
			add("Secret", s.SecretName, s.Optional, keys(s.Items)...)
		}
		for _, from := range ptr.Deref(v.Projected, corev1.ProjectedVolumeSource{}).Sources {
			if c := from.ConfigMap; c != nil {
				add("ConfigMap", c.Name, c.Optional, keys(c.Items)...)
			}
			if s := from.Secret; s != nil {
				add("Secret", s.Name, s.Optional, keys(s.Items)...)
			}
		}
	}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		for _, from := range c.EnvFrom {
			if c := from.ConfigMapRef; c != nil {
				add("ConfigMap", c.Name, c.Optional)
			}
			if s := from.SecretRef; s != nil {
				add("Secret", s.Name, s.Optional)
			}
		}
		for _, e := range c.Env {
			from := ptr.Deref(e.ValueFrom, corev1.EnvVarSource{})
			if c := from.ConfigMapKeyRef; c != nil {
				add("ConfigMap", c.Name, c.Optional, c.Key)
			}
			if s := from.SecretKeyRef; s != nil {
				add("Secret", s.Name, s.Optional, s.Key)
			}
		}
	}
	return needed
}

// withPlaceholders installs, and meanwhile makes a placeholder for what is made elsewhere, as soon as its namespace is
// there: stand-ins read nothing of it, and whoever makes it is none of the environment's. What is on the cluster is
// left as it is, but for placeholders of an earlier run.
func (r *run) withPlaceholders(ctx context.Context, install func(context.Context) error) error {
	client := r.installer.Client()
	missing, rendered := madeElsewhere(r.releases)
	if err := removePlaceholders(ctx, client, func(ref reference) bool {
		return rendered[ref] || slices.ContainsFunc(missing, func(p *placeholder) bool { return p.reference == ref })
	}); err != nil {
		return err
	}
	defer func() {
		for _, p := range missing {
			if !p.made {
				continue
			}
			reason := "no release of the environment makes it, so a placeholder stands for it"
			if p.near != "" {
				reason += "; did you mean " + p.near + ", which one makes?"
			}
			r.notRun("contents of "+p.String(), reason, true)
		}
	}()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	installed := make(chan error, 1)
	var installing sync.WaitGroup
	installing.Go(func() { installed <- install(ctx) })
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		if err := makePlaceholders(ctx, client, missing); err != nil {
			cancel(err)
			installing.Wait() // what goes wrong there now only follows from it
			return err
		}
		select {
		case err := <-installed:
			if err != nil {
				return err
			}
			// Pods that come later, such as a CronJob's, were not waited for.
			return makePlaceholders(ctx, client, missing)
		case <-look.C:
		}
	}
}

// makePlaceholders makes those that are not made and whose namespaces are there.
func makePlaceholders(ctx context.Context, client kubernetes.Interface, missing []*placeholder) error {
	if !slices.ContainsFunc(missing, func(p *placeholder) bool { return !p.made }) {
		return nil
	}
	there := map[string]bool{}
	namespaces, err := client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, n := range namespaces.Items {
		there[n.Name] = n.DeletionTimestamp == nil
	}
	for _, p := range missing {
		if p.made || !there[p.namespace] {
			continue
		}
		meta := metav1.ObjectMeta{Namespace: p.namespace, Name: p.name, Labels: map[string]string{placeholderLabel: "true"}}
		var err error
		if p.kind == "Secret" {
			_, err = client.CoreV1().Secrets(p.namespace).Create(ctx, &corev1.Secret{ObjectMeta: meta, StringData: p.keys}, metav1.CreateOptions{})
		} else {
			_, err = client.CoreV1().ConfigMaps(p.namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: meta, Data: p.keys}, metav1.CreateOptions{})
		}
		p.made = err == nil
		// What is there may go: an upgrade removes what a release does not make any more.
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("placeholder for %s: %w", p, err)
		}
	}
	return nil
}

// removePlaceholders removes those of earlier runs: Helm would not take over one that a release makes now, and pods may
// refer to other keys now.
func removePlaceholders(ctx context.Context, client kubernetes.Interface, which func(reference) bool) error {
	ours := metav1.ListOptions{LabelSelector: placeholderLabel}
	configMaps, err := client.CoreV1().ConfigMaps("").List(ctx, ours)
	if err != nil {
		return err
	}
	for _, c := range configMaps.Items {
		if which(reference{"ConfigMap", c.Namespace, c.Name}) {
			err = errors.Join(err, client.CoreV1().ConfigMaps(c.Namespace).Delete(ctx, c.Name, metav1.DeleteOptions{}))
		}
	}
	secrets, listErr := client.CoreV1().Secrets("").List(ctx, ours)
	if err = errors.Join(err, listErr); err != nil {
		return err
	}
	for _, s := range secrets.Items {
		if which(reference{"Secret", s.Namespace, s.Name}) {
			err = errors.Join(err, client.CoreV1().Secrets(s.Namespace).Delete(ctx, s.Name, metav1.DeleteOptions{}))
		}
	}
	return err
}
